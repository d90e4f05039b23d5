import { agentEvents } from '../agents/contract.ts';
import { on, type View, type Writer } from '../kernel/handler.ts';
import { projectEvents } from '../projects/contract.ts';
import { taskEvents } from '../tasks/contract.ts';
import { runEvents } from './contract.ts';

/** Sets a task's state as its run sees it; tasks outside of runs have no row here. */
function setState(db: Writer, task: string, state: string, at: number, reason: string | null): void {
  db.run('UPDATE step SET state = ?, since = ?, reason = ?, waits = NULL WHERE task = ?', state, at, reason, task);
}

interface Used {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costUsd: number | null;
}

/** What a session has used so far, for the run of the task it works for. */
function setUsage(db: Writer, agent: string, generation: number, used: Used | null): void {
  if (used === null) return;
  const tokens = used.inputTokens + used.outputTokens + used.cacheReadTokens + used.cacheWriteTokens;
  const sql = 'UPDATE run_usage SET cost = ?, tokens = ? WHERE agent = ? AND generation = ?';
  db.run(sql, used.costUsd, tokens, agent, generation);
}

const schema = `
  CREATE TABLE run (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, project TEXT NOT NULL, repository TEXT NOT NULL, base TEXT NOT NULL, branch TEXT NOT NULL, target TEXT,
    concurrency INTEGER NOT NULL, continues TEXT, inputs TEXT NOT NULL, plan TEXT NOT NULL,
    file TEXT, state TEXT NOT NULL, since INTEGER NOT NULL, reason TEXT, merged TEXT, report TEXT, removed INTEGER NOT NULL,
    created_at INTEGER NOT NULL, ended_at INTEGER
  ) STRICT;
  CREATE INDEX run_state ON run (state, created_at);
  CREATE TABLE step (
    task TEXT PRIMARY KEY, run TEXT NOT NULL, plan_id TEXT NOT NULL, planned TEXT NOT NULL, key TEXT NOT NULL, reuse TEXT,
    state TEXT NOT NULL, since INTEGER NOT NULL, reason TEXT, waits TEXT, phase TEXT NOT NULL, fence INTEGER NOT NULL, attempt INTEGER NOT NULL, tries INTEGER NOT NULL,
    agent TEXT, generation INTEGER, workspace TEXT, base TEXT, commit_id TEXT, produced_base TEXT, landed TEXT, changed TEXT,
    outputs TEXT NOT NULL, summary TEXT, evidence TEXT NOT NULL, conflicts INTEGER NOT NULL, resolving TEXT, files TEXT NOT NULL,
    merge TEXT, feedback TEXT, reused INTEGER NOT NULL, accepted INTEGER NOT NULL DEFAULT 0, last_action TEXT, started_at INTEGER, ended_at INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX step_plan ON step (run, plan_id);
  CREATE INDEX step_state ON step (run, state);
  CREATE INDEX step_agent ON step (agent);
  CREATE INDEX step_claimed ON step (run) WHERE state = 'claimed';
  CREATE INDEX step_waits ON step (waits) WHERE waits IS NOT NULL;
  CREATE TABLE run_usage (
    run TEXT NOT NULL, agent TEXT NOT NULL, generation INTEGER NOT NULL, task TEXT NOT NULL, cost REAL, tokens INTEGER NOT NULL,
    PRIMARY KEY (agent, generation)
  ) STRICT;
  CREATE INDEX run_usage_run ON run_usage (run);
  CREATE INDEX run_usage_task ON run_usage (task);
  CREATE INDEX step_merge ON step (merge) WHERE merge IS NOT NULL;
`;

