import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { temporary } from './product.ts';

const text = 'x'.repeat(250);

/**
 * What SQLite gives by itself, with the same promises (WAL, synchronous=FULL): transactions of so many one-row inserts,
 * for a second; returns rows per second. No hash, no view, no schema.
 */
export function bareInserts(rowsPerCommit: number): number {
  const database = new DatabaseSync(join(temporary(), 'bare.db'));
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)',
  );
  const insert = database.prepare('INSERT INTO row (text) VALUES (?)');
  const begin = performance.now();
  let rows = 0;
  while (performance.now() - begin < 1_000) {
    database.exec('BEGIN IMMEDIATE');
    for (let row = 0; row < rowsPerCommit; row += 1) insert.run(text);
    database.exec('COMMIT');
    rows += rowsPerCommit;
  }
  const perSecond = (rows * 1_000) / (performance.now() - begin);
  database.close();
  return perSecond;
}
