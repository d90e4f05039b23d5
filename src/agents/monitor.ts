/**
 * Watches one process of an agent and reports what it sees.
 *
 * M1. Reports go out one after the other; a report that fails for a while is repeated until it is taken or the server stops.
 * M2. `ended` is reported once, after every byte of output was read, and only when no process of the tree is left.
 * M3. The reader always sees the output from byte 0 on, so an adopted session is judged like any other; what lies before
 *     the offset in the log has been reported and is not reported again.
 * M4. After `release` nothing is reported and the process is not touched.
 */
import type { Cancel, Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import type { Call } from '../kernel/handler.ts';
import type { InputOf, Operation } from '../kernel/operation.ts';
import { agentOps } from './contract.ts';
import { overBudget } from './model.ts';
import { type Assignment, limitsOf } from './roster.ts';
import type { ExitStatus, HostProcess, Outcome, OutputReader, Runtime } from './runtime.ts';
import { blind, differs, see, type Sight } from './sight.ts';

/** How long what is seen may wait for more, so that a busy agent does not fill the log. */
const batchMs = 250;
/** Between asking a process to stop and forcing it. */
export const stopGraceMs = 10_000;
const longestRetryMs = 30_000;
const stderrBytes = 4_096;

/** Why MAOS ends a session; it decides the outcome, whatever the program makes of its last moments. */
export interface StopCause {
  readonly reason: 'killed' | 'timeout' | 'budget' | 'hang';
  readonly message: string;
}

export interface MonitorOptions {
  readonly assignment: Assignment;
  readonly runtime: Runtime;
  readonly process: HostProcess;
  readonly clock: Clock;
  readonly call: Call;
  readonly onFailure: (error: unknown) => void;
}

export class Monitor {
  readonly #options: MonitorOptions;
  readonly #reader: OutputReader;
  readonly #timers = new Set<Cancel>();
  #sight: Sight = blind;
  #reported: Sight = blind;
  #offset = 0;
  #follower: { stop(): void; readonly drained: Promise<void> } | undefined;
  #batch: Cancel | undefined;
  #grace: Cancel | undefined;
  #flushing: Promise<void> | undefined;
  #calling: Promise<unknown> = Promise.resolve();
  #cause: StopCause | undefined;
  #inputClosed = false;
  #ended = false;
  #released = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#reader = options.runtime.reader(options.assignment.earlier);
  }

  get process(): HostProcess {
    return this.#options.process;
  }

  /** Reports the start; false when the log wants nothing of this process any more. It has to be ended then. */
  async announce(): Promise<boolean> {
    const { agent, generation } = this.#options.assignment.session;
    const { pid, startTime, adopted } = this.process;
    return this.#report(agentOps.reportStarted, { agent, generation, pid, startTime, adopted });
  }

  /** Follows the process to its end and reports that; resolves when the log has it. */
  async watch(): Promise<void> {
    this.#limitTime();
    this.#follow();
    const exit = await this.process.exit;
    this.#ended = true;
    const unread = await this.#drain();
    for (const cancel of this.#timers) cancel();
    this.#grace?.();
    if (this.#released) return;
    await this.#settleReports();
    const outcome = this.#judge(exit, await this.process.stderrTail(stderrBytes));
    const { agent, generation } = this.#options.assignment.session;
    const { usage } = this.#sight;
    const ending = { agent, generation, offset: this.#offset, exit: this.#told(exit, unread), outcome, usage };
    await this.#report(agentOps.reportEnded, ending);
  }

  /**
   * Ends the process and its tree. The first cause stands; a later stop can only be more forceful. Too late, it changes nothing;
   * it is too late for a polite stop when the work is done and the program is about to end: finished work is not thrown away.
   */
  stop(cause: StopCause, graceMs: number): void {
    if (this.#released || this.#ended) return;
    if (cause.reason === 'killed' && graceMs > 0 && this.#sight.turn === 'ended') return;
    this.#cause ??= cause;
    this.process.stop(graceMs).catch((error: unknown) => this.#options.onFailure(error));
  }

  interrupt(): void {
    const text = this.#options.runtime.interrupt();
    if (text === null) this.process.interrupt();
    else this.process.write(text).catch((error: unknown) => this.note('It could not be interrupted', error));
  }

  /** Has something that went wrong beside the process stand in the log as its last action. */
  note(what: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#sight = { ...this.#sight, action: `${what}: ${message}` };
    this.#observe(false);
  }

  /** Lets go of the process, which lives on; resolves when no call of ours is under way. */
  async release(): Promise<void> {
    this.#released = true;
    for (const cancel of this.#timers) cancel();
    this.#batch?.();
    this.#grace?.();
    this.#follower?.stop();
    this.process.release();
    await this.#calling;
  }

  #limitTime(): void {
    const { session, config } = this.#options.assignment;
    const limit = session.request.timeoutMs ?? config.limits.timeoutMs;
    const since = session.startedAt ?? this.#options.clock.now();
    this.#later(since + limit - this.#options.clock.now(), () => {
      this.stop({ reason: 'timeout', message: `It ran longer than its limit of ${limit} ms.` }, stopGraceMs);
    });
  }

  #follow(): void {
    try {
      this.#follower = this.process.follow(0, (chunk, end) => this.#take(chunk, end));
    } catch (error) {
      // The transcript is gone; the process can still be judged by its exit.
      this.#options.onFailure(error);
    }
  }

  /** Waits for the rest of the output; says what is wrong when it cannot be read. */
  async #drain(): Promise<string | undefined> {
    if (this.#follower === undefined) return 'its output is missing';
    try {
      await this.#follower.drained;
      return undefined;
    } catch (error) {
      this.#options.onFailure(error);
      return 'its output could not be read to the end';
    }
  }

  #take(chunk: Buffer, end: number): void {
    const { offset } = this.#options.assignment.session;
    const start = end - chunk.length;
    if (start < offset && offset < end) {
      this.#take(chunk.subarray(0, offset - start), offset);
      this.#take(chunk.subarray(offset - start), end);
      return;
    }
    const events = this.#reader.push(chunk);
    this.#offset = end;
    this.#sight = events.reduce(see, this.#sight);
    if (end <= offset) this.#reported = this.#sight;
    if (events.some((event) => event.kind === 'usage' || event.kind === 'turn_ended')) this.#keepBudget();
    if (this.#sight.turn === 'ended') this.#expectExit();
    else this.#goesOn();
    this.#observe(this.#sight.providerSession !== this.#reported.providerSession);
  }

  /** After its result a program has nothing to wait for: it sees the end of its input, and what hangs then is ended. */
  #expectExit(): void {
    const { exitGraceMs } = this.#options.runtime;
    if (!this.#inputClosed) this.process.closeInput();
    this.#inputClosed = true;
    this.#grace ??= this.#options.clock.after(exitGraceMs, () => {
      this.stop({ reason: 'hang', message: `It did not end within ${exitGraceMs} ms after its result.` }, stopGraceMs);
    });
  }

  /** A message that came before the end of its input began another turn. */
  #goesOn(): void {
    this.#grace?.();
    this.#grace = undefined;
  }

  #keepBudget(): void {
    const { usage, turn } = this.#sight;
    if (usage === null) return;
    if (usage.costUsd === null && this.#options.runtime.priced === 'turn_end' && turn === 'working') return;
    // What it was promised is kept by the log, which lets work that is about to be done, or a price told at last, come.
    const problem = overBudget(limitsOf(this.#options.assignment), usage);
    if (problem !== undefined) this.stop({ reason: 'budget', message: problem }, stopGraceMs);
  }

  #observe(urgent: boolean): void {
    if (this.#released || !differs(this.#sight, this.#reported)) return;
    if (urgent) {
      this.#batch?.();
      this.#batch = undefined;
      void this.#flush();
    } else this.#batch ??= this.#options.clock.after(batchMs, () => void this.#flush());
  }

  #flush(): Promise<void> {
    this.#batch = undefined;
    this.#flushing ??= this.#send().finally(() => {
      this.#flushing = undefined;
      this.#observe(false);
    });
    return this.#flushing;
  }

  async #send(): Promise<void> {
    const seen = this.#sight;
    const { agent, generation } = this.#options.assignment.session;
    const { providerSession, model, action, usage, waiting } = seen;
    // The offset only ever grows: what was fed again after an adoption lies before it.
    const offset = Math.max(this.#offset, this.#options.assignment.session.offset);
    await this.#report(agentOps.reportObserved, {
      agent,
      generation,
      offset,
      providerSession,
      model,
      action,
      usage,
      waiting,
    });
    this.#reported = seen;
  }

  /** What has to stand in the log before the end: with whom the conversation can be continued, and the last action. */
  async #settleReports(): Promise<void> {
    await this.#flushing;
    this.#batch?.();
    const { providerSession, action } = this.#sight;
    if (providerSession !== this.#reported.providerSession || action !== this.#reported.action) await this.#send();
  }

  #judge(exit: ExitStatus, stderrTail: string): Outcome {
    const cause = this.#cause;
    if (cause !== undefined && cause.reason !== 'hang') {
      const { reason, message } = cause;
      return { kind: 'failed', reason, message, retry: reason === 'timeout', retryAt: null };
    }
    // A program that MAOS had to end after its result may still say 0: its reader must not take that for a good end.
    const outcome = this.#reader.finish(
      cause === undefined ? exit : { kind: 'signalled', signal: 'SIGTERM' },
      stderrTail,
    );
    if (outcome.kind === 'succeeded' || outcome.reason !== 'rate_limited' || outcome.retryAt !== null) return outcome;
    return { ...outcome, retryAt: this.#sight.limitedUntil };
  }

  #told(exit: ExitStatus, unread: string | undefined): string {
    const notes = [
      exitText(exit),
      ...(this.#cause === undefined ? [] : [this.#cause.message]),
      ...(unread === undefined ? [] : [unread]),
    ];
    return notes.join('; ');
  }

  #later(ms: number, task: () => void): void {
    this.#timers.add(this.#options.clock.after(Math.max(0, ms), task));
  }

  /** Calls until the report is taken; false when it is refused for good, because the log is ahead of this process. */
  async #report<Op extends Operation>(operation: Op, input: InputOf<Op>): Promise<boolean> {
    for (let tries = 1; !this.#released; tries += 1) {
      try {
        const calling = this.#options.call(operation, input);
        this.#calling = calling.catch(() => undefined);
        await calling;
        return true;
      } catch (error) {
        this.#options.onFailure(error);
        if (error instanceof AppError && error.code !== 'unavailable' && error.code !== 'exhausted') return false;
        await new Promise<void>((resolve) => this.#later(Math.min(longestRetryMs, 100 * 2 ** tries), resolve));
      }
    }
    return false;
  }
}

function exitText(exit: ExitStatus): string {
  if (exit.kind === 'lost') return 'lost';
  if (exit.kind === 'signalled') return exit.signal;
  return (exit.orphans ?? 0) > 0 ? `exit ${exit.code}, ${exit.orphans} processes left` : `exit ${exit.code}`;
}
