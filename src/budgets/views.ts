import { agentEvents } from '../agents/contract.ts';
import { on, type View, type Writer } from '../kernel/handler.ts';
import { type BudgetTerms, budgetEvents, payer } from './contract.ts';
import { dayOf, daysOf, spanOf } from './period.ts';

/**
 * Budgets, what each day has used of each payer, and the sessions that use and have been promised something. Money is counted in
 * millionths of a dollar: whole numbers, whose sums are exact. `budget_day` has all payers, also those without a budget: one that is
 * set later counts what was used before. `budget_payer` has the sessions that have not ended.
 */
const schema = `
  CREATE TABLE budget (
    id TEXT PRIMARY KEY, payer TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, project TEXT, run TEXT, usd REAL,
    tokens INTEGER, period TEXT NOT NULL, at_limit TEXT NOT NULL, share REAL, span TEXT NOT NULL, allowed INTEGER NOT NULL,
    allowed_tokens INTEGER NOT NULL, forgiven INTEGER NOT NULL, round INTEGER NOT NULL, approval TEXT, denied INTEGER NOT NULL, set_at INTEGER NOT NULL,
    set_by TEXT NOT NULL, UNIQUE (payer, period)
  ) STRICT;
  CREATE INDEX budget_run ON budget (run) WHERE run IS NOT NULL;
  CREATE INDEX budget_approval ON budget (approval) WHERE approval IS NOT NULL;
  CREATE TABLE budget_day (
    payer TEXT NOT NULL, day TEXT NOT NULL, cost INTEGER NOT NULL, tokens INTEGER NOT NULL, unknown INTEGER NOT NULL, PRIMARY KEY (payer, day)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE budget_session (
    agent TEXT NOT NULL, generation INTEGER NOT NULL, payers TEXT NOT NULL, promised INTEGER, promised_tokens INTEGER, cost INTEGER NOT NULL,
    priced INTEGER NOT NULL, tokens INTEGER NOT NULL, ended INTEGER NOT NULL, PRIMARY KEY (agent, generation)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE budget_payer (
    payer TEXT NOT NULL, agent TEXT NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (payer, agent, generation)
  ) STRICT, WITHOUT ROWID;
`;

/** Dollars in millionths. */
export function micros(usd: number): number {
  return Math.round(usd * 1e6);
}

interface Used {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costUsd: number | null;
}

interface SessionRow {
  readonly payers: string;
  readonly cost: number;
  readonly priced: number;
  readonly tokens: number;
  readonly ended: number;
}

/** Charges all payers of a session with what it has used since its last report. A price that was told once stays. */
function charge(db: Writer, at: number, key: readonly [string, number], used: Used | null, ends: boolean): void {
  if (used === null && !ends) return;
  const sql = 'SELECT payers, cost, priced, tokens, ended FROM budget_session WHERE agent = ? AND generation = ?';
  const known = db.get<SessionRow>(sql, ...key);
  if (known === undefined || known.ended === 1) return;
  const tokens =
    used === null ? known.tokens : used.inputTokens + used.outputTokens + used.cacheReadTokens + used.cacheWriteTokens;
  const usd = used?.costUsd ?? null;
  const cost = usd === null ? known.cost : micros(usd);
  const priced = used === null ? known.priced === 1 : usd !== null;
  const unknown = ends && !priced && tokens > 0 ? 1 : 0;
  db.run(
    'UPDATE budget_session SET cost = ?, priced = ?, tokens = ?, ended = ? WHERE agent = ? AND generation = ?',
    cost,
    priced ? 1 : 0,
    tokens,
    ends ? 1 : 0,
    ...key,
  );
  if (ends)
    db.run(
      'DELETE FROM budget_payer WHERE agent = ?2 AND generation = ?3 AND payer IN (SELECT value FROM json_each(?1))',
      known.payers,
      ...key,
    );
  if (cost === known.cost && tokens === known.tokens && unknown === 0) return;
  db.run(
    `INSERT INTO budget_day SELECT value, ?2, ?3, ?4, ?5 FROM json_each(?1) WHERE true
      ON CONFLICT (payer, day) DO UPDATE SET cost = cost + excluded.cost, tokens = tokens + excluded.tokens, unknown = unknown + excluded.unknown`,
    known.payers,
    dayOf(at),
    cost - known.cost,
    tokens - known.tokens,
    unknown,
  );
}

