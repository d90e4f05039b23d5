/**
 * Carries a claimed task of a run from its claim to its end: worktree, agent, commit, checks, merge.
 *
 * D1  Every phase is a record in the log, and each step begins by asking what the log says: after a crash the driver
 *     takes up the phase that stands there, and nothing that was finished is done again.
 * D2  One task is advanced by one call at a time; different tasks side by side.
 * D3  What is reported under the fence of an old claim is not accepted, so a lost lease cannot finish anything.
 */
import { agentEvents, agentOps } from '../agents/contract.ts';
import { budgetEvents } from '../budgets/contract.ts';
import { hasBudgets, nextTurn } from '../budgets/ledger.ts';
import type { Cancel } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Call, Reactor, Reader } from '../kernel/handler.ts';
import { KeyedMutex } from '../kernel/mutex.ts';
import { type Task, taskEvents, taskOps } from '../tasks/contract.ts';
import { mergeEvents, removalReasons, workspaceOps } from '../workspaces/contract.ts';
import { Attempt, type AttemptTools } from './attempt.ts';
import { runEvents, runOps } from './contract.ts';
import { awaitingMoney } from './money.ts';
import {
  claimedSteps,
  findStep,
  getRun,
  stepAttempt,
  stepFence,
  type StepState,
  stepOfAgent,
  stepOfMerge,
} from './rows.ts';

export interface DriverOptions extends Omit<AttemptTools, 'branches'> {
  readonly call: Call;
  readonly reader: Reader;
  /** How many tasks of runs may be worked on at once on this machine. */
  readonly limit: number;
  /** Told of what failed outside of a reactor. One task never stops another. */
  readonly onFailure: (task: string, error: unknown) => void;
}

/** How often the leases of all tasks that are worked on are extended; a lease lasts three times as long. */
const heartbeatMs = 5_000;
/** How many claims one heartbeat may name. */
const heartbeatClaims = 2_000;
const longestWaitMs = 30_000;

