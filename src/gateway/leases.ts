/**
 * Whatever stays open longer than a moment stands on a credential, and ends with it.
 *
 * E1  What is held is told once: as soon as its credential has ended, or gives something else than when it was taken.
 * E2  A credential ends by a record of the log, or by time: each heartbeat looks again.
 * E3  The log is followed only while something is held.
 */
import type { Caller } from '../kernel/caller.ts';
import type { Cancel } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import { isStranger } from './limits.ts';
import type { Door, Lease } from './door.ts';

/** What is told to who is cut off. */
export function endedCredential(): AppError {
  return new AppError('unauthenticated', 'The credential has ended, or gives something else by now.', {
    fix: 'Call again with one that is good.',
  });
}

interface Held {
  readonly caller: Caller;
  readonly ended: () => void;
}

/** See the head of this file. */
export class Leases {
  readonly #door: Pick<Door, 'feed' | 'guard' | 'clock' | 'limits' | 'onFailure'>;
  readonly #held = new Set<Held>();
  #stop: (() => void) | undefined;

  constructor(door: Pick<Door, 'feed' | 'guard' | 'clock' | 'limits' | 'onFailure'>) {
    this.#door = door;
  }

  get size(): number {
    return this.#held.size;
  }

  of(caller: Caller): Lease {
    return (ended) => this.#hold(caller, ended);
  }

  close(): void {
    this.#held.clear();
    this.#stop?.();
  }

  #hold(caller: Caller, ended: () => void): Cancel {
    // The token of the machine's owner is good as long as the server stands, and a stranger has shown nothing that could end.
    if (caller.credential === null || isStranger(caller)) return () => undefined;
    const held = { caller, ended };
    this.#held.add(held);
    this.#begin();
    // It may have ended since the request came. Not told before its holder has what cancels it.
    queueMicrotask(() => this.#look([held]));
    return () => {
      this.#held.delete(held);
      if (this.#held.size === 0) this.#stop?.();
    };
  }

  #begin(): void {
    if (this.#stop !== undefined) return;
    const { feed, clock, limits, onFailure } = this.#door;
    const following = new AbortController();
    let beat: Cancel = () => undefined;
    const schedule = (): void => {
      beat = clock.after(limits.heartbeatMs, () => {
        schedule();
        this.#look([...this.#held]);
      });
    };
    this.#stop = () => {
      this.#stop = undefined;
      beat();
      following.abort();
    };
    schedule();
    this.#follow(feed.head, following.signal).catch((error: unknown) =>
      onFailure(error, { operation: 'leases', trace: undefined }),
    );
  }

  async #follow(after: number, signal: AbortSignal): Promise<void> {
    for await (const record of this.#door.feed.follow({ after, signal }))
      if (this.#door.guard.concerns(record)) this.#look([...this.#held]);
  }

  #look(all: readonly Held[]): void {
    for (const held of all) {
      if (!this.#held.has(held) || this.#stands(held.caller)) continue;
      this.#held.delete(held);
      held.ended();
    }
    if (this.#held.size === 0) this.#stop?.();
  }

  #stands(caller: Caller): boolean {
    try {
      const { scopes, teams } = this.#door.guard.renew(caller);
      return same(scopes, caller.scopes) && same(teams ?? ['*'], caller.teams ?? ['*']);
    } catch (error) {
      if (error instanceof AppError) return false;
      throw error;
    }
  }
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
