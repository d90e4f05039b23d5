import type { Call } from '../kernel/handler.ts';
import { taskOps } from '../tasks/contract.ts';

/** The command of a task, about to be started. */
interface Command {
  readonly task: string;
  readonly run: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** What it will find in its environment, as far as that is no secret. */
  readonly env: Readonly<Record<string, string>>;
}

/** Says whether a task's command may be started: `wait` until somebody has approved it. */
export type CommandGate = (
  command: Command,
) => Promise<{ readonly effect: 'allow' | 'block' | 'wait'; readonly reason: string }>;

/** What becomes of an attempt whose command may not be started. */
interface Otherwise<Result> {
  readonly fail: (failure: { class: string; message: string; retry: boolean }) => Promise<Result>;
  readonly wait: (move: { kind: 'waiting'; for: string; reason: string }) => Promise<Result>;
}

/** Asks whether a command may be started; null: it may. */
export async function permit<Result>(
  { call, gate }: { readonly call: Call; readonly gate?: CommandGate },
  command: Command,
  { fail, wait }: Otherwise<Result>,
): Promise<Result | null> {
  if (gate === undefined) return null;
  const { effect, reason } = await gate(command);
  if (effect === 'allow') return null;
  if (effect === 'block') return fail({ class: 'policy', message: reason, retry: false });
  const result = await wait({ kind: 'waiting', for: 'approval', reason });
  // Answered before it began to wait: nobody else would wake it.
  const { task } = command;
  if ((await gate(command)).effect !== 'wait' && (await call(taskOps.get, { task })).state === 'waiting')
    await call(taskOps.retry, { task });
  return result;
}
