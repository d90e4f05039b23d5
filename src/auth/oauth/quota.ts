import type { Clock } from '../../kernel/clock.ts';
import { Fault } from './fault.ts';

/** So many of something in an hour from one address. */
export class Quota {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #used = new Map<string, { count: number; readonly until: number }>();

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  take(from: string): void {
    const now = this.#clock.now();
    const known = this.#used.get(from);
    if (known !== undefined && known.until > now) {
      known.count += 1;
      if (known.count <= this.#most) return;
      const seconds = Math.ceil((known.until - now) / 1_000);
      throw new Fault('slow_down', `There were ${this.#most} of these from this address within an hour.`, 429, seconds);
    }
    this.#used.delete(from);
    this.#used.set(from, { count: 1, until: now + hourMs });
    const [oldest] = this.#used.keys();
    if (this.#used.size > mostAddresses && oldest !== undefined) this.#used.delete(oldest);
  }
}

const hourMs = 60 * 60_000;
const mostAddresses = 10_000;
