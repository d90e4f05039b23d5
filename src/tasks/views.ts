import type { LogRecord } from '../kernel/event.ts';
import { on, type View, type Writer } from '../kernel/handler.ts';
import { type TaskState, taskEvents } from './contract.ts';

/**
 * `task_need` holds the needs that are still open: a need that is done is deleted, so "is anything open?" is one look
 * into an index however many needs a task has. All needs stand in `task.needs`.
 *
 * Claims read `task_claim`, `task_claim_kind` and `task_claim_assigned`, the promotion of delayed tasks `task_due`. They
 * are partial, so delayed and ended tasks do not lie in a claim's way.
 *
 * `records` lists the positions of the newest records of the task: the log has no index on the stream, because ids are
 * random and it would cost a page a record, while a task's row is written anyway.
 */
const schema = `
  CREATE TABLE task (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL, kind TEXT NOT NULL,
    queue TEXT NOT NULL, project TEXT, parent TEXT, run TEXT, assignee TEXT, needs TEXT NOT NULL, priority INTEGER NOT NULL,
    payload TEXT NOT NULL, labels TEXT NOT NULL, retries TEXT NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL,
    reason TEXT, not_before INTEGER, attempt INTEGER NOT NULL, uncounted INTEGER NOT NULL, claimed_by TEXT,
    fence INTEGER NOT NULL, result TEXT, error TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    records TEXT NOT NULL
  ) STRICT;
  CREATE TABLE task_need (task TEXT NOT NULL, need TEXT NOT NULL, PRIMARY KEY (task, need)) STRICT, WITHOUT ROWID;
  CREATE INDEX task_need_need ON task_need (need);
  CREATE INDEX task_claim ON task (queue, priority DESC) WHERE state = 'queued' AND assignee IS NULL;
  CREATE INDEX task_claim_kind ON task (queue, kind, priority DESC) WHERE state = 'queued' AND assignee IS NULL;
  CREATE INDEX task_claim_assigned ON task (assignee, queue, priority DESC) WHERE state = 'queued' AND assignee IS NOT NULL;
  CREATE INDEX task_due ON task (not_before) WHERE state = 'delayed';
  CREATE INDEX task_state ON task (state) WHERE state NOT IN ('done', 'queued');
  CREATE INDEX task_project ON task (project) WHERE project IS NOT NULL;
  CREATE INDEX task_run ON task (run) WHERE run IS NOT NULL;
  CREATE INDEX task_parent ON task (parent) WHERE parent IS NOT NULL;
  CREATE INDEX task_assignee ON task (assignee) WHERE assignee IS NOT NULL;
`;

/** How long `records` may be: some hundreds of positions. */
export const recordsLength = 4_000;

/** Why a task is in its state, where the event alone says it. */
export const reasons = {
  blocked: 'some of its needs are not done',
  delayed: 'its time has not come',
  needs_met: 'its needs are done',
  due: 'its time has come',
  retried: 'it was queued again',
  resolved: 'what it waited for was done',
} as const;

