import type { Cancel, Clock } from '../kernel/clock.ts';
import type { Call, Reactor } from '../kernel/handler.ts';
import { taskEvents, taskOps } from './contract.ts';
import { leaseMs } from './leases.ts';

export interface TaskClockOptions {
  readonly call: Call;
  readonly clock: Clock;
  /**
   * Renews the claims of this very process, before each look at leases: a machine that leaves no time for heartbeats leaves none for
   * this clock either, and what is found late must not be taken from who is there.
   */
  readonly renew?: () => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Calls `task.tick` when a delayed task falls due or a lease may have run out, and never otherwise: with nothing delayed
 * and nothing claimed there is no timer.
 */
export class TaskClock {
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #renew: () => Promise<void>;
  readonly #onFailure: (error: unknown) => void;
  #timer: { readonly at: number; readonly cancel: Cancel } | undefined;
  #stopped = false;

  constructor(options: TaskClockOptions) {
    this.#call = options.call;
    this.#clock = options.clock;
    this.#renew = options.renew ?? (async () => undefined);
    this.#onFailure = options.onFailure;
  }

  /** Looks once at what a stopped server has left, then only when something is due. */
  start(): void {
    this.#wakeAt(this.#clock.now());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  reactor(): Reactor {
    const { created, delayed, claimed } = taskEvents;
    return {
      name: 'task-clock',
      types: [created.type, delayed.type, claimed.type],
      react: async ({ type, data }) => {
        if (type === claimed.type) return this.#wakeAt(this.#clock.now() + leaseMs);
        const due = type === delayed.type ? delayed.schema.parse(data).until : created.schema.parse(data).notBefore;
        if (due !== null) this.#wakeAt(due);
      },
    };
  }

  /** The earliest wish wins; a tick says itself when the next one is due. */
  #wakeAt(at: number): void {
    if (this.#stopped || (this.#timer !== undefined && this.#timer.at <= at)) return;
    this.#timer?.cancel();
    const cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => void this.#tick());
    this.#timer = { at, cancel };
  }

  async #tick(): Promise<void> {
    this.#timer = undefined;
    try {
      await this.#renew();
      const { nextAt } = await this.#call(taskOps.tick, {});
      if (nextAt !== null) this.#wakeAt(nextAt);
    } catch (error) {
      this.#onFailure(error);
      this.#wakeAt(this.#clock.now() + 1_000);
    }
  }
}
