/**
 * Writes down who was refused what. A flood of refusals must not fill the disk: the first of a caller is written at once, those that
 * follow within a minute are counted and written as one.
 *
 * R1  A caller, a code and a rule give at most one record at once and one each minute, however often it is refused.
 * R2  So many callers are told apart; the others are counted together.
 * R3  Nothing that a caller sent is written but who it is and what it called.
 */
import type { Cancel, Clock } from '../kernel/clock.ts';
import type { RefusedData } from './contract.ts';

/** One refusal. */
export interface Refusal extends Pick<RefusedData, 'actor' | 'credential' | 'code' | 'rule' | 'risk'> {
  /** The operation; null: it was refused at the door. */
  readonly operation: string | null;
}

export interface RefusalsOptions {
  readonly clock: Clock;
  readonly write: (data: RefusedData) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
  readonly windowMs?: number;
  readonly most?: number;
}

interface Sum {
  readonly refusal: Refusal;
  readonly operations: Set<string>;
  count: number;
  since: number;
  until: number;
}

const minute = 60_000;
const mostCallers = 100;
const mostOperations = 20;

export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #sums = new Map<string, Sum>();
  readonly #written = new Set<Promise<void>>();
  #cancel: Cancel | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  note(refusal: Refusal): void {
    const { clock, most = mostCallers } = this.#options;
    const now = clock.now();
    const key = JSON.stringify([refusal.actor, refusal.credential, refusal.code, refusal.rule]);
    const sum = this.#sums.get(key) ?? (this.#sums.size < most ? undefined : this.#others(refusal, now));
    if (sum === undefined) {
      this.#write({ refusal, operations: named(refusal.operation), count: 1, since: now, until: now });
      this.#sums.set(key, { refusal, operations: new Set(), count: 0, since: now, until: now });
      this.#schedule();
      return;
    }
    if (sum.count === 0) sum.since = now;
    sum.count += 1;
    sum.until = now;
    if (refusal.operation !== null && sum.operations.size < mostOperations) sum.operations.add(refusal.operation);
  }

  /** Writes the sums and waits until all is written. */
  async stop(): Promise<void> {
    this.#cancel?.();
    this.#flush();
    await Promise.all(this.#written);
  }

  /** All callers beyond those that are told apart. */
  #others({ code, rule, risk }: Refusal, now: number): Sum {
    const key = JSON.stringify(['others', code]);
    const known = this.#sums.get(key);
    if (known !== undefined) return known;
    const refusal = { actor: 'others', credential: null, code, rule, risk, operation: null };
    const sum = { refusal, operations: new Set<string>(), count: 0, since: now, until: now };
    this.#sums.set(key, sum);
    return sum;
  }

  #schedule(): void {
    const { clock, windowMs = minute } = this.#options;
    this.#cancel ??= clock.after(windowMs, () => {
      this.#cancel = undefined;
      this.#flush();
      if (this.#sums.size > 0) this.#schedule();
    });
  }

  #flush(): void {
    for (const [key, sum] of this.#sums) {
      if (sum.count === 0) this.#sums.delete(key);
      else {
        this.#write({ ...sum, operations: new Set(sum.operations) });
        sum.operations.clear();
        sum.count = 0;
      }
    }
  }

  #write({ refusal, operations, count, since, until }: Sum): void {
    const { write, onFailure } = this.#options;
    const { operation: _operation, ...who } = refusal;
    const written = write({ ...who, operations: [...operations].toSorted(), count, since, until }).then(
      () => undefined,
      onFailure,
    );
    this.#written.add(written);
    void written.finally(() => this.#written.delete(written));
  }
}

const named = (operation: string | null): Set<string> => new Set(operation === null ? [] : [operation]);