export class Driver {
  readonly #options: DriverOptions;
  readonly #tasks = new KeyedMutex();
  readonly #branches = new Set<string>();
  #dispatching: Promise<void> | undefined;
  #again = false;
  #beating: Cancel | undefined;
  #turning: Cancel | undefined;
  readonly #retries = new Set<Cancel>();
  #stopped = false;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Takes up every task that was claimed when the server stopped, and claims what may run. */
  start(): void {
    for (const task of claimedSteps(this.#options.reader)) this.#untilDone(task, () => this.advance(task));
    this.#untilDone('dispatch', () => this.dispatch());
    this.#beatLater();
    this.#turnLater();
  }

  /** When the next period of a budget begins, what waited for it goes on. */
  #turnLater(): void {
    const { reader, clock } = this.#options;
    this.#turning?.();
    const at = this.#stopped ? null : nextTurn(reader, clock.now());
    if (at === null) return;
    this.#turning = clock.after(at - clock.now(), () => {
      this.#money();
      this.#turnLater();
    });
  }

  /** What fails now (a full disk, a lock that another program holds) is tried again, later and later. */
  #untilDone(place: string, work: () => Promise<void>, tries = 1): void {
    const { clock, onFailure } = this.#options;
    work().catch((error: unknown) => {
      if (this.#stopped) return;
      onFailure(place, error);
      this.#retries.add(
        clock.after(Math.min(longestWaitMs, 100 * 2 ** tries), () => this.#untilDone(place, work, tries + 1)),
      );
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#retries) cancel();
    this.#beating?.();
    this.#turning?.();
  }

  /** With nothing to do there is no timer; the next claim starts it again. */
  #beatLater(): void {
    if (this.#beating !== undefined || this.#stopped) return;
    this.#beating = this.#options.clock.after(heartbeatMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    this.#beating = undefined;
    try {
      if (!(await this.renew())) return;
    } catch (error) {
      this.#options.onFailure('heartbeat', error);
    }
    this.#beatLater();
  }

  /** Says that all that is claimed is still worked on; false: nothing is. */
  async renew(): Promise<boolean> {
    const { reader, call } = this.#options;
    const claims = claimedSteps(reader).map((task) => ({ task, fence: stepFence(reader, task) }));
    for (let at = 0; at < claims.length; at += heartbeatClaims)
      await call(taskOps.heartbeat, { claims: claims.slice(at, at + heartbeatClaims) });
    return claims.length > 0;
  }

  reactors(): Reactor[] {
    return [
      {
        name: 'run-dispatch',
        types: [...Object.values(taskEvents).map(({ type }) => type), runEvents.created.type, runEvents.resumed.type],
        react: () => this.dispatch(),
      },
      { name: 'run-driver', types: [taskEvents.claimed.type], react: ({ stream }) => this.#claimed(stream) },
      { name: 'run-sessions', types: [agentEvents.ended.type], react: ({ stream }) => this.#advanceAgent(stream) },
      {
        name: 'run-merges',
        types: [mergeEvents.landed, mergeEvents.conflicted, mergeEvents.rejected, mergeEvents.withdrawn].map(
          ({ type }) => type,
        ),
        react: (record) => this.#advanceMerge(record),
      },
      { name: 'run-cancel', types: [taskEvents.cancelled.type], react: ({ stream }) => this.#cancel(stream) },
      {
        name: 'run-released',
        types: [taskEvents.released.type],
        react: ({ stream }) => this.#letGo(stream, 'the claim of its task was lost'),
      },
      {
        name: 'run-cleanup',
        types: [runEvents.landed.type, runEvents.failed.type],
        react: ({ stream }) => this.#cleanUp(stream),
      },
      {
        name: 'run-cleanup-shared',
        types: [runEvents.ended.type],
        react: ({ stream }) => this.#cleanUpShared(stream),
      },
      {
        name: 'run-money',
        types: Object.values(budgetEvents).map(({ type }) => type),
        react: async () => {
          this.#money();
          this.#turnLater();
        },
      },
    ];
  }

  /** Claims what may run now. Calls that come while one is on its way share the next one. */
  dispatch(): Promise<void> {
    this.#again = true;
    this.#dispatching ??= this.#dispatchAll();
    return this.#dispatching;
  }

  async #dispatchAll(): Promise<void> {
    // What comes after the first wait runs when `#dispatching` is set; it is unset in the same breath as the last look at `#again`.
    await Promise.resolve();
    try {
      while (this.#again) {
        this.#again = false;
        const limit = Math.max(0, this.#options.limit - claimedSteps(this.#options.reader).length);
        await this.#options.call(runOps.dispatch, { limit });
      }
    } finally {
      this.#dispatching = undefined;
    }
  }

  /** Brings a task as far as it can come now; returns when it has ended or waits for its agent or the merge queue. */
  advance(task: string): Promise<void> {
    return this.#tasks.run(task, async () => {
      for (;;) {
        const step = findStep(this.#options.reader, task);
        if (step === undefined || step.state !== 'claimed') return;
        const held = await this.#options.call(taskOps.get, { task });
        if (held.state !== 'claimed') return;
        const next = await this.#once(step, held);
        if (next === 'wait') return;
      }
    });
  }

  /** One phase. What a person has to know is a failure of the attempt; everything else is tried again by the reactor. */
  async #once(step: StepState, held: Task): Promise<'next' | 'wait'> {
    const attempt = new Attempt({ ...this.#options, branches: this.#branches }, step, held.fence);
    try {
      return await attempt.next();
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'unavailable') throw error;
      const message = error.fix === undefined ? error.message : `${error.message} ${error.fix}`;
      return attempt.fail({ class: error.code, message, retry: false });
    }
  }

  async #claimed(task: string): Promise<void> {
    this.#beatLater();
    await this.advance(task);
  }

  async #advanceAgent(agent: string): Promise<void> {
    if (hasBudgets(this.#options.reader)) this.#money();
    const task = stepOfAgent(this.#options.reader, agent);
    if (task !== undefined) await this.advance(task);
  }

  /** There may be more money: a session has ended that had not used all it was promised, or a budget was changed. */
  #money(): void {
    for (const task of awaitingMoney(this.#options.reader)) this.#untilDone(task, () => this.advance(task));
    this.#untilDone('dispatch', () => this.dispatch());
  }

  async #advanceMerge({ stream }: LogRecord): Promise<void> {
    const task = stepOfMerge(this.#options.reader, stream);
    if (task !== undefined) await this.advance(task);
  }

  /** A cancelled task's process is stopped, its workspace is free again, and what waits in the merge queue does not land. */
  async #cancel(task: string): Promise<void> {
    const reason = 'its task was cancelled';
    const step = findStep(this.#options.reader, task);
    if (step?.state === 'cancelled' && step.merge !== null)
      await this.#options.call(workspaceOps.reportMerge, { merge: step.merge, result: { kind: 'withdrawn', reason } });
    await this.#letGo(task, reason);
  }

  /** Whoever lost a claim must not go on working beside the next one. In turn with `advance`: a new attempt is left alone. */
  #letGo(task: string, reason: string): Promise<void> {
    return this.#tasks.run(task, async () => {
      const { reader } = this.#options;
      const step = findStep(reader, task);
      if (step === undefined) return;
      const anew = step.state === 'claimed' && stepAttempt(reader, task)?.attempt === stepFence(reader, task);
      // A session begins only when the one before has ended, so one that the new attempt has begun is its own.
      if (anew && step.generation !== null) return;
      await this.#stop(step, reason);
      if (!anew) await this.#release(step);
    });
  }

  async #stop({ agent }: StepState, reason: string): Promise<void> {
    if (agent === null) return;
    const { state } = await this.#options.call(agentOps.get, { agent });
    if (state === 'starting' || state === 'running' || state === 'paused')
      await this.#options.call(agentOps.stop, { agent, reason });
  }

  /** The one that its step names, and those of attempts that ended before they could name theirs. */
  async #release({ task, run, planned, workspace }: StepState): Promise<void> {
    const { call } = this.#options;
    if (workspace !== null) await call(workspaceOps.release, { workspace, holder: task });
    const key = planned.workspace === null ? `task:${task}:` : `shared:${run}:`;
    const { workspaces } = await call(workspaceOps.list, { key, limit: 1_000 });
    for (const { id, holder } of workspaces)
      if (holder === task) await call(workspaceOps.release, { workspace: id, holder: task });
  }

  /** When a task has ended its workspace is free. When its work has landed, those of its own are removed, earlier attempts' too. */
  async #cleanUp(task: string): Promise<void> {
    const step = findStep(this.#options.reader, task);
    if (step === undefined || step.state === 'claimed') return;
    await this.#release(step);
    if (step.state !== 'done') return;
    await this.#removeLanded(`task:${task}:`);
  }

  /** A run that failed keeps its shared workspaces: when it is carried on, its tasks find there what git ignores. */
  async #cleanUpShared(run: string): Promise<void> {
    if (getRun(this.#options.reader, run).state === 'succeeded') await this.#removeLanded(`shared:${run}:`);
  }

  async #removeLanded(key: string): Promise<void> {
    const { call } = this.#options;
    const { workspaces } = await call(workspaceOps.list, {
      key,
      state: ['requested', 'ready', 'failed', 'trashed'],
      limit: 1_000,
    });
    for (const { id, state, reason } of workspaces) {
      // Of what is in the trash, only that which a killed server has left there on its way is ours.
      if (state === 'trashed' && reason !== removalReasons.landed && reason !== removalReasons.interrupted) continue;
      try {
        await call(workspaceOps.remove, { workspace: id, reason: removalReasons.landed, purge: true });
      } catch (error) {
        // Something in it is nowhere else: it stays until a person removes it.
        if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
      }
    }
  }
}
