import type { Session } from '../agents/contract.ts';
import type { Run } from './contract.ts';
import { brokenOff, notAccepted, raiseBudget } from './prompt.ts';
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
  /** The run may use no more. */
  readonly over: boolean;
}

/** A result that was not accepted: another attempt is told why. */
export function refusal(kind: string, message: string): Failure {
  return { class: kind, message, retry: true, feedback: notAccepted(message) };
}

/** A session that ended without its result. */
export function sessionFailure(outcome: Broken, session: Session, about: About): Failure {
  const { run, step, over } = about;
  const { reason, message, retry, retryAt } = outcome;
  if (ranOut(outcome, session, about)) {
    const told = 'The money that was set aside for your session was used up; there is more now.';
    // At once, for free: when there is money for it.
    return { class: reason, message: told, retry: true, retryAt: 1, feedback: goOn(step, told) };
  }
  const stopped = reason === 'killed' && over;
  const money = stopped || (reason === 'budget' && run.budget.usd !== null);
  const told = money ? `${message.replace(/\.?$/, '.')} ${raiseBudget(run.name)}` : message;
  return { class: stopped ? 'budget' : reason, message: told, retry, retryAt, feedback: goOn(step, message) };
}

/** Whether the agent has used up the part of the run's money that it was promised, and might have more. */
function ranOut({ reason }: Broken, { request, usage }: Session, { step, over }: About): boolean {
  const used = usage?.costUsd ?? 0;
  if (reason !== 'budget' || over || request.budgetUsd === null || used === 0) return false;
  return Math.max(used, request.budgetUsd) < (step.planned.agent.limits.usd ?? Infinity);
}

/** What an agent is told of the session before; a command is told nothing. */
function goOn({ planned, resolving, files }: StepState, message: string): string | null {
  return planned.prompt === null ? null : brokenOff(message, resolving === null ? [] : files);
}
