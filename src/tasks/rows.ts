import type { Reader } from '../kernel/handler.ts';
import { type IdTable, resolveId } from '../kernel/resolve.ts';
import { retryPolicy, type RetryPolicy, type Task, taskError } from './contract.ts';
import { recordsLength, type TaskRow } from './views.ts';

export const taskIds: IdTable = { table: 'task', column: 'id', prefix: 'task', what: 'task' };

/** The task that an id or a unique beginning of one means. A whole id, the usual case, is one look. */
export function findTask(db: Reader, text: string): TaskRow {
  return byId(db, text) ?? byId(db, resolveId(db, taskIds, text)) ?? lost(text);
}

/** The columns of `TaskRow`. */
const columns = `sequence, id, title, description, kind, queue, project, parent, run, assignee, needs, priority, payload, labels,
  retries, state, since, reason, not_before, attempt, uncounted, claimed_by, fence, result, error, created_at, updated_at`;

/** The beginning of a statement that reads tasks. */
export const selectTask = `SELECT ${columns} FROM task`;

function byId(db: Reader, id: string): TaskRow | undefined {
  return db.get<TaskRow>(`${selectTask} WHERE id = ?`, id);
}

function lost(id: string): never {
  throw new Error(`Task ${id} was found and then not.`);
}

const first = 'ORDER BY priority DESC, sequence LIMIT 1';
/** The next task of a queue, of a kind in it, assigned to a worker, and assigned to a worker and of a kind. */
export const claimStatements = {
  any: `${selectTask} WHERE state = 'queued' AND assignee IS NULL AND queue = ? ${first}`,
  ofKind: `${selectTask} WHERE state = 'queued' AND assignee IS NULL AND queue = ? AND kind = ? ${first}`,
  assigned: `${selectTask} WHERE state = 'queued' AND assignee = ? AND queue = ? ${first}`,
  assignedOfKind: `${selectTask} WHERE state = 'queued' AND assignee = ? AND queue = ? AND kind = ? ${first}`,
};

/** Delayed tasks whose time has come. */
export const dueTasks = "SELECT id FROM task WHERE state = 'delayed' AND not_before <= ? ORDER BY not_before LIMIT ?";
export const nextDue = "SELECT not_before FROM task WHERE state = 'delayed' ORDER BY not_before LIMIT 1";

/** The repeated condition lets SQLite use the partial index `task_state`. */
export const claimedTasks =
  "SELECT id AS task, fence FROM task WHERE state = 'claimed' AND state NOT IN ('done', 'queued')";

/** The next task that a worker may claim: the best that is for anybody or for this worker; undefined when there is none. */
export function claimable(
  db: Reader,
  queue: string,
  worker: string,
  kinds: readonly string[] | undefined,
): TaskRow | undefined {
  const { any, ofKind, assigned, assignedOfKind } = claimStatements;
  if (kinds === undefined) {
    return better(db.get<TaskRow>(any, queue), db.get<TaskRow>(assigned, worker, queue));
  }
  return kinds
    .flatMap((kind) => [db.get<TaskRow>(ofKind, queue, kind), db.get<TaskRow>(assignedOfKind, worker, queue, kind)])
    .reduce(better, undefined);
}

function better(a: TaskRow | undefined, b: TaskRow | undefined): TaskRow | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.priority !== b.priority) return a.priority > b.priority ? a : b;
  return a.sequence < b.sequence ? a : b;
}

/** How many tasks are in which state. */
export function countTasks(db: Reader): Record<string, number> {
  const rows = db.all<{ state: string; count: number }>('SELECT state, count(*) AS count FROM task GROUP BY state');
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** Whether a task has a need that is not done. */
export function hasOpenNeed(db: Reader, id: string): boolean {
  return db.get('SELECT 1 FROM task_need WHERE task = ? LIMIT 1', id) !== undefined;
}

/** Where the records of a task stand in the log, oldest first; of very many the newest. */
export function recordPositions(db: Reader, id: string): number[] {
  const text = db.get<{ records: string }>('SELECT records FROM task WHERE id = ?', id)?.records ?? '';
  const positions = text.trim().split(' ').map(Number);
  // The first one of a full list may have lost digits.
  return text.length < recordsLength ? positions : positions.slice(1);
}

// Most tasks have the same few policies; parsing one is dearer than finding it.
const policies = new Map<string, RetryPolicy>();

export function retriesOf(row: TaskRow): RetryPolicy {
  let policy = policies.get(row.retries);
  if (policy === undefined) {
    policy = retryPolicy.parse(JSON.parse(row.retries));
    if (policies.size >= 1_000) policies.clear();
    policies.set(row.retries, policy);
  }
  return policy;
}

const json = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

/** A task as the contract shows it. */
export function toTask(row: TaskRow): Task {
  return {
    id: row.id,
    title: row.title,
    description: row.description,
    kind: row.kind,
    queue: row.queue,
    project: row.project,
    parent: row.parent,
    run: row.run,
    assignee: row.assignee,
    needs: row.needs === '[]' ? [] : JSON.parse(row.needs),
    priority: row.priority,
    payload: row.payload === '{}' ? {} : JSON.parse(row.payload),
    labels: row.labels === '[]' ? [] : JSON.parse(row.labels),
    retries: retriesOf(row),
    state: row.state,
    since: row.since,
    reason: row.reason,
    notBefore: row.not_before,
    attempt: row.attempt,
    claimedBy: row.claimed_by,
    fence: row.fence,
    result: json(row.result),
    error: row.error === null ? null : taskError.parse(JSON.parse(row.error)),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
