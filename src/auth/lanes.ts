import { AppError } from '../kernel/error.ts';

/** Who work is done for. */
export interface Source {
  /** Its credential or its address: those who wait take turns by it. */
  readonly key: string;
  /** Whether it has shown a credential: it comes before all who have not, and waits in places of its own. */
  readonly known: boolean;
}

export interface LaneLimits {
  /** So much is done at a time. */
  readonly lanes: number;
  /** So many may wait that have shown no credential, and so many of one source; a quarter more of those that have. */
  readonly most: number;
  readonly perSource: number;
}

/** Work that is dear, a little of it at a time: who waits is bounded in number, and each source gets its turn. */
export class Lanes {
  readonly #limits: LaneLimits;
  readonly #known = new Map<string, (() => void)[]>();
  readonly #strangers = new Map<string, (() => void)[]>();
  #running = 0;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** Refuses work that would have no place to wait. What begins in the same turn has one. */
  refuseCrowd(source: Source): void {
    const { lanes, most, perSource } = this.#limits;
    if (this.#running < lanes) return;
    const line = this.#lineOf(source);
    const waiting = [...line.values()].reduce((sum, { length }) => sum + length, 0);
    if (waiting < (source.known ? most / 4 : most) && (line.get(source.key)?.length ?? 0) < perSource) return;
    throw new AppError('exhausted', 'Too many passwords wait to be looked at.', {
      fix: 'Try again in a moment.',
      details: { retryAfterMs: 2_000 },
    });
  }

  async run<Result>(source: Source, work: () => Promise<Result>): Promise<Result> {
    this.refuseCrowd(source);
    if (this.#running < this.#limits.lanes) this.#running += 1;
    else await this.#turn(source);
    try {
      return await work();
    } finally {
      // The place goes straight to the next in line.
      const next = shift(this.#known) ?? shift(this.#strangers);
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #lineOf({ known }: Source): Map<string, (() => void)[]> {
    return known ? this.#known : this.#strangers;
  }

  #turn(source: Source): Promise<void> {
    return new Promise((resolve) => {
      const line = this.#lineOf(source);
      const waiting = line.get(source.key);
      if (waiting === undefined) line.set(source.key, [resolve]);
      else waiting.push(resolve);
    });
  }
}

/** The first of the source whose turn it is, which goes to the end of the line. */
function shift(line: Map<string, (() => void)[]>): (() => void) | undefined {
  const [first] = line;
  if (first === undefined) return undefined;
  const [key, waiting] = first;
  const next = waiting.shift();
  line.delete(key);
  if (waiting.length > 0) line.set(key, waiting);
  return next;
}
