/**
 * Follows the log.
 *
 * F1  A follower gets each record after its cursor once and in order, first what is stored, then what comes.
 * F2  A follower is pulled: a slow one reads later, and the server keeps nothing for it.
 * F3  A follower whose signal was aborted leaves nothing behind.
 * F4  A follower that has much to catch up lets the event loop go on between pages.
 */
import { conflict } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Database } from './database.ts';
import { parseRecord, readHead, readLog, readRecords } from './record.ts';

/** The newest records are kept in memory, at most so many and so much text, so that followers at the head do not read the file. */
const recentRecords = 2_048;
const recentText = 8 * 1024 * 1024;
const page = 500;

export interface FollowOptions {
  /** The last position that the follower has; 0 for everything, the head for what comes. */
  readonly after: number;
  readonly signal: AbortSignal;
}

interface Recent {
  readonly record: LogRecord;
  readonly size: number;
}

export class Feed {
  readonly #reader: Database;
  readonly #waiting = new Set<() => void>();
  /** Without gaps, and never beyond the head. */
  #recent: Recent[] = [];
  #recentText = 0;
  #head: number;

  constructor(reader: Database) {
    this.#reader = reader;
    this.#head = readHead(reader).position;
  }

  get head(): number {
    return this.#head;
  }

  /** How many followers wait at the head. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Called once a commit has moved the head. Reads nothing, so it cannot fail. */
  advance(head: number): void {
    if (head <= this.#head) return;
    this.#head = head;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Records after a position that are already committed, at most `limit`. */
  read(after: number, limit = page): LogRecord[] {
    const behind = this.#head - after;
    if (behind <= 0) return [];
    if (behind <= page) this.#load(after);
    const start = after + 1 - (this.#recent[0]?.record.position ?? Infinity);
    if (start >= 0 && start < this.#recent.length)
      return this.#recent.slice(start, start + limit).map(({ record }) => record);
    return readRecords(this.#reader, after, Math.min(limit, behind));
  }

  /** Ends when the signal is aborted. Refuses (`conflict`) a cursor that this log has not reached. */
  async *follow({ after, signal }: FollowOptions): AsyncGenerator<LogRecord> {
    this.#refuseFuture(after);
    let position = after;
    while (!signal.aborted) {
      const records = this.read(position);
      for (const record of records) {
        yield record;
        position = record.position;
        if (signal.aborted) return;
      }
      if (records.length === 0) await this.#next(signal);
      else if (position < this.#head) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A cursor from another log, or from before a restore, would wait for the head to come by and then miss records. */
  #refuseFuture(after: number): void {
    if (after <= this.#head) return;
    const head = readHead(this.#reader).position;
    if (after <= head) return;
    throw conflict(`The cursor ${after} is after the end of the log (${head}): it comes from another log.`, {
      fix: 'Read the present state again and follow from its position.',
      details: { head },
    });
  }

  /** Brings the kept records up to the head; called for a follower that is at most a page behind. */
  #load(after: number): void {
    let last = this.#recent.at(-1)?.record.position ?? 0;
    if (last < after) {
      this.#recent = [];
      this.#recentText = 0;
      last = after;
    }
    if (last >= this.#head) return;
    for (const stored of readLog(this.#reader, last, this.#head - last)) {
      this.#recent.push({ record: parseRecord(stored, this.#reader.payloads), size: stored.data.length });
      this.#recentText += stored.data.length;
    }
    this.#trim();
  }

  /** Trims to half, so that it is seldom needed. The newest record always stays. */
  #trim(): void {
    if (this.#recent.length <= recentRecords && this.#recentText <= recentText) return;
    let drop = 0;
    while (drop < this.#recent.length - 1) {
      if (this.#recent.length - drop <= recentRecords / 2 && this.#recentText <= recentText / 2) break;
      this.#recentText -= this.#recent[drop]?.size ?? 0;
      drop += 1;
    }
    this.#recent = this.#recent.slice(drop);
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }
}
