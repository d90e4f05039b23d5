import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Cancel } from '../kernel/clock.ts';
import { conflict } from '../kernel/error.ts';
import { type Database, fileUri } from './database.ts';
import { isConstraint, openFault } from './fault.ts';
import { holdLock } from './lock.ts';
import { makeFolder, openDatabase, prepareFolder, seal, sync } from './open.ts';
import type { Sealed } from './payload.ts';
import type { Head, Lease, Log, StoredRecord } from './port.ts';
import { readHead, readLog } from './record.ts';

/** The log in the same SQLite file as the views: an append and the views' change are one transaction. */
export class SqliteLog implements Log {
  readonly database: Database;
  readonly #lock: { release(): void };
  readonly #listeners = new Set<(head: Head) => void>();
  #head: Head;
  #fence: number | undefined;

  /** Takes the lock, opens the file and verifies the end of its chain. Throws `unavailable` with what to do. */
  constructor(path: string, sealed?: Sealed) {
    prepareFolder(dirname(path));
    this.#lock = holdLock(`${path}.lock`);
    try {
      this.database = openDatabase(path, sealed);
      this.#head = readHead(this.database);
    } catch (error) {
      this.#lock.release();
      throw openFault(path, error);
    }
  }

  head(): Head {
    return this.#head;
  }

  /** Starts the transaction in which records are appended; refuses when the lease that was taken is no longer ours. */
  begin(): void {
    this.database.run('BEGIN IMMEDIATE');
    if (this.#fence === undefined) return;
    const { fence, holder } = this.database.get<Lease>('SELECT fence, holder FROM writer') ?? {
      fence: 0,
      holder: 'nobody',
    };
    if (fence === this.#fence) return;
    throw conflict(`The right to write was taken by ${holder} (fence ${fence}; this writer has ${this.#fence}).`, {
      fix: 'Stop this server; the other one goes on.',
    });
  }

  append(expected: number, records: readonly StoredRecord[]): void {
    if (this.database.inTransaction) return this.#append(expected, records);
    const before = this.#head;
    try {
      this.begin();
      this.#append(expected, records);
      this.database.run('COMMIT');
    } catch (error) {
      this.rollBack(before);
      throw error;
    }
    this.committed();
  }

  read(position: number, limit: number): StoredRecord[] {
    return readLog(this.database, position, limit);
  }

  watch(listener: (head: Head) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  lease(holder: string): Lease {
    const lease = this.database.get<{ fence: number }>(
      'UPDATE writer SET fence = fence + 1, holder = ? RETURNING fence',
      holder,
    );
    this.#fence = lease?.fence ?? 0;
    return { holder, fence: this.#fence };
  }

  /** Written under another name and renamed: under its name a snapshot is whole. */
  snapshot(path: string): void {
    if (existsSync(path)) {
      throw conflict(`${path} is there already; a snapshot never replaces a file.`, {
        fix: 'Name a file that does not exist yet.',
      });
    }
    makeFolder(dirname(path));
    const draft = `${path}.partial`;
    try {
      rmSync(draft, { force: true });
      this.database.run(
        `VACUUM ${this.database.schema} INTO ?`,
        this.database.schema === 'main' ? draft : fileUri(draft),
      );
      seal(draft);
      renameSync(draft, path);
      sync(dirname(path));
    } catch (error) {
      rmSync(draft, { force: true });
      throw openFault(path, error);
    }
  }

  /** Writes reactors' positions. They are not forced to the disk: one that is lost only has its last events come again. */
  savePositions(positions: ReadonlyMap<string, number>): void {
    this.database.exec(`PRAGMA ${this.database.schema}.synchronous = NORMAL`);
    try {
      this.database.transaction(() => {
        for (const [name, position] of positions) {
          this.database.run('INSERT OR REPLACE INTO reactor_position VALUES (?, ?)', name, position);
        }
      });
    } finally {
      this.database.exec(`PRAGMA ${this.database.schema}.synchronous = FULL`);
    }
  }

  /** Tells the watchers, once a transaction with appends has been committed. None of them can undo it by throwing. */
  committed(): void {
    for (const listener of this.#listeners) {
      try {
        listener(this.#head);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Ends a transaction that failed, if SQLite has not done so; the head is again what it was before. */
  rollBack(before: Head): void {
    if (this.database.inTransaction) this.database.run('ROLLBACK');
    this.#head = before;
  }

  /** Takes back the head once a savepoint was rolled back. */
  rolledBack(head: Head): void {
    this.#head = head;
  }

  close(): void {
    this.database.close();
    this.#lock.release();
  }

  /** Everything is checked before anything is written. */
  #append(expected: number, records: readonly StoredRecord[]): void {
    let head = this.#head;
    if (expected !== head.position) throw anotherWriter(head.position, expected);
    for (const record of records) {
      if (record.position !== head.position + 1 || record.previous !== head.hash)
        throw anotherWriter(head.position, record.position - 1);
      head = record;
    }
    for (const record of records) this.#insert(record);
    this.#head = { position: head.position, hash: head.hash };
  }

  #insert(record: StoredRecord): void {
    const { position, at, actor, stream, type, version, data, cause, trace, previous, hash } = record;
    try {
      this.database.run(
        `INSERT INTO ${this.database.schema}.log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        position,
        at,
        actor,
        stream,
        type,
        version,
        data,
        cause,
        trace,
        previous,
        hash,
      );
    } catch (error) {
      throw isConstraint(error) ? anotherWriter(position, position - 1) : error;
    }
  }
}

function anotherWriter(head: number, expected: number): Error {
  return conflict(`The log is at ${head}, not at ${expected}: another writer was faster.`, {
    fix: 'Read the log again from there, and decide anew.',
  });
}
