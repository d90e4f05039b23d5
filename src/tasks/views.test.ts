import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestCore, type TestCore } from './core.fixture.ts';
import { Leases } from './leases.ts';
import { taskOps as ops } from './contract.ts';
import { claimedTasks, claimStatements, dueTasks, nextDue } from './rows.ts';
import { taskHandlers } from './service.ts';
import { recordsLength, taskView } from './views.ts';

let core: TestCore;
beforeAll(() => {
  core = openTestCore([taskView], taskHandlers({ leases: new Leases() }));
});
afterAll(() => core.close());

/** How SQLite carries a statement out, line by line. */
function plan(sql: string): string {
  const values = [...sql.matchAll(/\?/g)].map(() => 'x');
  return core.database
    .all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, ...values)
    .map(({ detail }) => detail)
    .join('\n');
}

describe('statements of the hot path use an index and sort nothing', () => {
  it.each([
    ['claim', claimStatements.any, 'task_claim (queue=?)'],
    ['claim of a kind', claimStatements.ofKind, 'task_claim_kind (queue=? AND kind=?)'],
    ['claim of what is assigned', claimStatements.assigned, 'task_claim_assigned (assignee=? AND queue=?)'],
    [
      'claim of a kind that is assigned',
      claimStatements.assignedOfKind,
      'task_claim_assigned (assignee=? AND queue=?)',
    ],
    ['promotion', dueTasks, 'task_due (not_before<?)'],
    ['next tick', nextDue, 'task_due'],
    ['reaping', claimedTasks, 'task_state (state=?)'],
    ['dependents', 'SELECT task FROM task_need WHERE need = ? ORDER BY task', 'task_need_need (need=?)'],
  ])('%s', (_what, sql, index) => {
    const found = plan(sql);
    expect(found).toContain(index);
    expect(found).not.toMatch(/TEMP B-TREE|SCAN task$/);
  });
});

it('a history keeps the newest records of a task with very many', () => {
  const { id } = core.call(ops.create, { title: 'Busy' });
  for (let priority = 0; priority < 900; priority += 1) core.call(ops.update, { task: id, priority: priority % 100 });
  const { records } = core.call(ops.history, { task: id });
  expect(records.length).toBeGreaterThan(500);
  expect(records.at(-1)).toMatchObject({ position: 901, type: 'task.updated', data: { priority: 99 } });
  expect(records.map(({ position }) => position)).toEqual(records.map((_, index) => 902 - records.length + index));
  const text = core.database.get<{ records: string }>('SELECT records FROM task WHERE id = ?', id)?.records;
  expect(text).toHaveLength(recordsLength);
});
