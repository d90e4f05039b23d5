import type { AgentConfiguration } from './configuration.ts';
import { conflict, invalid, notFound } from '../kernel/error.ts';
import type { Reader, SqlValue } from '../kernel/handler.ts';
import { resolveId } from '../kernel/resolve.ts';
import type { Agent, AgentState, Promised, Session, SessionRequest } from './contract.ts';
import { addUsage, type Bound } from './model.ts';
import type { Outcome, Usage } from './runtime.ts';

interface AgentRow {
  readonly sequence: number;
  readonly id: string;
  readonly name: string;
  readonly config: string;
  readonly state: AgentState;
  readonly since: number;
  readonly reason: string | null;
  readonly generation: number;
  readonly created_at: number;
}

interface UsageRow {
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly cache_read_tokens: number | null;
  readonly cache_write_tokens: number | null;
  readonly cost: number | null;
}

interface SessionRow extends UsageRow {
  readonly agent: string;
  readonly generation: number;
  readonly state: Session['state'];
  readonly config: string;
  readonly request: string;
  readonly promised: string | null;
  readonly folder: string;
  readonly session_id: string;
  readonly resumes: string | null;
  readonly pid: number | null;
  readonly start_time: string | null;
  readonly provider_session: string | null;
  readonly offset: number;
  readonly last_action: string | null;
  readonly waiting: string | null;
  readonly exit: string | null;
  readonly outcome: string | null;
  readonly requested_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
}

const nothing: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 0 };

/** Null until the program has reported usage: tokens and price come together. */
function usageOf(row: UsageRow): Usage | null {
  if (row.input_tokens === null) return null;
  return {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens ?? 0,
    cacheReadTokens: row.cache_read_tokens ?? 0,
    cacheWriteTokens: row.cache_write_tokens ?? 0,
    costUsd: row.cost,
  };
}