const runApplies = [
  on(runEvents.created, (db, { stream, at, data }) =>
    db.run(
      `INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, NULL, NULL, NULL, 0, ?, NULL)`,
      stream,
      data.name,
      data.project,
      data.repository,
      data.base,
      data.branch,
      data.target,
      data.concurrency,
      data.continues,
      JSON.stringify(data.inputs),
      data.plan,
      data.file,
      at,
      at,
    ),
  ),
  on(runEvents.waiting, (db, { stream, at, data }) =>
    db.run(`UPDATE run SET state = 'waiting', since = ?, reason = ? WHERE id = ?`, at, data.reason, stream),
  ),
  on(runEvents.resumed, (db, { stream, at }) =>
    db.run(`UPDATE run SET state = 'running', since = ?, reason = NULL, ended_at = NULL WHERE id = ?`, at, stream),
  ),
  on(runEvents.ended, (db, { stream, at, data }) =>
    db.run(
      'UPDATE run SET state = ?, since = ?, reason = ?, ended_at = ? WHERE id = ?',
      data.state,
      at,
      data.reason,
      at,
      stream,
    ),
  ),
  on(runEvents.reported, (db, { stream, data }) =>
    db.run('UPDATE run SET report = ? WHERE id = ?', data.report, stream),
  ),
  on(runEvents.merged, (db, { stream, at, data }) =>
    db.run('UPDATE run SET merged = ? WHERE id = ?', JSON.stringify({ ...data, at }), stream),
  ),
  on(runEvents.unmerged, (db, { stream }) => db.run('UPDATE run SET merged = NULL WHERE id = ?', stream)),
  on(projectEvents.moved, (db, { stream, data }) =>
    db.run('UPDATE run SET repository = ? WHERE project = ?', data.path, stream),
  ),
  on(runEvents.removed, (db, { stream }) => db.run('UPDATE run SET removed = 1 WHERE id = ?', stream)),
];

const stepApplies = [
  on(runEvents.step, (db, { stream, at, data }) =>
    db.run(
      `INSERT INTO step (task, run, plan_id, planned, key, reuse, state, since, phase, fence, attempt, tries, outputs, evidence, conflicts, files, reused)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', 0, 0, 0, '{}', '[]', 0, '[]', 0)
       ON CONFLICT (task) DO UPDATE SET planned = ?4, key = ?5, reuse = coalesce(?6, reuse)`,
      stream,
      data.run,
      data.planned.id,
      JSON.stringify(data.planned),
      data.key,
      data.reuse,
      data.ready ? 'queued' : 'blocked',
      at,
    ),
  ),
  on(runEvents.prepared, (db, { stream, at, data }) =>
    db.run(
      `UPDATE step SET phase = 'preparing', attempt = ?, tries = tries + 1, workspace = ?, base = ?, generation = NULL, commit_id = NULL,
       produced_base = NULL, landed = NULL, changed = NULL, outputs = '{}', evidence = '[]', resolving = NULL, files = '[]', merge = NULL,
       reused = 0, last_action = NULL, started_at = coalesce(started_at, ?), ended_at = NULL WHERE task = ?`,
      data.attempt,
      data.workspace,
      data.base,
      at,
      stream,
    ),
  ),
  on(runEvents.accepted, (db, { stream }) => db.run('UPDATE step SET accepted = 1 WHERE task = ?', stream)),
  on(runEvents.working, (db, { stream, data }) =>
    db.run(
      'UPDATE step SET phase = ?, agent = ?, generation = ?, resolving = ?, last_action = NULL WHERE task = ?',
      data.resolving === null ? 'working' : 'resolving',
      data.agent,
      data.generation,
      data.resolving,
      stream,
    ),
  ),
  on(runEvents.produced, (db, { stream, at, data }) =>
    db.run(
      `UPDATE step SET phase = 'checking', attempt = ?, commit_id = ?, produced_base = ?, changed = ?, outputs = ?, summary = ?, reused = ?, accepted = 0,
       merge = NULL, started_at = coalesce(started_at, ?) WHERE task = ?`,
      data.attempt,
      data.commit,
      data.base,
      JSON.stringify(data.changed),
      JSON.stringify(data.outputs),
      data.summary,
      data.reused ? 1 : 0,
      at,
      stream,
    ),
  ),
  on(runEvents.checked, (db, { stream, data }) =>
    db.run(
      `UPDATE step SET phase = CASE ? WHEN 1 THEN 'merging' ELSE phase END, evidence = ? WHERE task = ?`,
      data.passed ? 1 : 0,
      JSON.stringify(data.evidence),
      stream,
    ),
  ),
  on(runEvents.merging, (db, { stream, data }) =>
    db.run(
      `UPDATE step SET phase = 'merging', attempt = ?, merge = ? WHERE task = ?`,
      data.attempt,
      data.merge,
      stream,
    ),
  ),
  on(runEvents.conflicted, (db, { stream, data }) =>
    db.run(
      `UPDATE step SET phase = 'resolving', generation = NULL, resolving = ?, files = ?, conflicts = conflicts + 1, merge = NULL WHERE task = ?`,
      data.onto,
      JSON.stringify(data.files),
      stream,
    ),
  ),
  on(runEvents.landed, (db, { stream, at, data }) =>
    db.run(
      `UPDATE step SET phase = 'done', landed = ?, feedback = NULL, ended_at = ? WHERE task = ?`,
      data.commit,
      at,
      stream,
    ),
  ),
  on(runEvents.failed, (db, { stream, at, data }) =>
    // A result of an earlier run that was refused here is not offered again, and a person vouched for one attempt only.
    db.run(
      `UPDATE step SET phase = 'failed', feedback = ?, ended_at = ?, accepted = 0,
       reuse = CASE reused WHEN 1 THEN NULL ELSE reuse END WHERE task = ?`,
      data.feedback,
      at,
      stream,
    ),
  ),
];

