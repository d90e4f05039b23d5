import type { Cancel, Clock } from '../../kernel/clock.ts';
import type { Call, Reactor } from '../../kernel/handler.ts';
import { approvalEvents, approvalOps } from './contract.ts';

/** Calls `approval.tick` when an open entry falls due, and never otherwise. */
export class ApprovalClock {
  readonly #options: { readonly call: Call; readonly clock: Clock; readonly onFailure: (error: unknown) => void };
  #timer: { readonly at: number; readonly cancel: Cancel } | undefined;
  #stopped = false;

  constructor(options: { readonly call: Call; readonly clock: Clock; readonly onFailure: (error: unknown) => void }) {
    this.#options = options;
  }

  /** Looks once at what a stopped server has left. */
  start(): void {
    this.#wakeAt(this.#options.clock.now());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  reactor(): Reactor {
    const { requested } = approvalEvents;
    return {
      name: 'approval-clock',
      types: [requested.type],
      react: async ({ data }) => {
        const { expiresAt } = requested.schema.parse(data);
        if (expiresAt !== null) this.#wakeAt(expiresAt);
      },
    };
  }

  #wakeAt(at: number): void {
    if (this.#stopped || (this.#timer !== undefined && this.#timer.at <= at)) return;
    this.#timer?.cancel();
    const { clock } = this.#options;
    this.#timer = { at, cancel: clock.after(Math.max(0, at - clock.now()), () => void this.#tick()) };
  }

  async #tick(): Promise<void> {
    this.#timer = undefined;
    try {
      const { nextAt } = await this.#options.call(approvalOps.tick, {});
      if (nextAt !== null) this.#wakeAt(nextAt);
    } catch (error) {
      this.#options.onFailure(error);
      this.#wakeAt(this.#options.clock.now() + 1_000);
    }
  }
}
