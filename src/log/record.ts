import type { LogRecord } from '../kernel/event.ts';
import { recordHash } from './chain.ts';
import type { Database } from './database.ts';
import { type Payloads, plainPayloads } from './payload.ts';
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

/** A stored record with its data opened and parsed. */
export function parseRecord(record: StoredRecord, payloads: Pick<Payloads, 'open'> = plainPayloads): LogRecord {
  return { ...record, data: JSON.parse(payloads.open(record)) };
}

/** As `readLog`, with the data opened and parsed. */
export function readRecords(database: Database, position: number, limit: number): LogRecord[] {
  return readLog(database, position, limit).map((record) => parseRecord(record, database.payloads));
}

/** Reads up to `limit` records after `position` through any connection: the writer's or a reader's. */
export function readLog(database: Database, position: number, limit: number): StoredRecord[] {
  const sql = `SELECT * FROM ${database.schema}.log WHERE position > ? ORDER BY position LIMIT ?`;
  return database.all<StoredRecord>(sql, position, limit);
}

/** The last record's position and hash. */
export function readHead(database: Database): Head {
  const row = database.get<{ position: number; hash: string }>(
    `SELECT position, hash FROM ${database.schema}.log ORDER BY position DESC LIMIT 1`,
  );
  return row ?? { position: 0, hash: '' };
}
