import type { Clock } from '../../kernel/clock.ts';
import { Fault } from './fault.ts';

/** So many of something in an hour from one address. */
export class Budget {
  readonly #clock: Clock;
  readonly #quota: number;
  readonly #used = new Map<string, { count: number; readonly until: number }>();

  constructor(clock: Clock, quota: number) {
    this.#clock = clock;
    this.#quota = quota;
  }

  take(from: string): void {
    const now = this.#clock.now();
    const known = this.#used.get(from);
    if (known !== undefined && known.until > now) {
      known.count += 1;
      if (known.count <= this.#quota) return;
      const seconds = Math.ceil((known.until - now) / 1_000);
      throw new Fault(
        'slow_down',
        `There were ${this.#quota} of these from this address within an hour.`,
        429,
        seconds,
      );
    }
    this.#used.delete(from);
    this.#used.set(from, { count: 1, until: now + hourMs });
    const [oldest] = this.#used.keys();
    if (this.#used.size > most && oldest !== undefined) this.#used.delete(oldest);
  }
}

const hourMs = 60 * 60_000;
const most = 10_000;
