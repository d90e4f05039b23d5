/**
 * Who pays for the steps of a run, and which of them wait for money.
 *
 * P1  A step is paid for by the fleet, its project, its run, the agent that the plan names for it (for all its tasks together) and the task
 *     itself; its session by the agent of the roster as well. What is promised is decided where the session begins (`agent.start`).
 * P2  A step that can be promised nothing because others work with all that is left stays as it is, and is looked at again when a session
 *     ends or a budget is changed.
 * P3  A step or a run whose budget is used up waits, and goes on by itself when somebody has raised it, or its next period begins.
 */
import { usageSums } from '../agents/contract.ts';
import { type BudgetTerms, payer } from '../budgets/contract.ts';
import { called, firstOver, type Standing, standingsOf } from '../budgets/ledger.ts';
import { AppError } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';

/** What a run has used. `unpriced`: the money is a lower bound. */
export interface Spent {
  readonly costUsd: number;
  readonly tokens: number;
  readonly unpriced: boolean;
}

export function spentBy(db: Reader, run: string): Spent {
  const { costUsd, tokens, unpriced } = usageSums;
  const sql = `SELECT ${costUsd} AS cost, ${tokens} AS tokens, ${unpriced} AS unpriced FROM run_usage WHERE run = ?`;
  const row = db.get<{ cost: number; tokens: number; unpriced: number }>(sql, run);
  return { costUsd: row?.cost ?? 0, tokens: row?.tokens ?? 0, unpriced: row?.unpriced === 1 };
}

/** Who pays for all that a run does. */
function payersOfRun(db: Reader, run: string): string[] {
  const project = db.get<{ project: string }>('SELECT project FROM run WHERE id = ?', run)?.project ?? '';
  return [payer('fleet'), payer('project', project), payer('run', run)];
}

/** The step that a session works for: a session that a person starts by hand may name no task; its agent is then of the step it has worked for. */
function stepFor(db: Reader, agent: string | null, task: string | null) {
  const sql = `SELECT task, run, planned ->> '$.agent.name' AS name FROM step WHERE task = ?1 OR (?1 IS NULL AND agent = ?2) LIMIT 1`;
  return db.get<{ task: string; run: string; name: string | null }>(sql, task, agent);
}

/** Who pays for a session of a run; undefined: it works for none. */
export function payersOfSession(db: Reader, agent: string | null, task: string | null): string[] | undefined {
  const step = stepFor(db, agent, task);
  if (step === undefined) return undefined;
  return [
    ...payersOfRun(db, step.run),
    ...(step.name === null ? [] : [payer('agent', crewOf(step.run, step.name))]),
    payer('task', step.task),
    ...(agent === null ? [] : [payer('agent', agent)]),
  ];
}

/** The agent that a plan names, as the subject of a budget: for all its tasks in this run. */
export function crewOf(run: string, name: string): string {
  return `${run}/${name}`;
}

/** What limits a run, for those who list it; the budget itself tells more. */
export function limitsOf(db: Reader, run: string): Pick<BudgetTerms, 'usd' | 'tokens'> {
  const row = db.get<{ usd: number | null; tokens: number | null }>(
    'SELECT usd, tokens FROM budget WHERE payer = ? ORDER BY period LIMIT 1',
    payer('run', run),
  );
  return { usd: row?.usd ?? null, tokens: row?.tokens ?? null };
}

/** The budget that lets a run start nothing more, or undefined. */
export function runOver(db: Reader, run: string, now: number): Standing | undefined {
  return firstOver(db, payersOfRun(db, run), now);
}

/** A claimed step whose agent is still to be started; commands and lists use no money. */
const starting = `state = 'claimed' AND planned ->> '$.prompt' IS NOT NULL AND planned ->> '$.forEach' IS NULL
  AND (attempt <> fence OR (generation IS NULL AND phase IN ('preparing', 'resolving')))`;

/** Steps that may be waiting for money: they have come as far as they could without an agent. */
export function awaitingMoney(db: Reader): string[] {
  const sql = `SELECT task FROM step WHERE attempt = fence AND ${starting} ORDER BY rowid`;
  return db.all<{ task: string }>(sql).map(({ task }) => task);
}

/** The budget with nothing left for one more agent beside those that work, and those that are about to; undefined: it can be started. */
function scarce(db: Reader, run: string, now: number): Standing | undefined {
  const budgets = standingsOf(db, payersOfRun(db, run), now);
  if (budgets.length === 0) return undefined;
  const sql = `SELECT planned ->> '$.agent.limits.usd' AS usd FROM step WHERE run = ? AND ${starting}`;
  const wishes = db.all<{ usd: number | null }>(sql, run);
  return budgets.find(({ left, share }) => {
    if (left.tokens === 0) return true;
    if (left.usd === null) return false;
    const usd = left.usd;
    // An agent without a limit of its own takes all there is.
    const wanted = wishes.reduce((sum, wish) => sum + (wish.usd ?? share ?? usd), 0);
    return usd - wanted < 1e-6;
  });
}

/** Whether one more agent of a run can be started. */
export function affordsAnother(db: Reader, run: string, now: number): boolean {
  return scarce(db, run, now) === undefined;
}

/** What a step waits for that is not started for want of money, or null. */
export function moneyReason(db: Reader, run: string, now: number): string | null {
  const budget = scarce(db, run, now);
  if (budget === undefined || runOver(db, run, now) !== undefined) return null;
  return `money: all that is left of ${called(budget)} is promised to agents that work now. limits: {usd: …} of an agent says how much each is promised.`;
}

/** Runs that wait only because a budget was used up, and may go on now. */
export function thawedRuns(db: Reader, now: number): string[] {
  const sql = `SELECT id FROM run WHERE state = 'waiting' AND removed = 0
    AND EXISTS (SELECT 1 FROM step WHERE step.run = run.id AND step.state = 'queued')`;
  return db.all<{ id: string }>(sql).flatMap(({ id }) => (runOver(db, id, now) === undefined ? [id] : []));
}

/** Tasks that wait for a budget with something left again, or of which somebody has said that there will be no more. */
export function thawedTasks(db: Reader, now: number): string[] {
  const sql = `SELECT task, agent FROM step WHERE waits = 'budget' AND state = 'waiting'`;
  return db.all<{ task: string; agent: string | null }>(sql).flatMap(({ task, agent }) => {
    const over = firstOver(db, payersOfSession(db, agent, task) ?? [], now);
    return over === undefined || over.denied ? [task] : [];
  });
}

/** What a refused start says about money; undefined: it was refused for something else. */
export function shortOf(error: unknown): { readonly budget: string; readonly busy: boolean } | undefined {
  if (!(error instanceof AppError) || error.code !== 'exhausted') return undefined;
  const { budget, state } = error.details ?? {};
  return typeof budget === 'string' ? { budget, busy: state === 'busy' } : undefined;
}
