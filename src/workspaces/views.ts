import { notFound } from '../kernel/error.ts';
import { on, type Reader, type SqlValue, type View } from '../kernel/handler.ts';
import { resolveId } from '../kernel/resolve.ts';
import { workspaceVariables } from './git/environment.ts';
import { type Merge, mergeEvents, type Workspace, workspace, workspaceEvents } from './contract.ts';
import { merge } from './merge.ts';

export const workspaceView: View = {
  name: 'workspaces',
  tables: ['workspace', 'merge'],
  schema: `
    CREATE TABLE workspace (
      id TEXT PRIMARY KEY, project TEXT NOT NULL, key TEXT NOT NULL UNIQUE, path TEXT NOT NULL, branch TEXT NOT NULL, base TEXT NOT NULL,
      state TEXT NOT NULL, since INTEGER NOT NULL, reason TEXT, holder TEXT, absent TEXT NOT NULL, port_from INTEGER NOT NULL,
      port_count INTEGER NOT NULL, rescue TEXT, trash TEXT, created_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX workspace_state ON workspace (state, created_at);
    CREATE TABLE merge (
      id TEXT PRIMARY KEY, project TEXT NOT NULL, branch TEXT NOT NULL, "commit" TEXT NOT NULL, task TEXT NOT NULL, title TEXT NOT NULL,
      checks TEXT NOT NULL, env TEXT NOT NULL, timeout_ms INTEGER NOT NULL, checked INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL,
      landed TEXT, files TEXT NOT NULL, onto TEXT, evidence TEXT NOT NULL, reason TEXT
    ) STRICT;
    CREATE INDEX merge_task ON merge (task);
    CREATE INDEX merge_open ON merge (project, branch) WHERE state = 'queued';
  `,
  applies: [
    on(workspaceEvents.requested, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO workspace VALUES (?, ?, ?, ?, ?, ?, 'requested', ?, NULL, ?, '[]', ?, ?, NULL, NULL, ?)`,
        stream,
        data.project,
        data.key,
        data.path,
        data.branch,
        data.base,
        at,
        data.holder,
        data.ports.from,
        data.ports.count,
        at,
      ),
    ),
    on(workspaceEvents.ready, (db, { stream, at, data }) =>
      db.run(
        `UPDATE workspace SET state = 'ready', since = ?, reason = NULL, absent = ? WHERE id = ?`,
        at,
        JSON.stringify(data.absent),
        stream,
      ),
    ),
    on(workspaceEvents.failed, (db, { stream, at, data }) =>
      db.run(`UPDATE workspace SET state = 'failed', since = ?, reason = ? WHERE id = ?`, at, data.reason, stream),
    ),
    on(workspaceEvents.held, (db, { stream, data }) =>
      db.run('UPDATE workspace SET holder = ? WHERE id = ?', data.holder, stream),
    ),
    on(workspaceEvents.released, (db, { stream }) => db.run('UPDATE workspace SET holder = NULL WHERE id = ?', stream)),
    on(workspaceEvents.trashed, (db, { stream, at, data }) =>
      db.run(
        `UPDATE workspace SET state = 'trashed', since = ?, reason = ?, trash = ?, rescue = coalesce(?, rescue), holder = NULL WHERE id = ?`,
        at,
        data.reason,
        data.trash,
        data.rescue,
        stream,
      ),
    ),
    on(workspaceEvents.restored, (db, { stream, at, data }) =>
      db.run(
        `UPDATE workspace SET state = 'ready', since = ?, reason = NULL, trash = NULL, path = ?, branch = ? WHERE id = ?`,
        at,
        data.path,
        data.branch,
        stream,
      ),
    ),
    on(workspaceEvents.purged, (db, { stream, at }) =>
      db.run(`UPDATE workspace SET state = 'removed', since = ?, trash = NULL WHERE id = ?`, at, stream),
    ),
    on(mergeEvents.queued, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO merge VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, NULL, '[]', NULL, '[]', NULL)`,
        stream,
        data.project,
        data.branch,
        data.commit,
        data.task,
        data.title,
        JSON.stringify(data.checks),
        JSON.stringify(data.env),
        data.timeoutMs,
        data.checked ? 1 : 0,
        at,
      ),
    ),
    on(mergeEvents.landed, (db, { stream, at, data }) =>
      db.run(
        `UPDATE merge SET state = 'landed', since = ?, landed = ?, onto = ?, evidence = ? WHERE id = ?`,
        at,
        data.commit,
        data.onto,
        JSON.stringify(data.evidence),
        stream,
      ),
    ),
    on(mergeEvents.conflicted, (db, { stream, at, data }) =>
      db.run(
        `UPDATE merge SET state = 'conflict', since = ?, files = ?, onto = ? WHERE id = ?`,
        at,
        JSON.stringify(data.files),
        data.onto,
        stream,
      ),
    ),
    on(mergeEvents.rejected, (db, { stream, at, data }) =>
      db.run(
        `UPDATE merge SET state = 'rejected', since = ?, onto = ?, evidence = ? WHERE id = ?`,
        at,
        data.onto,
        JSON.stringify(data.evidence),
        stream,
      ),
    ),
    on(mergeEvents.withdrawn, (db, { stream, at, data }) =>
      db.run(`UPDATE merge SET state = 'withdrawn', since = ?, reason = ? WHERE id = ?`, at, data.reason, stream),
    ),
  ],
};

