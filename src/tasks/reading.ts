import { invalid } from '../kernel/error.ts';
import { type Handler, query, type QueryContext, type SqlValue } from '../kernel/handler.ts';
import type { OutputOf, ParsedOf } from '../kernel/operation.ts';
import { resolveId } from '../kernel/resolve.ts';
import { taskOps, type TaskState } from './contract.ts';
import { explain } from './explaining.ts';
import { findTask, recordPositions, selectTask, taskIds, toTask } from './rows.ts';
import type { TaskRow } from './views.ts';

export const readHandlers: readonly Handler[] = [
  query(taskOps.get, (ctx, input) => toTask(findTask(ctx.db, input.task))),
  query(taskOps.list, list),
  query(taskOps.history, history),
  query(taskOps.explain, (ctx, input) => explain(ctx.db, findTask(ctx.db, input.task))),
];

function list(ctx: QueryContext, input: ParsedOf<typeof taskOps.list>): OutputOf<typeof taskOps.list> {
  const before = position(input.cursor);
  const parent = input.parent === undefined ? undefined : resolveId(ctx.db, taskIds, input.parent);
  const { queue, project, run, assignee, limit } = input;
  const wanted = Object.entries({ queue, project, run, parent, assignee }).flatMap(([column, value]) =>
    value === undefined ? [] : [{ column, value }],
  );
  const conditions = ['sequence < ?', ...wanted.map(({ column }) => `${column} = ?`)];
  const values: SqlValue[] = [before, ...wanted.map(({ value }) => value), limit + 1];
  // One statement a state: each can use an index and stops at the limit, however many tasks have ended.
  const states = input.state === undefined || input.state.length === 0 ? [undefined] : [...new Set(input.state)];
  const rows = states.flatMap((state) =>
    ctx.db.all<TaskRow>(
      `${selectTask} WHERE ${[...conditions, ...inState(state)].join(' AND ')} ORDER BY sequence DESC LIMIT ?`,
      ...values,
    ),
  );
  const newest = rows.toSorted((a, b) => b.sequence - a.sequence);
  const page = newest.slice(0, limit);
  return { tasks: page.map(toTask), next: newest.length > limit ? String(page.at(-1)?.sequence) : null };
}

/** The state stands in the text and not in a value, because only then does SQLite see which partial index fits. */
function inState(state: TaskState | undefined): string[] {
  if (state === undefined) return [];
  const rare = state === 'done' || state === 'queued' ? [] : ["state NOT IN ('done', 'queued')"];
  return [`state = '${state}'`, ...rare];
}

function position(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw invalid(`"${cursor}" is not a cursor.`, {
    fix: 'Use `next` of the page before, unchanged.',
    issues: [{ path: 'cursor', message: 'is not a cursor' }],
  });
}

interface HistoryRow {
  readonly position: number;
  readonly at: number;
  readonly actor: string;
  readonly type: string;
  readonly data: string;
}

function history(ctx: QueryContext, input: ParsedOf<typeof taskOps.history>): OutputOf<typeof taskOps.history> {
  const { id } = findTask(ctx.db, input.task);
  const sql = 'SELECT position, at, actor, type, data FROM log WHERE position = ?';
  const rows = recordPositions(ctx.db, id).flatMap((position) => ctx.db.get<HistoryRow>(sql, position) ?? []);
  return { records: rows.map((row) => ({ ...row, data: JSON.parse(row.data) })) };
}
