import type { Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';

interface Failures {
  readonly count: number;
  /** Since when one of them is being forgotten. */
  readonly at: number;
  /** No further attempt before this time. */
  readonly until: number;
}

export interface AttemptLimits {
  /** Attempts that may fail without a delay. */
  readonly free: number;
  readonly firstMs: number;
  readonly longestMs: number;
  /** One failure is forgotten each time so long has passed. */
  readonly forgetMs: number;
}

/** So many beyond those that are free are counted: what has gone on for days is not held against anybody for days. */
const mostBeyond = 12;
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
    if (known !== undefined && now < known.until) {
      const seconds = Math.ceil((known.until - now) / 1_000);
      throw new AppError('exhausted', 'Too many attempts have failed.', {
        fix: `Try again in ${seconds} s.`,
        details: { retryAfterMs: known.until - now },
      });
    }
    const { free, firstMs, longestMs, forgetMs } = this.#limits;
    const forgotten = known === undefined ? 0 : Math.floor((now - known.at) / forgetMs);
    const left = Math.max(0, (known?.count ?? 0) - forgotten);
    const delay = left + 1 < free ? 0 : Math.min(longestMs, firstMs * 2 ** (left + 1 - free));
    const at = known === undefined || left === 0 ? now : known.at + forgotten * forgetMs;
    const count = Math.min(left + 1, free + mostBeyond);
    this.#failures.delete(key);
    this.#failures.set(key, { count, at, until: now + delay });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > most && oldest !== undefined) this.#failures.delete(oldest);
  }

  /** The attempt was right: everything is forgotten. */
  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  /** The attempt was right, and says nothing about the others of this key: it alone is forgotten. */
  forgive(key: string): void {
    const known = this.#failures.get(key);
    if (known === undefined) return;
    if (known.count <= 1) this.#failures.delete(key);
    else this.#failures.set(key, { ...known, count: known.count - 1, until: 0 });
  }
}