/** How many sessions have ended in a period without telling their price. */
function unknownOf(db: Writer, payerOf: string, period: BudgetTerms['period'], at: number): number {
  const days = daysOf(period, at);
  const sql = 'SELECT coalesce(sum(unknown), 0) AS count FROM budget_day WHERE payer = ? AND day >= ? AND day < ?';
  return db.get<{ count: number }>(sql, payerOf, days, `${days}~`)?.count ?? 0;
}

/** Begins a period of a budget, if it has not begun yet: what was allowed in the one before counts no more. */
function enter(db: Writer, id: string, span: string): void {
  const sql = `UPDATE budget SET span = ?1, allowed = 0, allowed_tokens = 0, forgiven = 0, approval = NULL, denied = 0 WHERE id = ?2 AND span <> ?1`;
  db.run(sql, span, id);
}

/** See `schema`. */
export const budgetView: View = {
  name: 'budgets',
  tables: ['budget', 'budget_day', 'budget_session', 'budget_payer'],
  schema,
  // Raised when what the functions below call has changed.
  version: 1,
  applies: [
    on(budgetEvents.set, (db, { stream, at, actor, data }) => {
      const paying = payer(data.kind, data.subject);
      db.run(
        `INSERT INTO budget VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0, NULL, 0, ?, ?)
          ON CONFLICT (id) DO UPDATE SET name = excluded.name, project = excluded.project, usd = excluded.usd, tokens = excluded.tokens,
          period = excluded.period, at_limit = excluded.at_limit, share = excluded.share, span = excluded.span, allowed = 0, allowed_tokens = 0,
          forgiven = excluded.forgiven, round = round + 1, approval = NULL, denied = 0, set_at = excluded.set_at, set_by = excluded.set_by`,
        stream,
        paying,
        data.kind,
        data.subject,
        data.name,
        data.project,
        data.run,
        data.usd,
        data.tokens,
        data.period,
        data.atLimit,
        data.share,
        spanOf(data.period, at),
        // Whoever sets a budget knows that a price is missing so far.
        unknownOf(db, paying, data.period, at),
        at,
        actor,
      );
    }),
    on(budgetEvents.removed, (db, { stream }) => db.run('DELETE FROM budget WHERE id = ?', stream)),
    on(budgetEvents.asked, (db, { stream, data }) => {
      enter(db, stream, data.span);
      db.run('UPDATE budget SET approval = ?, denied = 0 WHERE id = ?', data.approval, stream);
    }),
    on(budgetEvents.allowed, (db, { stream, at, data }) => {
      enter(db, stream, data.span);
      const row = db.get<{ payer: string; period: BudgetTerms['period'] }>(
        'SELECT payer, period FROM budget WHERE id = ?',
        stream,
      );
      if (row === undefined) return;
      db.run(
        `UPDATE budget SET allowed = allowed + ?, allowed_tokens = allowed_tokens + ?, forgiven = ?, round = round + 1, approval = NULL, denied = 0
          WHERE id = ?`,
        micros(data.usd),
        data.tokens,
        unknownOf(db, row.payer, row.period, at),
        stream,
      );
    }),
    on(budgetEvents.refused, (db, { stream, data }) => {
      db.run('UPDATE budget SET denied = 1 WHERE id = ? AND approval = ?', stream, data.approval);
    }),
    on(agentEvents.requested, (db, { stream, data: { generation, request, promised } }) => {
      // A command uses no tokens and no money.
      if (request.argv !== null) return;
      const payers = JSON.stringify(promised?.payers ?? [payer('fleet'), payer('agent', stream)]);
      const usd = promised?.usd ?? null;
      db.run(
        'INSERT INTO budget_session VALUES (?, ?, ?, ?, ?, 0, 1, 0, 0)',
        stream,
        generation,
        payers,
        usd === null ? null : micros(usd),
        promised?.tokens ?? null,
      );
      db.run('INSERT INTO budget_payer SELECT value, ?, ? FROM json_each(?)', stream, generation, payers);
    }),
    on(agentEvents.observed, (db, { stream, at, data }) =>
      charge(db, at, [stream, data.generation], data.usage, false),
    ),
    on(agentEvents.ended, (db, { stream, at, data }) => charge(db, at, [stream, data.generation], data.usage, true)),
  ],
};
