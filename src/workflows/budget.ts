/**
 * The budget of a run.
 *
 * G1  What a run has used is the sum over all sessions that worked for it, killed ones included. A price that nobody will tell
 *     any more stops a run that has a budget in money.
 * G2  Sessions that work side by side are never promised more money together than the run has left: each is given a part of it
 *     at its start, and what it has not used of that comes back when it ends.
 * G3  A step whose agent can be given nothing is not started. It is looked at again when a session of the run ends; if none
 *     is going on, everything is used up, and that is for a person to decide.
 * G4  No program can be told a budget in tokens, so nothing is promised of it: it is watched while the sessions work.
 */
import { usageSums } from '../agents/contract.ts';
import type { Reader } from '../kernel/handler.ts';

/** What a run has used. `unpriced`: the money is a lower bound. */
export interface Spent {
  readonly costUsd: number;
  readonly tokens: number;
  readonly unpriced: boolean;
}

interface SpentRow {
  readonly cost: number;
  readonly tokens: number;
  readonly unpriced: number;
  readonly unknown: number;
}

function spentRow(db: Reader, run: string): SpentRow {
  const { costUsd, tokens, unpriced, unknown } = usageSums;
  const sql = `SELECT ${costUsd} AS cost, ${tokens} AS tokens, ${unpriced} AS unpriced, ${unknown} AS unknown FROM run_usage WHERE run = ?`;
  return db.get<SpentRow>(sql, run) ?? { cost: 0, tokens: 0, unpriced: 0, unknown: 0 };
}

export function spentBy(db: Reader, run: string): Spent {
  const { cost, tokens, unpriced } = spentRow(db, run);
  return { costUsd: cost, tokens, unpriced: unpriced === 1 };
}

/** Why a run may not use more, or null. */
export function overBudget(db: Reader, run: string): string | null {
  const sql = 'SELECT budget_usd AS usd, budget_tokens AS tokens FROM run WHERE id = ?';
  const row = db.get<{ usd: number | null; tokens: number | null }>(sql, run);
  if (row === undefined || (row.usd === null && row.tokens === null)) return null;
  const { cost, tokens, unknown } = spentRow(db, run);
  if (row.usd !== null && unknown === 1)
    return 'an agent used tokens without telling their price, and the run has a budget in money';
  if (row.usd !== null && left(row.usd, cost) === 0)
    return `the budget of $${row.usd} is used up ($${cost.toFixed(2)})`;
  if (row.tokens !== null && tokens >= row.tokens) return `the budget of ${row.tokens} tokens is used up (${tokens})`;
  return null;
}

/** Sums of prices are not exact: less than a millionth of a dollar is nothing. */
function left(usd: number, ...less: readonly number[]): number {
  const rest = less.reduce((sum, part) => sum - part, usd);
  return Math.max(0, Math.round(rest * 1e6) / 1e6);
}

/** What the next session of a run can be promised, in dollars; null: the run has no budget in money. */
export function unpromised(db: Reader, run: string): number | null {
  const usd = db.get<{ usd: number | null }>('SELECT budget_usd AS usd FROM run WHERE id = ?', run)?.usd ?? null;
  if (usd === null) return null;
  const sql = `SELECT coalesce(sum(max(0, promised - coalesce(cost, 0))), 0) AS usd FROM run_usage WHERE run = ? AND NOT ended AND promised IS NOT NULL`;
  return left(usd, spentRow(db, run).cost, db.get<{ usd: number }>(sql, run)?.usd ?? 0);
}

/** A claimed step whose agent is still to be started; commands and lists use no money. */
const starting = `state = 'claimed' AND planned ->> '$.prompt' IS NOT NULL AND planned ->> '$.forEach' IS NULL
  AND (attempt <> fence OR (generation IS NULL AND phase IN ('preparing', 'resolving')))`;

/** Steps that may be waiting for money: they have come as far as they could without an agent. */
export function awaitingMoney(db: Reader, run: string): string[] {
  const sql = `SELECT task FROM step WHERE run = ? AND attempt = fence AND ${starting} ORDER BY rowid`;
  return db.all<{ task: string }>(sql, run).map(({ task }) => task);
}

/** Whether one more agent can be started beside those that work, and those that are about to. */
export function affordsAnother(db: Reader, run: string): boolean {
  const free = unpromised(db, run);
  if (free === null) return true;
  const sql = `SELECT planned ->> '$.agent.limits.usd' AS usd FROM step WHERE run = ? AND ${starting}`;
  // An agent without a limit of its own takes all there is.
  const wanted = db.all<{ usd: number | null }>(sql, run).map(({ usd }) => usd ?? free);
  return left(free, ...wanted) > 0;
}

/** What a step waits for that is not started for want of money, or null. */
export function moneyReason(db: Reader, run: string): string | null {
  if (affordsAnother(db, run) || overBudget(db, run) !== null) return null;
  return 'money: all that is left of the run’s budget is promised to agents that work now. limits: {usd: …} of an agent says how much each is promised.';
}

/** The run with a budget in money that a session of this agent worked for. */
export function payingRun(db: Reader, agent: string): string | undefined {
  const sql =
    'SELECT run.id FROM run_usage JOIN run ON run.id = run_usage.run WHERE agent = ? AND budget_usd IS NOT NULL LIMIT 1';
  return db.get<{ id: string }>(sql, agent)?.id;
}
