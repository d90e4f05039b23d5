import type { Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';

interface Failures {
  readonly count: number;
  /** No further attempt before this time. */
  readonly until: number;
}

export interface AttemptLimits {
  /** Attempts that may fail without a delay. */
  readonly free: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Longer ago than this, and failures are forgotten. */
const memoryMs = 60 * 60_000;
/** More than this, and the oldest are forgotten: names and addresses are the caller's to choose. */
const most = 10_000;

/**
 * Slows down guessing: after a few failures each further one doubles the time that has to pass before the next attempt. An
 * attempt counts as failed from its start until it is known to have succeeded, so many at once win nothing. In memory only: who
 * can restart the server need not guess.
 */
export class Attempts {
  readonly #clock: Clock;
  readonly #limits: AttemptLimits;
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock, limits: AttemptLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Notes an attempt; refuses it while its delay lasts. */
  begin(key: string): void {
    const now = this.#clock.now();
    const known = this.#failures.get(key);
    const old = known === undefined || now - known.until > memoryMs ? { count: 0, until: 0 } : known;
    if (now < old.until) {
      const seconds = Math.ceil((old.until - now) / 1_000);
      throw new AppError('exhausted', 'Too many attempts have failed.', {
        fix: `Try again in ${seconds} s.`,
        details: { retryAfterMs: old.until - now },
      });
    }
    const count = old.count + 1;
    const { free, firstMs, longestMs } = this.#limits;
    const delay = count < free ? 0 : Math.min(longestMs, firstMs * 2 ** Math.min(40, count - free));
    this.#failures.delete(key);
    this.#failures.set(key, { count, until: now + delay });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > most && oldest !== undefined) this.#failures.delete(oldest);
  }

  /** The attempt was right: everything is forgotten. */
  succeeded(key: string): void {
    this.#failures.delete(key);
  }
}
