import type { Cancel, Clock } from '../../kernel/clock.ts';
import type { LogRecord } from '../../kernel/event.ts';
import type { LiveFeed } from '../door.ts';

export interface WatchOptions {
  readonly feed: LiveFeed;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** Many records come together, for example when a task lands; one notice is enough for all of them. */
const calmMs = 200;

/** Tells who watches a stream of the log that something happened in it. The log is followed only while somebody watches. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #pending = new Map<() => void, Cancel>();
  #following: AbortController | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Calls back soon after each burst of records; until what it returns is called. */
  add(streams: readonly string[], changed: () => void): () => void {
    const tell = (): void => this.#soon(tell, changed);
    for (const stream of streams) {
      const known = this.#listeners.get(stream);
      if (known === undefined) this.#listeners.set(stream, new Set([tell]));
      else known.add(tell);
    }
    this.#follow();
    return () => {
      for (const stream of streams) {
        const known = this.#listeners.get(stream);
        known?.delete(tell);
        if (known?.size === 0) this.#listeners.delete(stream);
      }
      this.#pending.get(tell)?.();
      this.#pending.delete(tell);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    this.#following?.abort();
    this.#following = undefined;
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
  }

  #soon(key: () => void, changed: () => void): void {
    if (this.#pending.has(key)) return;
    const run = (): void => {
      this.#pending.delete(key);
      changed();
    };
    this.#pending.set(key, this.#options.clock.after(calmMs, run));
  }

  #follow(): void {
    if (this.#following !== undefined) return;
    const stop = (this.#following = new AbortController());
    this.#read(stop.signal).catch((error: unknown) => this.#options.onFailure(error));
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { feed } = this.#options;
    for await (const record of feed.follow({ after: feed.head, signal })) this.#tell(record);
  }

  #tell({ stream, data }: LogRecord): void {
    const run = typeof data === 'object' && data !== null && 'run' in data ? data.run : undefined;
    for (const name of [stream, run]) {
      if (typeof name !== 'string') continue;
      for (const tell of this.#listeners.get(name) ?? []) tell();
    }
  }
}
