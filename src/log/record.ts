import type { LogRecord } from '../kernel/event.ts';
import { recordHash } from './chain.ts';
import type { Database } from './database.ts';
import type { Head, StoredRecord } from './port.ts';

/** What a command emitted, before it has a place in the log. */
export interface Draft {
  readonly at: number;
  readonly actor: string;
  readonly stream: string;
  readonly type: string;
  readonly version: number;
  readonly data: string;
  readonly cause: string;
  readonly trace: string;
}

/** Gives a draft its place after `head`. */
export function chain(head: Head, draft: Draft): StoredRecord {
  const unsigned = { position: head.position + 1, ...draft, previous: head.hash };
  return { ...unsigned, hash: recordHash(unsigned) };
}

/** A stored record with its data parsed. */
export function parseRecord(record: StoredRecord): LogRecord {
  return { ...record, data: JSON.parse(record.data) };
}

/** Reads up to `limit` records after `position` through any connection: the writer's or a reader's. */
export function readLog(database: Database, position: number, limit: number): StoredRecord[] {
  return database.all<StoredRecord>('SELECT * FROM log WHERE position > ? ORDER BY position LIMIT ?', position, limit);
}

/** The last record's position and hash. */
export function readHead(database: Database): Head {
  const row = database.get<{ position: number; hash: string }>(
    'SELECT position, hash FROM log ORDER BY position DESC LIMIT 1',
  );
  return row ?? { position: 0, hash: '' };
}
