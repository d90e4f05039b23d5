/**
 * Reads how budgets stand, and what a session can be promised.
 *
 * L1  What was used is the sum over all sessions that worked for a payer, killed ones included. A price that nobody will tell any more
 *     is a stop for a budget in money, not a zero.
 * L2  Sessions that work side by side are never promised more together than is left: each is promised a part at its start, and what it
 *     has not used of that is free when it ends.
 * L3  What can be promised nothing is not started. `busy`: others work with all that is left, so it goes on when one of them ends.
 *     `over`: everything is used up, and that is for a person, or the next period.
 * L4  No program can be told a bound in tokens: a session is promised tokens only where its agent has a limit; else it is watched.
 */
import { AppError, invalid } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';
import type { Budget, BudgetTerms } from './contract.ts';
import { daysOf, nextPeriod, spanOf } from './period.ts';
import { micros } from './views.ts';

interface Row {
  readonly id: string;
  readonly payer: string;
  readonly kind: Budget['kind'];
  readonly subject: string;
  readonly name: string;
  readonly project: string | null;
  readonly run: string | null;
  readonly usd: number | null;
  readonly tokens: number | null;
  readonly period: BudgetTerms['period'];
  readonly at_limit: BudgetTerms['atLimit'];
  readonly share: number | null;
  readonly span: string;
  readonly allowed: number;
  readonly allowed_tokens: number;
  readonly forgiven: number;
  readonly round: number;
  readonly approval: string | null;
  readonly denied: number;
  readonly set_at: number;
  readonly set_by: string;
}

/** A budget as it stands at a time, with what only deciding needs. */
export interface Standing extends Budget {
  /** How often it was set or raised. */
  readonly round: number;
  /** Somebody was asked for more and has said no. */
  readonly denied: boolean;
  readonly span: string;
  /** Why nothing more may be used; `over` says what to do as well. */
  readonly why: string | null;
}

interface Sums {
  readonly cost: number;
  readonly tokens: number;
  readonly unknown: number;
}

function usedBy(db: Reader, payer: string, days: string): Sums {
  const sql = `SELECT coalesce(sum(cost), 0) AS cost, coalesce(sum(tokens), 0) AS tokens, coalesce(sum(unknown), 0) AS unknown
    FROM budget_day WHERE payer = ? AND day >= ? AND day < ?`;
  return db.get<Sums>(sql, payer, days, `${days}~`) ?? { cost: 0, tokens: 0, unknown: 0 };
}

/** `unknown`: of how many the price is not known so far. */
function reservedBy(db: Reader, payer: string): Sums {
  const sql = `SELECT coalesce(sum(max(0, promised - cost)), 0) AS cost, coalesce(sum(max(0, promised_tokens - tokens)), 0) AS tokens,
    coalesce(sum(NOT priced AND tokens > 0), 0) AS unknown FROM budget_payer JOIN budget_session USING (agent, generation) WHERE payer = ?`;
  return db.get<Sums>(sql, payer) ?? { cost: 0, tokens: 0, unknown: 0 };
}

const dollars = (amount: number): string => `$${Number(amount.toFixed(2)) === amount ? amount : amount.toFixed(4)}`;
const spent = (amount: number): string => `$${amount.toFixed(amount < 1 ? 4 : 2)}`;
const every = { total: '', day: 'daily ', month: 'monthly ' } as const;

/** `run quickstart-1’s budget`, `the fleet’s daily budget`. */
export function called({ kind, name, period }: Pick<Budget, 'kind' | 'name' | 'period'>): string {
  return `${kind === 'fleet' ? 'the fleet' : `${kind} ${name}`}’s ${every[period]}budget`;
}

const priceUnknown = 'an agent used tokens without telling their price';

/** What a person can do about a budget that is used up. */
function fixFor({ id, why, usd, approval, denied, resetsAt }: Omit<Standing, 'over'>): string {
  const priceless = why?.startsWith(priceUnknown) === true;
  const raise = priceless
    ? `maos budget set --budget ${id} goes on without that price`
    : `maos budget set --budget ${id} ${usd === null ? '--tokens' : '--usd'} MORE raises it`;
  const ask = approval === null || denied ? '' : `maos approve ${approval} allows as much again, `;
  const wait = resetsAt === null ? '' : `; the next period begins at ${new Date(resetsAt).toISOString()}`;
  return `${ask}${raise}${wait}.`;
}

