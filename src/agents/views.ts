import type { AgentConfiguration } from './configuration.ts';
import { on, type SqlValue, type View, type Writer } from '../kernel/handler.ts';
import { agentEvents, type AgentState } from './contract.ts';
import { type Move, stateAfter } from './model.ts';
import type { Usage } from './runtime.ts';

/**
 * `session.config` is the agent's configuration when the session was requested: an update changes the next session, not
 * this one. Usage stands in columns, so that an agent's total is a sum over its sessions.
 */
const schema = `
  CREATE TABLE agent (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, config TEXT NOT NULL, team TEXT, project TEXT,
    state TEXT NOT NULL, since INTEGER NOT NULL, reason TEXT, generation INTEGER NOT NULL, created_at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX agent_name ON agent (name) WHERE state <> 'removed';
  CREATE INDEX agent_live ON agent (sequence) WHERE state NOT IN ('idle', 'removed');
  CREATE INDEX agent_team ON agent (team) WHERE team IS NOT NULL;
  CREATE INDEX agent_project ON agent (project) WHERE project IS NOT NULL;
  CREATE TABLE session (
    agent TEXT NOT NULL, generation INTEGER NOT NULL, state TEXT NOT NULL, config TEXT NOT NULL, request TEXT NOT NULL,
    folder TEXT NOT NULL, session_id TEXT NOT NULL, resumes TEXT, pid INTEGER, start_time TEXT, provider_session TEXT,
    offset INTEGER NOT NULL, last_action TEXT, waiting TEXT, input_tokens INTEGER, output_tokens INTEGER,
    cache_read_tokens INTEGER, cache_write_tokens INTEGER, cost REAL, exit TEXT, outcome TEXT, requested_at INTEGER NOT NULL,
    started_at INTEGER, ended_at INTEGER, promised TEXT, PRIMARY KEY (agent, generation)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX session_live ON session (agent) WHERE state <> 'ended';
  CREATE INDEX session_ended ON session (ended_at) WHERE state = 'ended';
`;

/** Moves an agent; a move that its state does not allow leaves it, because the log has already decided. */
function move(db: Writer, id: string, at: number, which: Move, reason: string | null): void {
  const row = db.get<{ state: AgentState }>('SELECT state FROM agent WHERE id = ?', id);
  const state = row === undefined ? undefined : stateAfter(row.state, which);
  if (row === undefined || state === undefined) return;
  const since = state === row.state ? null : at;
  db.run('UPDATE agent SET state = ?, since = coalesce(?, since), reason = ? WHERE id = ?', state, since, reason, id);
}

function configure(db: Writer, id: string, configuration: AgentConfiguration & { readonly name: string }): void {
  const { name, ...config } = configuration;
  const { team, project } = config;
  db.run(
    'UPDATE agent SET name = ?, config = ?, team = ?, project = ? WHERE id = ?',
    name,
    JSON.stringify(config),
    team,
    project,
    id,
  );
}

function use(db: Writer, id: string, generation: number, usage: Usage | null): void {
  if (usage === null) return;
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costUsd } = usage;
  const values: SqlValue[] = [inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costUsd];
  db.run(
    `UPDATE session SET input_tokens = ?, output_tokens = ?, cache_read_tokens = ?, cache_write_tokens = ?, cost = ?
      WHERE agent = ? AND generation = ?`,
    ...values,
    id,
    generation,
  );
}

export const agentView: View = {
  name: 'agents',
  tables: ['agent', 'session'],
  schema,
  // Raised when `move`, `configure`, `use` or the moves in model.ts change: only the functions below are watched for changes.
  version: 1,
  applies: [
    on(agentEvents.created, (db, { stream: id, at, position, data }) => {
      db.run(
        "INSERT INTO agent VALUES (?, ?, ?, '{}', NULL, NULL, 'idle', ?, NULL, 0, ?)",
        position,
        id,
        data.name,
        at,
        at,
      );
      configure(db, id, data);
    }),
    on(agentEvents.updated, (db, { stream: id, data }) => configure(db, id, data)),
    on(agentEvents.removed, (db, { stream: id, at, data }) => move(db, id, at, 'remove', data.reason)),
    on(agentEvents.requested, (db, { stream: id, at, data }) => {
      db.run(
        `INSERT INTO session SELECT id, ?, 'starting', config, ?, ?, ?, ?, NULL, NULL, ?, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
          NULL, NULL, ?, NULL, NULL, ? FROM agent WHERE id = ?`,
        data.generation,
        JSON.stringify(data.request),
        data.folder,
        data.sessionId,
        data.providerSession,
        data.providerSession,
        at,
        data.promised === undefined || data.promised === null ? null : JSON.stringify(data.promised),
        id,
      );
      db.run('UPDATE agent SET generation = ? WHERE id = ?', data.generation, id);
      move(db, id, at, 'request', 'its process is being started');
    }),
    on(agentEvents.started, (db, { stream: id, at, data }) => {
      const first =
        "UPDATE session SET state = 'running', pid = ?, start_time = ?, started_at = coalesce(started_at, ?)";
      db.run(`${first} WHERE agent = ? AND generation = ?`, data.pid, data.startTime, at, id, data.generation);
      const reason = db.get<{ state: AgentState; reason: string | null }>(
        'SELECT state, reason FROM agent WHERE id = ?',
        id,
      );
      move(db, id, at, 'started', reason?.state === 'starting' ? null : (reason?.reason ?? null));
    }),
    on(agentEvents.observed, (db, { stream: id, data }) => {
      db.run(
        `UPDATE session SET offset = ?, provider_session = coalesce(?, provider_session), last_action = coalesce(?, last_action), waiting = ?
          WHERE agent = ? AND generation = ?`,
        data.offset,
        data.providerSession,
        data.action,
        data.waiting,
        id,
        data.generation,
      );
      use(db, id, data.generation, data.usage);
      db.run("UPDATE agent SET reason = ? WHERE id = ? AND state = 'running'", data.waiting, id);
    }),
    on(agentEvents.signalled, (db, { stream: id, at, data }) => {
      move(db, id, at, data.signal, data.signal === 'resume' || data.signal === 'interrupt' ? null : data.reason);
    }),
    on(agentEvents.ended, (db, { stream: id, at, data }) => {
      db.run(
        `UPDATE session SET state = 'ended', offset = ?, exit = ?, outcome = ?, waiting = NULL, ended_at = ?
          WHERE agent = ? AND generation = ?`,
        data.offset,
        data.exit,
        JSON.stringify(data.outcome),
        at,
        id,
        data.generation,
      );
      use(db, id, data.generation, data.usage);
      move(db, id, at, 'ended', data.outcome.kind === 'succeeded' ? null : data.outcome.message);
    }),
  ],
};
