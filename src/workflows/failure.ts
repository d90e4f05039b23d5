import type { Session } from '../agents/contract.ts';
import { stopReason } from '../budgets/contract.ts';
import type { Standing } from '../budgets/ledger.ts';
import type { Run } from './contract.ts';
import { brokenOff, notAccepted } from './prompt.ts';
import type { StepState } from './rows.ts';

/** Why an attempt failed, and whether another one can help. */
export interface Failure {
  readonly class: string;
  readonly message: string;
  readonly retry: boolean;
  readonly retryAt?: number | null;
  /** What the next attempt of an agent is told. */
  readonly feedback?: string | null;
}

/** How a session ended that did not do its work. */
type Broken = Extract<NonNullable<Session['outcome']>, { kind: 'failed' }>;

interface About {
  readonly run: Run;
  readonly step: StepState;
  /** A budget that lets it use no more. */
  readonly over: Standing | undefined;
}

/** A result that was not accepted: another attempt is told why. */
export function refusal(kind: string, message: string): Failure {
  return { class: kind, message, retry: true, feedback: notAccepted(message) };
}

/** A session that ended without its result. */
export function sessionFailure(outcome: Broken, session: Session, about: About): Failure {
  const { run, step, over } = about;
  const { reason, message, retry, retryAt } = outcome;
  const stopped = reason === 'killed' && message.startsWith(stopReason);
  // Raised while it was being stopped.
  if (ranOut(outcome, session, about) || (stopped && over === undefined)) {
    const told = 'The money that was set aside for your session was used up; there is more now.';
    // At once, for free: when there is money for it.
    return { class: reason, message: told, retry: true, retryAt: 1, feedback: goOn(step, told) };
  }
  const feedback = goOn(step, message);
  if (over === undefined || !(stopped || reason === 'budget'))
    return { class: reason, message, retry, retryAt, feedback };
  const why = over.over ?? '';
  const told = stopped ? why.charAt(0).toUpperCase() + why.slice(1) : `${message.replace(/\.?$/, '.')} ${why}`;
  // What was begun goes on, for free: when a person has allowed more, or in the next period.
  const later = over.atLimit === 'ask' && !over.denied ? 1 : over.resetsAt;
  if (later !== null) return { class: 'budget', message: told, retry: true, retryAt: later, feedback };
  return { class: 'budget', message: `${told} Then: maos resume ${run.name}.`, retry: false, retryAt: null, feedback };
}

/** Whether the agent has used up what it was promised, and might have more. */
function ranOut({ reason }: Broken, { promised, usage }: Session, { step, over }: About): boolean {
  if (reason !== 'budget' || over !== undefined || promised === null || usage === null) return false;
  const { limits } = step.planned.agent;
  const tokens = usage.inputTokens + usage.outputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  const cost = usage.costUsd ?? 0;
  if (promised.tokens !== null && tokens > promised.tokens) return tokens < (limits.tokens ?? Infinity);
  return promised.usd !== null && cost > 0 && Math.max(cost, promised.usd) < (limits.usd ?? Infinity);
}

/** What an agent is told of the session before; a command is told nothing. */
function goOn({ planned, resolving, files }: StepState, message: string): string | null {
  return planned.prompt === null ? null : brokenOff(message, resolving === null ? [] : files);
}