function whyOver(
  row: Row,
  used: Sums,
  limit: { usd: number | null; tokens: number | null },
  unknown: number,
): string | null {
  const name = called(row);
  if (limit.usd !== null && unknown > 0) return `${priceUnknown}, and ${name} is in money`;
  if (limit.usd !== null && used.cost >= limit.usd)
    return `${name} of ${dollars(limit.usd / 1e6)} is used up (${spent(used.cost / 1e6)})`;
  if (limit.tokens !== null && used.tokens >= limit.tokens)
    return `${name} of ${limit.tokens} tokens is used up (${used.tokens})`;
  return null;
}

function standing(db: Reader, row: Row, now: number): Standing {
  const { id, kind, subject, name, project, run, usd, tokens, period, share, round } = row;
  const span = spanOf(period, now);
  const here = row.span === span;
  const used = usedBy(db, row.payer, daysOf(period, now));
  const reserved = reservedBy(db, row.payer);
  const [more, moreTokens] = here ? [row.allowed, row.allowed_tokens] : [0, 0];
  const limit = {
    usd: usd === null ? null : micros(usd) + more,
    tokens: tokens === null ? null : tokens + moreTokens,
  };
  const why = whyOver(row, used, limit, used.unknown - (here ? row.forgiven : 0));
  const rest = (all: number | null, ...less: number[]): number | null =>
    all === null
      ? null
      : Math.max(
          0,
          less.reduce((sum, part) => sum - part, all),
        );
  const leftUsd = rest(limit.usd, used.cost, reserved.cost);
  const told = {
    id,
    kind,
    subject,
    name,
    project,
    run,
    usd,
    tokens,
    period,
    atLimit: row.at_limit,
    share,
    used: { usd: used.cost / 1e6, tokens: used.tokens, unpriced: used.unknown + reserved.unknown > 0 },
    reserved: { usd: reserved.cost / 1e6, tokens: reserved.tokens },
    allowed: { usd: more / 1e6, tokens: moreTokens },
    left: { usd: leftUsd === null ? null : leftUsd / 1e6, tokens: rest(limit.tokens, used.tokens, reserved.tokens) },
    resetsAt: nextPeriod(period, now),
    approval: here ? row.approval : null,
    setAt: row.set_at,
    setBy: row.set_by,
    round,
    denied: here && row.denied === 1,
    span,
    why,
  };
  return { ...told, over: why === null ? null : `${why}. ${fixFor(told)}` };
}

/** A budget as callers see it. */
export function shown({ round: _round, denied: _denied, span: _span, why: _why, ...budget }: Standing): Budget {
  return budget;
}

/** The budgets of these payers, as they stand. */
export function standingsOf(db: Reader, payers: readonly string[], now: number): Standing[] {
  const sql = 'SELECT * FROM budget WHERE payer IN (SELECT value FROM json_each(?)) ORDER BY id';
  return db.all<Row>(sql, JSON.stringify(payers)).map((row) => standing(db, row, now));
}

/** One budget by its whole id. */
export function standingAt(db: Reader, id: string, now: number): Standing | undefined {
  const row = db.get<Row>('SELECT * FROM budget WHERE id = ?', id);
  return row === undefined ? undefined : standing(db, row, now);
}

/** The budget of a payer for a period. */
export function budgetOf(
  db: Reader,
  payer: string,
  period: BudgetTerms['period'],
): { readonly id: string } | undefined {
  return db.get<{ id: string }>('SELECT id FROM budget WHERE payer = ? AND period = ?', payer, period);
}

/** The first of these payers’ budgets under which nothing more may be used. */
export function firstOver(db: Reader, payers: readonly string[], now: number): Standing | undefined {
  return standingsOf(db, payers, now).find(({ why }) => why !== null);
}

/** Who pays for a session; none for one that uses nothing. */
export function payersOf(db: Reader, agent: string, generation: number): string[] {
  const sql = 'SELECT payers FROM budget_session WHERE agent = ? AND generation = ?';
  const found = db.get<{ payers: string }>(sql, agent, generation);
  return found === undefined ? [] : JSON.parse(found.payers);
}

/** Whether a session has used more than it was promised: what is left belongs to others. */
export function pastPromise(db: Reader, agent: string, generation: number): boolean {
  const sql = `SELECT 1 FROM budget_session WHERE agent = ? AND generation = ? AND NOT ended AND (cost > promised OR tokens > promised_tokens)`;
  return db.get(sql, agent, generation) !== undefined;
}

