import { conflict } from '../kernel/error.ts';
import { sha256 } from '../kernel/hash.ts';
import type { RetryPolicy, TaskState } from './contract.ts';

/** Every move of a task: the states it is allowed in, and the state that each of them becomes. */
export const moves = {
  /** Its needs are done, and its time has come or has not. */
  free: { blocked: 'queued' },
  postpone: { blocked: 'delayed' },
  due: { delayed: 'queued' },
  claim: { queued: 'claimed' },
  complete: { claimed: 'done' },
  /** An attempt failed, and another one follows. */
  delay: { claimed: 'delayed' },
  fail: { claimed: 'failed' },
  release: { claimed: 'queued' },
  wait: { claimed: 'waiting' },
  /** Further needs were found while it was worked on. */
  depend: { claimed: 'blocked' },
  retry: { failed: 'queued', cancelled: 'queued', waiting: 'queued' },
  /** As `retry`, when needs are still open: only a task that was cancelled before its needs were done has such. */
  block: { cancelled: 'blocked' },
  cancel: {
    blocked: 'cancelled',
    delayed: 'cancelled',
    queued: 'cancelled',
    claimed: 'cancelled',
    waiting: 'cancelled',
  },
} as const satisfies Record<string, Partial<Record<TaskState, TaskState>>>;
export type Move = keyof typeof moves;

const whatToDo: Record<TaskState, string> = {
  blocked: 'Wait until its needs are done (maos task explain says which are open).',
  delayed: 'Wait until its time has come (maos task explain says when).',
  queued: 'Claim it first.',
  claimed: 'Wait until whoever works on it is done, or cancel it.',
  waiting: 'Do what it waits for and queue it again (maos task retry), or cancel it.',
  done: 'Nothing is left to do; create a new task for more work.',
  failed: 'Queue it again with maos task retry.',
  cancelled: 'Stop working on it; queue it again with maos task retry if it is needed after all.',
};

/** The state after a move; a move that the state does not allow is refused. */
export function moved(task: { readonly id: string; readonly state: TaskState }, move: Move): TaskState {
  const targets: Partial<Record<TaskState, TaskState>> = moves[move];
  const target = targets[task.state];
  if (target !== undefined) return target;
  const wanted = [...new Set(Object.values(targets))].join(' or ');
  throw conflict(`Task ${task.id} is ${task.state} and cannot become ${wanted}.`, {
    fix: whatToDo[task.state],
    details: { task: task.id, state: task.state, move },
  });
}

/** Whether nothing happens to it any more unless it is retried. */
function ended(state: TaskState): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

/** Refuses a change of a task that has ended. */
export function refuseEnded(task: { readonly id: string; readonly state: TaskState }): void {
  if (!ended(task.state)) return;
  throw conflict(`Task ${task.id} is ${task.state} and cannot be changed.`, {
    fix: whatToDo[task.state],
    details: { task: task.id, state: task.state },
  });
}

/** Refuses whoever shows an older fence than the newest claim's. */
export function checkFence(task: { readonly id: string; readonly fence: number }, fence: number): void {
  if (fence === task.fence) return;
  throw conflict(`The claim of task ${task.id} was lost: its fence is ${task.fence}, not ${fence}.`, {
    fix: 'Stop working on it and discard the result; claim again for new work.',
    details: { task: task.id, fence: task.fence },
  });
}

/** The state in which a task whose needs are known begins or goes on. */
export function readyState(
  openNeeds: boolean,
  notBefore: number | null,
  now: number,
): 'blocked' | 'delayed' | 'queued' {
  if (openNeeds) return 'blocked';
  return notBefore !== null && notBefore > now ? 'delayed' : 'queued';
}

/**
 * How long a task rests before its next attempt: backoff × factor^(n-1), at most maxBackoff, then ±20 %. The jitter comes from
 * the id and the attempt, so that tasks that failed together spread, and a replay decides the same.
 */
export function restMs(retries: RetryPolicy, id: string, attempt: number, failures: number): number {
  const backoff = retries.backoffMs * retries.factor ** (Math.max(1, failures) - 1);
  return Math.round(Math.min(retries.maxBackoffMs, backoff) * (0.8 + 0.4 * fraction(`${id}:${attempt}`)));
}

/** A number in [0, 1) that depends on nothing but the text. */
function fraction(text: string): number {
  return Buffer.from(sha256(text), 'base64url').readUInt32BE(0) / 2 ** 32;
}
