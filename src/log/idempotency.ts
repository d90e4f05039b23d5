import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { on, type Reader, type View } from '../kernel/handler.ts';
import { canonicalJson, sha256 } from '../kernel/hash.ts';

/** A call that carried an idempotency key was carried out; the same key again gives the same output. */
export const callKept = event(
  'call.kept',
  z.strictObject({ key: z.string(), operation: z.string(), inputHash: z.string(), output: z.unknown() }),
);

/** An output of null in the table: the operation gave none. */
export const idempotencyView: View = {
  name: 'idempotency',
  tables: ['idempotency'],
  schema:
    'CREATE TABLE idempotency (key TEXT PRIMARY KEY, operation TEXT NOT NULL, input_hash TEXT NOT NULL, output TEXT) STRICT;',
  applies: [
    on(callKept, (db, { data, stream }) =>
      db.run(
        'INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)',
        stream,
        data.operation,
        data.inputHash,
        data.output === undefined ? null : JSON.stringify(data.output),
      ),
    ),
  ],
};

interface KeptCall {
  readonly operation: string;
  readonly input_hash: string;
  readonly output: string | null;
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