/** Which budgets to show: those of a run, of a project, or of what lasts longer than a run. */
export function listStandings(
  db: Reader,
  filter: {
    readonly project?: string | undefined;
    readonly run?: string | undefined;
    readonly all: boolean;
    readonly limit: number;
  },
  now: number,
): Standing[] {
  const sql = `SELECT * FROM budget WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR run = ?2) AND (?3 OR ?2 IS NOT NULL OR run IS NULL)
    ORDER BY instr('fleet project run agent task', kind), name, period LIMIT ?4`;
  const { project, run, all, limit } = filter;
  return db.all<Row>(sql, project ?? null, run ?? null, all ? 1 : 0, limit).map((row) => standing(db, row, now));
}

/** What a session would like to be promised; null: its agent has no limit. */
interface Wish {
  readonly usd: number | null;
  readonly tokens: number | null;
}

/** What a session can be promised now, or the budget that does not let it start. */
type Quote =
  | { readonly kind: 'promised'; readonly usd: number | null; readonly tokens: number | null }
  | { readonly kind: 'busy' | 'over'; readonly budget: Standing };

/** See L2 to L4. */
function quote(budgets: readonly Standing[], wish: Wish): Quote {
  const over = budgets.find(({ why }) => why !== null);
  if (over !== undefined) return { kind: 'over', budget: over };
  const busy = budgets.find(({ left }) => left.usd === 0 || left.tokens === 0);
  if (busy !== undefined) return { kind: 'busy', budget: busy };
  const most = budgets.flatMap(({ left, share }) => {
    const bound = wish.usd === null && share !== null ? share : Infinity;
    return left.usd === null ? [] : [Math.min(left.usd, bound)];
  });
  const usd = Math.min(wish.usd ?? Infinity, ...most);
  const tokens =
    wish.tokens === null ? null : Math.min(wish.tokens, ...budgets.map(({ left }) => left.tokens ?? Infinity));
  return { kind: 'promised', usd: usd === Infinity ? null : usd, tokens };
}

/** The refusal of a start that no budget has anything left for. */
function refusal({ kind, budget }: Exclude<Quote, { kind: 'promised' }>): AppError {
  const details = { budget: budget.id, state: kind };
  if (kind === 'over')
    return new AppError('exhausted', `${capital(budget.why ?? '')}.`, { fix: capital(fixFor(budget)), details });
  return new AppError('exhausted', `All that is left of ${called(budget)} is promised to agents that work now.`, {
    fix: 'Start it when one of them has ended, give agents limits, or raise the budget (maos budget set).',
    details,
  });
}

/**
 * What a session that is about to start is promised, against all budgets that apply. Refuses when one of them has nothing left, and a
 * runtime that tells no usage: its budget could not be kept.
 */
export function promiseFor(
  db: Reader,
  session: {
    readonly payers: readonly string[];
    readonly wish: Wish;
    readonly runtime: string;
    readonly tellsUsage: boolean;
  },
  now: number,
): { usd: number | null; tokens: number | null; payers: string[] } {
  const { payers, wish, runtime, tellsUsage } = session;
  const budgets = standingsOf(db, payers, now);
  const [first] = budgets;
  if (first !== undefined && !tellsUsage)
    throw invalid(`The runtime "${runtime}" reports no usage, so ${called(first)} cannot be kept.`, {
      fix: `Use another runtime, or take the budget away: maos budget remove ${first.id}.`,
      details: { runtime, budget: first.id },
    });
  const found = quote(budgets, wish);
  if (found.kind !== 'promised') throw refusal(found);
  return { usd: found.usd, tokens: found.tokens, payers: [...payers] };
}

function capital(text: string): string {
  return text.startsWith('maos ') ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

/** Whether there is any budget at all. */
export function hasBudgets(db: Reader): boolean {
  return db.get('SELECT 1 FROM budget LIMIT 1') !== undefined;
}

/** When the next period of any budget begins; null: none has periods. */
export function nextTurn(db: Reader, now: number): number | null {
  const rows = db.all<{ period: BudgetTerms['period'] }>('SELECT DISTINCT period FROM budget');
  const turns = rows.flatMap(({ period }) => nextPeriod(period, now) ?? []);
  return turns.length === 0 ? null : Math.min(...turns);
}