/** The columns of `task` that commands read. */
export interface TaskRow {
  readonly sequence: number;
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly kind: string;
  readonly queue: string;
  readonly project: string | null;
  readonly parent: string | null;
  readonly run: string | null;
  readonly assignee: string | null;
  readonly needs: string;
  readonly priority: number;
  readonly payload: string;
  readonly labels: string;
  readonly retries: string;
  readonly state: TaskState;
  readonly since: number;
  readonly reason: string | null;
  readonly not_before: number | null;
  readonly attempt: number;
  /** Attempts that do not count against the retries: free ones, and all before the last retry by hand. */
  readonly uncounted: number;
  readonly claimed_by: string | null;
  readonly fence: number;
  readonly result: string | null;
  readonly error: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

const insertTask = `INSERT INTO task VALUES (
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, NULL, 0, NULL, NULL, ?, ?, ?)`;

/** Notes the position that is passed for it; what no longer fits is forgotten, oldest first. */
const noted = `records = substr(records || ' ' || ?, -${recordsLength})`;

/** Puts a task into a state in which nobody works on it. */
function rest(db: Writer, { stream, at, position }: LogRecord, state: TaskState, reason: string | null): void {
  db.run(
    `UPDATE task SET state = ?, since = ?, updated_at = ?, reason = ?, claimed_by = NULL, ${noted} WHERE id = ?`,
    state,
    at,
    at,
    reason,
    position,
    stream,
  );
}

export const taskView: View = {
  name: 'task',
  tables: ['task', 'task_need'],
  schema,
  // Raised when `rest`, `insertTask` or `reasons` change: only the functions below are watched for changes.
  version: 1,
  applies: [
    on(taskEvents.created, (db, { stream: id, at, position, data }) => {
      db.run(
        insertTask,
        position,
        id,
        data.title,
        data.description,
        data.kind,
        data.queue,
        data.project,
        data.parent,
        data.run,
        data.assignee,
        JSON.stringify(data.needs),
        data.priority,
        JSON.stringify(data.payload),
        JSON.stringify(data.labels),
        JSON.stringify(data.retries),
        data.state,
        at,
        data.state === 'queued' ? null : reasons[data.state],
        data.notBefore,
        at,
        at,
        String(position),
      );
      if (data.state !== 'blocked') return;
      const open =
        "SELECT ?, value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM task WHERE id = value AND state = 'done')";
      db.run(`INSERT INTO task_need ${open}`, id, JSON.stringify(data.needs));
    }),
    on(taskEvents.updated, (db, { stream: id, at, position, data }) => {
      const { title = null, description = null, priority = null, labels, payload } = data;
      db.run(
        `UPDATE task SET updated_at = ?, title = coalesce(?, title), description = coalesce(?, description),
          priority = coalesce(?, priority), labels = coalesce(?, labels), payload = coalesce(?, payload), ${noted} WHERE id = ?`,
        at,
        title,
        description,
        priority,
        labels === undefined ? null : JSON.stringify(labels),
        payload === undefined ? null : JSON.stringify(payload),
        position,
        id,
      );
    }),
    on(taskEvents.assigned, (db, { stream: id, at, position, data }) => {
      db.run(`UPDATE task SET updated_at = ?, assignee = ?, ${noted} WHERE id = ?`, at, data.assignee, position, id);
    }),
    on(taskEvents.blocked, (db, record) => {
      rest(db, record, 'blocked', record.data.reason);
      db.run('UPDATE task SET uncounted = attempt WHERE id = ?', record.stream);
    }),
    on(taskEvents.queued, (db, record) => {
      const { stream: id, position, data } = record;
      if (data.reason === 'released') return db.run(`UPDATE task SET ${noted} WHERE id = ?`, position, id);
      rest(db, record, 'queued', reasons[data.reason]);
      if (data.reason === 'needs_met' || data.reason === 'due') return;
      db.run('UPDATE task SET uncounted = attempt, not_before = NULL WHERE id = ?', id);
    }),
    on(taskEvents.claimed, (db, { stream: id, at, position, data }) => {
      db.run(
        `UPDATE task SET state = 'claimed', since = ?, updated_at = ?, reason = NULL, claimed_by = ?, fence = ?, attempt = ?,
          ${noted} WHERE id = ?`,
        at,
        at,
        data.by,
        data.fence,
        data.attempt,
        position,
        id,
      );
    }),
    on(taskEvents.released, (db, record) => rest(db, record, 'queued', record.data.reason)),
    on(taskEvents.depended, (db, record) => {
      const { stream: id, data } = record;
      rest(db, record, 'blocked', reasons.blocked);
      const needs = JSON.stringify(data.needs);
      const joined = 'SELECT value FROM json_each(task.needs) UNION SELECT value FROM json_each(?)';
      db.run(
        `UPDATE task SET uncounted = uncounted + 1, needs = (SELECT json_group_array(value) FROM (${joined})) WHERE id = ?`,
        needs,
        id,
      );
      const open =
        "SELECT ?, value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM task WHERE id = value AND state = 'done')";
      db.run(`INSERT OR IGNORE INTO task_need ${open}`, id, needs);
    }),
    on(taskEvents.delayed, (db, record) => {
      const { until, error, free } = record.data;
      rest(db, record, 'delayed', error === null ? reasons.delayed : `${error.class}: ${error.message}`);
      db.run(
        'UPDATE task SET not_before = ?, uncounted = uncounted + ?, error = coalesce(?, error) WHERE id = ?',
        until,
        free ? 1 : 0,
        error === null ? null : JSON.stringify(error),
        record.stream,
      );
    }),
    on(taskEvents.waiting, (db, record) => {
      rest(db, record, 'waiting', `${record.data.for}: ${record.data.reason}`);
      // Nothing was tried: it only asked whether it may begin.
      if (record.data.for === 'approval')
        db.run('UPDATE task SET attempt = max(uncounted, attempt - 1) WHERE id = ?', record.stream);
    }),
    on(taskEvents.completed, (db, { stream: id, at, position, data }) => {
      db.run(
        `UPDATE task SET state = 'done', since = ?, updated_at = ?, reason = NULL, claimed_by = NULL, result = ?, error = NULL,
          ${noted} WHERE id = ?`,
        at,
        at,
        data.result === null ? null : JSON.stringify(data.result),
        position,
        id,
      );
      db.run('DELETE FROM task_need WHERE need = ?', id);
    }),
    on(taskEvents.failed, (db, record) => {
      const { error } = record.data;
      rest(db, record, 'failed', `${error.class}: ${error.message}`);
      db.run('UPDATE task SET error = ? WHERE id = ?', JSON.stringify(error), record.stream);
    }),
    on(taskEvents.cancelled, (db, record) => rest(db, record, 'cancelled', record.data.reason)),
  ],
};