interface WorkspaceRow {
  readonly id: string;
  readonly project: string;
  readonly key: string;
  readonly path: string;
  readonly branch: string;
  readonly base: string;
  readonly state: string;
  readonly since: number;
  readonly reason: string | null;
  readonly holder: string | null;
  readonly absent: string;
  readonly port_from: number;
  readonly port_count: number;
  readonly rescue: string | null;
  readonly trash: string | null;
  readonly created_at: number;
}

function workspaceOf(row: WorkspaceRow): Workspace {
  const { port_from, port_count, created_at, absent, ...same } = row;
  return workspace().parse({
    ...same,
    absent: JSON.parse(absent),
    ports: { from: port_from, count: port_count },
    env: workspaceVariables({ ...same, ports: { base: port_from, size: port_count } }),
    createdAt: created_at,
  });
}

/** A workspace by its id or a unique beginning of it. */
export function getWorkspace(db: Reader, text: string): Workspace {
  const id = resolveId(db, { table: 'workspace', column: 'id', prefix: 'ws', what: 'workspace' }, text);
  const row = db.get<WorkspaceRow>('SELECT * FROM workspace WHERE id = ?', id);
  if (row === undefined) throw notFound('workspace', text, 'maos workspace list shows them.');
  return workspaceOf(row);
}

export function workspaceFor(db: Reader, key: string): Workspace | undefined {
  const row = db.get<WorkspaceRow>('SELECT * FROM workspace WHERE key = ?', key);
  return row === undefined ? undefined : workspaceOf(row);
}

export interface WorkspaceFilter {
  readonly state?: readonly string[] | undefined;
  readonly project?: string | undefined;
  readonly key?: string | undefined;
  readonly limit: number;
}

export function listWorkspaces(db: Reader, filter: WorkspaceFilter): Workspace[] {
  const values: SqlValue[] = [];
  const wheres: string[] = [];
  if (filter.state !== undefined) {
    wheres.push('state IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify(filter.state));
  }
  if (filter.project !== undefined) {
    wheres.push('project = ?');
    values.push(filter.project);
  }
  if (filter.key !== undefined) {
    wheres.push('key >= ? AND key < ?');
    values.push(filter.key, `${filter.key}\u{10ffff}`);
  }
  const where = wheres.length === 0 ? '' : `WHERE ${wheres.join(' AND ')}`;
  const sql = `SELECT * FROM workspace ${where} ORDER BY created_at DESC, id LIMIT ?`;
  return db.all<WorkspaceRow>(sql, ...values, filter.limit).map(workspaceOf);
}

/** The port ranges that workspaces have which are there or may yet be made. */
export function takenPorts(db: Reader): { base: number; size: number }[] {
  const sql = `SELECT port_from AS base, port_count AS size FROM workspace WHERE state IN ('requested', 'ready', 'failed')`;
  return db.all<{ base: number; size: number }>(sql);
}

interface MergeRow {
  readonly id: string;
  readonly project: string;
  readonly branch: string;
  readonly commit: string;
  readonly task: string;
  readonly title: string;
  readonly checks: string;
  readonly env: string;
  readonly timeout_ms: number;
  readonly checked: number;
  readonly state: string;
  readonly since: number;
  readonly landed: string | null;
  readonly files: string;
  readonly onto: string | null;
  readonly evidence: string;
  readonly reason: string | null;
}

/** A merge with what only the queue needs. */
export interface QueuedMerge extends Merge {
  readonly env: Readonly<Record<string, string>>;
  readonly checked: boolean;
}

function mergeOf(row: MergeRow): QueuedMerge {
  const { timeout_ms, env, checked, checks, files, evidence, ...same } = row;
  const parsed = merge().parse({
    ...same,
    checks: JSON.parse(checks),
    files: JSON.parse(files),
    evidence: JSON.parse(evidence),
    timeoutMs: timeout_ms,
  });
  return { ...parsed, env: JSON.parse(env), checked: checked === 1 };
}

export function findMerge(db: Reader, id: string): QueuedMerge | undefined {
  const row = db.get<MergeRow>('SELECT * FROM merge WHERE id = ?', id);
  return row === undefined ? undefined : mergeOf(row);
}

export function getMerge(db: Reader, id: string): QueuedMerge {
  const found = findMerge(db, id);
  if (found === undefined) throw notFound('merge', id, 'maos merge list shows them.');
  return found;
}

/** The merge of this task's commit that is on its way or has landed. */
export function mergeOfTask(db: Reader, task: string, commit: string): QueuedMerge | undefined {
  const sql = `SELECT * FROM merge WHERE task = ? AND "commit" = ? AND state IN ('queued', 'landed')`;
  const row = db.get<MergeRow>(sql, task, commit);
  return row === undefined ? undefined : mergeOf(row);
}

export function listMerges(
  db: Reader,
  filter: {
    readonly state?: readonly string[] | undefined;
    readonly branch?: string | undefined;
    readonly task?: string | undefined;
    readonly limit: number;
  },
): QueuedMerge[] {
  const sql = `SELECT * FROM merge WHERE (?1 IS NULL OR state IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR branch = ?2)
    AND (?3 IS NULL OR task = ?3) ORDER BY rowid DESC LIMIT ?4`;
  const state = filter.state === undefined ? null : JSON.stringify(filter.state);
  return db.all<MergeRow>(sql, state, filter.branch ?? null, filter.task ?? null, filter.limit).map(mergeOf);
}