const taskApplies = [
  on(taskEvents.queued, (db, { stream, at, data }) => {
    setState(db, stream, 'queued', at, null);
    if (data.reason !== 'retried' && data.reason !== 'resolved') return;
    const sql = `UPDATE run SET state = 'running', since = ?, reason = NULL, ended_at = NULL
      WHERE state <> 'running' AND removed = 0 AND id = (SELECT run FROM step WHERE task = ?)`;
    db.run(sql, at, stream);
  }),
  on(taskEvents.claimed, (db, { stream, at, data }) => {
    setState(db, stream, 'claimed', at, null);
    db.run('UPDATE step SET fence = ? WHERE task = ?', data.fence, stream);
  }),
  on(taskEvents.released, (db, { stream, at, data }) => setState(db, stream, 'queued', at, data.reason)),
  on(taskEvents.depended, (db, { stream, at }) => setState(db, stream, 'blocked', at, null)),
  on(taskEvents.blocked, (db, { stream, at, data }) => setState(db, stream, 'blocked', at, data.reason)),
  on(taskEvents.delayed, (db, { stream, at, data }) =>
    setState(db, stream, 'delayed', at, data.error?.message ?? null),
  ),
  on(taskEvents.waiting, (db, { stream, at, data }) => {
    setState(db, stream, 'waiting', at, data.reason);
    // Nothing was tried: it only asked whether it may begin.
    if (data.for === 'approval') db.run('UPDATE step SET tries = max(0, tries - 1) WHERE task = ?', stream);
    db.run('UPDATE step SET waits = ? WHERE task = ?', data.for, stream);
  }),
  on(taskEvents.completed, (db, { stream, at }) => setState(db, stream, 'done', at, null)),
  on(taskEvents.failed, (db, { stream, at, data }) => setState(db, stream, 'failed', at, data.error.message)),
  on(taskEvents.cancelled, (db, { stream, at, data }) => {
    setState(db, stream, 'cancelled', at, data.reason);
    // What a run waited for may be gone: it is looked at again.
    const sql = `UPDATE run SET state = 'running', since = ?, reason = NULL
      WHERE state = 'waiting' AND removed = 0 AND id = (SELECT run FROM step WHERE task = ?)`;
    db.run(sql, at, stream);
  }),
];

const agentApplies = [
  on(agentEvents.requested, (db, { stream, data: { generation, request } }) => {
    // A command uses no tokens and no money.
    if (request.argv !== null) return;
    // A session that a person starts by hand may name no task; its agent is then of the step it has worked for.
    db.run(
      `INSERT INTO run_usage SELECT run, ?1, ?2, task, NULL, 0 FROM step WHERE task = ?3 OR (?3 IS NULL AND agent = ?1) LIMIT 1`,
      stream,
      generation,
      request.task,
    );
  }),
  on(agentEvents.observed, (db, { stream, data }) => {
    if (data.action !== null) {
      db.run(
        'UPDATE step SET last_action = ? WHERE agent = ? AND generation = ?',
        data.action,
        stream,
        data.generation,
      );
    }
    setUsage(db, stream, data.generation, data.usage);
  }),
  on(agentEvents.ended, (db, { stream, data }) => setUsage(db, stream, data.generation, data.usage)),
];

/** Runs, their steps and what they have used. Also follows tasks and agents, so that a run is read in one query. */
export const runView: View = {
  name: 'workflows',
  tables: ['run', 'step', 'run_usage'],
  schema,
  applies: [...runApplies, ...stepApplies, ...taskApplies, ...agentApplies],
};
