import type { Reader } from '../kernel/handler.ts';
import type { OutputOf } from '../kernel/operation.ts';
import type { taskOps } from './contract.ts';
import { selectTask } from './rows.ts';
import type { TaskRow } from './views.ts';

type Explanation = OutputOf<typeof taskOps.explain>;
type Because = Explanation['because'][number];

/** Causes that are shown, and tasks that are looked at to find them. */
const shownCauses = 50;
const searched = 10_000;

/** Why a task is in its state; for a blocked one the tasks at the root of it, however many needs lie between. */
export function explain(db: Reader, row: TaskRow): Explanation {
  const { id, state, since } = row;
  return { task: id, state, since, because: state === 'blocked' ? rootCauses(db, id) : [ownCause(row)] };
}

function ownCause(row: TaskRow): Because {
  return { task: null, state: row.state, message: ownMessage(row) };
}

function ownMessage(row: TaskRow): string {
  const reason = row.reason === null ? '' : ` (${row.reason})`;
  switch (row.state) {
    case 'blocked':
      return `It waits for its needs${reason}.`;
    case 'delayed':
      return `It waits until ${time(row.not_before ?? row.since)}${reason}.`;
    case 'queued': {
      const who = row.assignee === null ? 'a worker' : `${row.assignee}, to whom it is assigned,`;
      return `It waits until ${who} claims it from the queue "${row.queue}"${reason}.`;
    }
    case 'claimed':
      return `${row.claimed_by ?? 'Somebody'} works on it since ${time(row.since)}.`;
    case 'waiting':
      return `It waits for ${row.reason ?? 'a person'}. Queue it again with maos task retry.`;
    case 'done':
      return 'It is done.';
    case 'failed':
      return `It failed${reason}. Queue it again with maos task retry.`;
    case 'cancelled':
      return `It was cancelled${reason}. Queue it again with maos task retry.`;
  }
}

/** Follows open needs down to the tasks that are not themselves blocked; those that will not move by themselves first. */
function rootCauses(db: Reader, id: string): Because[] {
  const causes: Because[] = [];
  const neededBy = new Map<string, string | null>([[id, null]]);
  for (const task of neededBy.keys()) {
    const needs = db.all<TaskRow>(
      `${selectTask} WHERE id IN (SELECT need FROM task_need WHERE task = ?) ORDER BY sequence`,
      task,
    );
    for (const need of needs) {
      if (neededBy.has(need.id) || neededBy.size > searched) continue;
      neededBy.set(need.id, task);
      if (need.state === 'blocked') continue;
      const way = task === id ? '' : ` (${wayTo(need.id, neededBy).join(' → ')})`;
      causes.push({ task: need.id, state: need.state, message: `It needs "${need.title}"${way}. ${ownMessage(need)}` });
    }
  }
  return causes.toSorted((a, b) => urgency(a.state) - urgency(b.state)).slice(0, shownCauses);
}

/** From the task that was asked about to one that it needs; long ways show their ends. */
function wayTo(id: string, neededBy: ReadonlyMap<string, string | null>): string[] {
  const way: string[] = [];
  for (let at: string | null | undefined = id; at !== null && at !== undefined; at = neededBy.get(at)) way.push(at);
  way.reverse();
  return way.length <= 8 ? way : [...way.slice(0, 3), '…', ...way.slice(-4)];
}

function urgency(state: string): number {
  return ['failed', 'cancelled', 'waiting', 'delayed', 'queued', 'claimed'].indexOf(state);
}

function time(at: number): string {
  return new Date(at).toISOString();
}
