/**
 * Runs the reactors over the log.
 *
 * R1  A reactor sees every record of its types at least once, also across a crash.
 * R2  Records of one stream are handled in order; streams run side by side.
 * R3  The stored position is before every record that is still being handled.
 * R4  A reactor that throws is tried again, later and later; the others go on.
 * R5  At most `openLimit` records are in hand: a reactor that is behind does not read the whole log into memory.
 */
import type { Cancel, Clock } from '../kernel/clock.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Reactor, Reader } from '../kernel/handler.ts';
import type { Scope } from '../kernel/scope.ts';
import type { Feed } from './feed.ts';

export interface ReactorHost {
  readonly feed: Feed;
  readonly clock: Clock;
  position(name: string): number;
  savePosition(name: string, position: number): void;
  /** Told of every failed try, so that it can be shown. */
  onFailure(reactor: string, record: LogRecord, error: unknown, tries: number): void;
}

/** How often a moved position is written down at most. Losing one only means that "is it already so?" is asked again. */
const savePeriod = 1_000;
const longestWait = 30_000;
const openLimit = 1_000;

/** A reactor's stored position; 0 for one that has never run. */
export function reactorPosition(reader: Reader, name: string): number {
  return reader.get<{ position: number }>('SELECT position FROM reactor_position WHERE name = ?', name)?.position ?? 0;
}

export class ReactorRunner {
  readonly #host: ReactorHost;
  readonly #reactor: Reactor;
  readonly #types: ReadonlySet<string>;
  readonly #streams = new Map<string, Promise<void>>();
  /** Positions in hand. They are added in the order of the log, so the first one is the lowest. */
  readonly #open = new Set<number>();
  #seen: number;
  #saved: number;
  #saving: Cancel | undefined;
  #roomForMore: (() => void) | undefined;

  constructor(host: ReactorHost, reactor: Reactor) {
    this.#host = host;
    this.#reactor = reactor;
    this.#types = new Set(reactor.types);
    this.#seen = this.#saved = host.position(reactor.name);
  }

  /** Follows the log until the scope closes; then saves the position. */
  start(scope: Scope): void {
    const loop = this.#run(scope.signal);
    scope.defer(async () => {
      await loop;
      this.#saving?.();
      this.#save();
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    for await (const record of this.#host.feed.follow({ after: this.#seen, signal })) {
      this.#seen = record.position;
      if (!this.#types.has(record.type)) {
        this.#saveLater(signal);
        continue;
      }
      this.#enqueue(record, signal);
      if (this.#open.size >= openLimit) await this.#room(signal);
    }
  }

  #enqueue(record: LogRecord, signal: AbortSignal): void {
    this.#open.add(record.position);
    const before = this.#streams.get(record.stream) ?? Promise.resolve();
    const after = before.then(() => this.#handle(record, signal));
    this.#streams.set(record.stream, after);
    void after.then(() => {
      if (this.#streams.get(record.stream) === after) this.#streams.delete(record.stream);
    });
  }

  async #handle(record: LogRecord, signal: AbortSignal): Promise<void> {
    for (let tries = 1; !signal.aborted; tries += 1) {
      try {
        await this.#reactor.react(record);
        this.#open.delete(record.position);
        this.#roomForMore?.();
        this.#saveLater(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#host.onFailure(this.#reactor.name, record, error, tries);
        await this.#pause(Math.min(longestWait, 100 * 2 ** tries), signal);
      }
    }
  }

  /** Waits until a record has been handled, or the signal is aborted. */
  #room(signal: AbortSignal): Promise<void> {
    return untilAborted(signal, (resolve) => {
      this.#roomForMore = resolve;
      return () => {
        this.#roomForMore = undefined;
      };
    });
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return untilAborted(signal, (resolve) => this.#host.clock.after(ms, resolve));
  }

  #saveLater(signal: AbortSignal): void {
    if (this.#saving !== undefined || signal.aborted) return;
    this.#saving = this.#host.clock.after(savePeriod, () => {
      this.#saving = undefined;
      if (!signal.aborted) this.#save();
    });
  }

  #save(): void {
    const [lowest] = this.#open;
    const position = lowest === undefined ? this.#seen : lowest - 1;
    if (position === this.#saved) return;
    this.#saved = position;
    this.#host.savePosition(this.#reactor.name, position);
  }
}

/** Waits for what `start` calls back for, at most until the signal is aborted, and leaves no listener behind. */
function untilAborted(signal: AbortSignal, start: (resolve: () => void) => Cancel): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      cancel();
      resolve();
    };
    const cancel = start(done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