function sessionOf(row: SessionRow): Session {
  const request: SessionRequest = JSON.parse(row.request);
  const outcome: Outcome | null = row.outcome === null ? null : JSON.parse(row.outcome);
  const promised: Promised | null = row.promised === null ? null : JSON.parse(row.promised);
  return {
    agent: row.agent,
    generation: row.generation,
    state: row.state,
    request,
    promised,
    folder: row.folder,
    pid: row.pid,
    startTime: row.start_time,
    providerSession: row.provider_session,
    offset: row.offset,
    lastAction: row.last_action,
    usage: usageOf(row),
    exit: row.exit,
    outcome,
    requestedAt: row.requested_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

function agentOf(db: Reader, row: AgentRow): Agent {
  const config: AgentConfiguration = JSON.parse(row.config);
  const { id, name, state, since, reason, generation } = row;
  const session = generation === 0 ? undefined : sessionAt(db, id, generation);
  const usage = generation === 0 ? nothing : totalUsage(db, id);
  return {
    id,
    name,
    ...config,
    state,
    since,
    reason,
    generation,
    session: session ?? null,
    usage,
    createdAt: row.created_at,
  };
}

function totalUsage(db: Reader, id: string): Usage {
  const rows = db.all<UsageRow>(
    'SELECT input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost FROM session WHERE agent = ? AND input_tokens IS NOT NULL',
    id,
  );
  return rows.reduce((sum, row) => addUsage(sum, usageOf(row) ?? nothing), nothing);
}

/** What of an agent decides about its moves. */
export type AgentHead = Pick<Agent, 'id' | 'name' | 'state' | 'reason' | 'generation'>;

/** Finds an agent by its id, its name, or a unique beginning of its id. A name means the agent that has it now. */
export function resolveAgent(db: Reader, text: string): AgentHead {
  const columns = 'SELECT id, name, state, reason, generation FROM agent';
  const exact =
    db.get<AgentHead>(`${columns} WHERE id = ?`, text) ??
    db.get<AgentHead>(`${columns} WHERE name = ? AND state <> 'removed'`, text);
  if (exact !== undefined) return { ...exact };
  const id = resolveId(db, { table: 'agent', column: 'id', prefix: 'agent', what: 'agent' }, text);
  const found = db.get<AgentHead>(`${columns} WHERE id = ?`, id);
  if (found === undefined) throw notFound('agent', text, 'maos agent list shows the agents.');
  return { ...found };
}

/** The whole agent with its newest session. The id must be whole. */
export function agentAt(db: Reader, id: string): Agent {
  const row = db.get<AgentRow>('SELECT * FROM agent WHERE id = ?', id);
  if (row === undefined) throw notFound('agent', id, 'maos agent list shows the agents.');
  return agentOf(db, row);
}

/** Refuses a name that another agent has. */
export function checkName(db: Reader, name: string, but: string | null): void {
  const other = db.get<{ id: string }>("SELECT id FROM agent WHERE name = ? AND state <> 'removed'", name);
  if (other === undefined || other.id === but) return;
  throw conflict(`The name "${name}" is taken by agent ${other.id}.`, {
    fix: 'Choose another name, or remove that agent.',
  });
}

interface AgentFilter {
  readonly state?: readonly AgentState[] | undefined;
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly live?: boolean | undefined;
}

function where(filter: AgentFilter): { readonly sql: string; readonly values: SqlValue[] } {
  const terms: string[] = ['1'];
  const values: SqlValue[] = [];
  const live = "state NOT IN ('idle', 'removed')";
  if (filter.state === undefined) terms.push("state <> 'removed'");
  if (filter.live !== undefined) terms.push(filter.live ? live : `NOT (${live})`);
  if (filter.state !== undefined) {
    terms.push(`state IN (${filter.state.map(() => '?').join(', ')})`);
    values.push(...filter.state);
  }
  for (const field of ['team', 'project'] as const) {
    const value = filter[field];
    if (value === undefined) continue;
    terms.push(`${field} = ?`);
    values.push(value);
  }
  return { sql: terms.join(' AND '), values };
}

/** A page of agents, newest first; removed ones only when their state is asked for. */
export function listAgents(
  db: Reader,
  filter: AgentFilter & { readonly limit: number; readonly cursor?: string | undefined },
): { agents: Agent[]; next: string | null } {
  const { sql, values } = where(filter);
  const before = filter.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(filter.cursor);
  if (!Number.isSafeInteger(before)) {
    throw invalid(`"${filter.cursor}" is not a cursor.`, { fix: 'Give the `next` of the page before, or no cursor.' });
  }
  const rows = db.all<AgentRow>(
    `SELECT * FROM agent WHERE ${sql} AND sequence < ? ORDER BY sequence DESC LIMIT ?`,
    ...values,
    before,
    filter.limit + 1,
  );
  const page = rows.slice(0, filter.limit);
  const last = page.at(-1);
  const next = rows.length > page.length && last !== undefined ? String(last.sequence) : null;
  return { agents: page.map((row) => agentOf(db, row)), next };
}

/** The ids of all agents of a team or a project that were not removed. */
export function agentIds(db: Reader, filter: AgentFilter): string[] {
  const { sql, values } = where(filter);
  return db.all<{ id: string }>(`SELECT id FROM agent WHERE ${sql} ORDER BY sequence`, ...values).map(({ id }) => id);
}

export function sessionAt(db: Reader, agent: string, generation: number): Session | undefined {
  const row = db.get<SessionRow>('SELECT * FROM session WHERE agent = ? AND generation = ?', agent, generation);
  return row === undefined ? undefined : sessionOf(row);
}

export function sessionsOf(db: Reader, agent: string, limit: number): Session[] {
  return db
    .all<SessionRow>('SELECT * FROM session WHERE agent = ? ORDER BY generation DESC LIMIT ?', agent, limit)
    .map(sessionOf);
}

/** The newest conversation of an agent that its runtime can continue: the provider's id of it. */
export function lastConversation(db: Reader, agent: string, runtime: string): string | null {
  const sql = `SELECT provider_session AS id FROM session
    WHERE agent = ? AND provider_session IS NOT NULL AND config ->> 'runtime' = ? ORDER BY generation DESC LIMIT 1`;
  return db.get<{ id: string }>(sql, agent, runtime)?.id ?? null;
}

/** A session with what it was started with: all that the runner needs. */
export interface Assignment {
  readonly session: Session;
  readonly name: string;
  readonly agentState: AgentState;
  readonly reason: string | null;
  readonly config: AgentConfiguration;
  readonly sessionId: string;
  /** The provider's session id to continue. */
  readonly resumes: string | null;
  /** What earlier sessions of the conversation that it continues have used, as far as the program itself has recorded it. */
  readonly earlier: Usage | null;
}

/** What a session may use: the least of its limits and of what it was promised. */
export function boundOf(assignment: Pick<Assignment, 'session' | 'config'>): Bound {
  const { promised } = assignment.session;
  const { usd, tokens } = limitsOf(assignment);
  return { usd: least(usd, promised?.usd), tokens: least(tokens, promised?.tokens) };
}

/** The least of its agent’s limits and of what it was asked to keep within. */
export function limitsOf({ session, config }: Pick<Assignment, 'session' | 'config'>): Bound {
  const { budgetUsd, budgetTokens } = config.limits;
  return { usd: least(budgetUsd, session.request.budgetUsd), tokens: least(budgetTokens) };
}

function least(...bounds: readonly (number | null | undefined)[]): number | null {
  const known = bounds.filter((bound) => typeof bound === 'number');
  return known.length === 0 ? null : Math.min(...known);
}

/** A program that was killed has recorded nothing of that session. */
function usedBefore(db: Reader, { agent, generation, resumes }: SessionRow): Usage | null {
  if (resumes === null) return null;
  const sql = `SELECT input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost FROM session
    WHERE agent = ? AND generation < ? AND provider_session = ? AND cost IS NOT NULL AND exit LIKE 'exit %'`;
  const rows = db.all<UsageRow>(sql, agent, generation, resumes);
  return rows.reduce((sum, row) => addUsage(sum, usageOf(row) ?? nothing), nothing);
}

export function assignmentAt(db: Reader, agent: string, generation: number): Assignment | undefined {
  const row = db.get<SessionRow>('SELECT * FROM session WHERE agent = ? AND generation = ?', agent, generation);
  const head = db.get<AgentHead>('SELECT name, state, reason FROM agent WHERE id = ?', agent);
  if (row === undefined || head === undefined) return undefined;
  const config: AgentConfiguration = JSON.parse(row.config);
  const { session_id: sessionId, resumes } = row;
  return {
    session: sessionOf(row),
    name: head.name,
    agentState: head.state,
    reason: head.reason,
    config,
    sessionId,
    resumes,
    earlier: usedBefore(db, row),
  };
}

/** Every session that the log does not call ended. */
export function liveSessions(db: Reader): { agent: string; generation: number }[] {
  const sql = "SELECT agent, generation FROM session WHERE state <> 'ended' ORDER BY agent";
  return db.all<{ agent: string; generation: number }>(sql).map((row) => ({ ...row }));
}

/** The sessions that ended last. */
export function endedSessions(db: Reader, limit: number): { agent: string; generation: number }[] {
  const sql = "SELECT agent, generation FROM session WHERE state = 'ended' ORDER BY ended_at DESC LIMIT ?";
  return db.all<{ agent: string; generation: number }>(sql, limit).map((row) => ({ ...row }));
}
