import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { on, type Reader, type View } from '../kernel/handler.ts';
import { canonicalJson, sha256 } from '../kernel/hash.ts';

/** A call that carried an idempotency key was carried out; the same key again gives the same output. */
export const callKept = event('call.kept', () =>
  z.strictObject({ key: z.string(), operation: z.string(), inputHash: z.string(), output: z.unknown() }),
);

/** For this long at least the same key gives the same output. */
export const keepMs = 7 * 24 * 3_600_000;

/**
 * An output of null in the table: the operation gave none. Each new key takes the place of the oldest ones that are over, two at
 * most, by the time of its own record: so the table shrinks without a timer, a call costs the same however many there are, and a
 * rebuild ends with the same rows.
 */
export const idempotencyView: View = {
  name: 'idempotency',
  tables: ['idempotency'],
  schema: `CREATE TABLE idempotency (
    sequence INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, operation TEXT NOT NULL, input_hash TEXT NOT NULL, output TEXT,
    at INTEGER NOT NULL
  ) STRICT;`,
  version: 2,
  applies: [
    on(callKept, (db, { data, stream, position, at }) => {
      db.run(
        'DELETE FROM idempotency WHERE sequence IN (SELECT sequence FROM idempotency ORDER BY sequence LIMIT 2) AND at < ?',
        at - keepMs,
      );
      db.run(
        'INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)',
        position,
        stream,
        data.operation,
        data.inputHash,
        data.output === undefined ? null : JSON.stringify(data.output),
        at,
      );
    }),
  ],
};

interface KeptCall {
  readonly operation: string;
  readonly input_hash: string;
  readonly output: string | null;
}

/**
 * The call of an action. It runs outside the core and may be repeated from its start; what it writes is written once, because
 * each command that it calls has a key of its own, and all of them are tied to this one.
 */
export interface KeyedAction {
  readonly key: string;
  readonly operation: string;
  readonly inputHash: string;
}

/** Keys belong to the actor that used them: two callers cannot see each other's answers. */
export function keyStream(actor: string, key: string): string {
  return `call:${sha256(`${actor}\n${key}`)}`;
}

export function keptCall(db: Reader, stream: string): KeptCall | undefined {
  return db.get<KeptCall>('SELECT operation, input_hash, output FROM idempotency WHERE key = ?', stream);
}

export function inputHash(input: unknown): string {
  return sha256(canonicalJson(input ?? null));
}
