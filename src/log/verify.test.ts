import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordHash } from './chain.ts';
import { makeRecords } from './conformance.fixture.ts';
import { Database } from './database.ts';
import { temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';
import { verifyChain, type Verification } from './verify.ts';

let place: ReturnType<typeof temporaryFolder>;
let path: string;
beforeEach(() => {
  place = temporaryFolder();
  path = join(place.folder, 'maos.db');
  const log = new SqliteLog(path);
  log.append(0, makeRecords(log.head(), 2_500));
  log.close();
});
afterEach(() => place.remove());

/** Does something to the file behind the log's back, and verifies. */
async function after(sql: string): Promise<Verification> {
  const vandal = new DatabaseSync(path);
  vandal.exec(sql);
  vandal.close();
  const reader = new Database(path, { readOnly: true });
  try {
    return await verifyChain(reader);
  } finally {
    reader.close();
  }
}

const found = ({ breaks }: Verification): unknown[] => breaks.map(({ position, problem }) => [position, problem]);

describe('verifying the chain', () => {
  it('passes what was appended', async () => {
    const verification = await after('');
    expect(verification).toMatchObject({ records: 2_500, breaks: [] });
    expect(verification.head).toMatch(/^[\w-]{43}$/);
  });

  it.each(['at', 'actor', 'stream', 'type', 'version', 'data', 'cause', 'trace'])(
    'finds a record whose %s was altered',
    async (column) => {
      const value = column === 'at' || column === 'version' ? '99' : "'other'";
      expect(found(await after(`UPDATE log SET ${column} = ${value} WHERE position = 1500`))).toEqual([
        [1_500, 'altered'],
      ]);
    },
  );

  it('finds records that were removed: one, the first, several', async () => {
    expect(found(await after('DELETE FROM log WHERE position = 1000'))).toEqual([[1_000, 'missing']]);
    expect(found(await after('DELETE FROM log WHERE position = 1'))).toEqual([
      [1, 'missing'],
      [1_000, 'missing'],
    ]);
    expect(found(await after('DELETE FROM log WHERE position BETWEEN 10 AND 20'))).toEqual([
      [1, 'missing'],
      [10, 'missing'],
      [1_000, 'missing'],
    ]);
  });

  it('finds a record that was replaced together with its hash, by the one that follows it', async () => {
    const log = new SqliteLog(path);
    const [record] = log.read(1_999, 1);
    log.close();
    if (record === undefined) throw new Error('no record');
    const forged = { ...record, data: '{}' };
    expect(
      found(await after(`UPDATE log SET data = '{}', hash = '${recordHash(forged)}' WHERE position = 2000`)),
    ).toEqual([[2_001, 'unlinked']]);
  });

  it('finds two records that changed places, and one whose hash was replaced', async () => {
    const swapped = await after(
      'UPDATE log SET position = -1 WHERE position = 7; UPDATE log SET position = 7 WHERE position = 8; UPDATE log SET position = 8 WHERE position = -1',
    );
    expect(found(swapped).map((item) => (Array.isArray(item) ? item[0] : 0))).toEqual([7, 8, 9]);
  });

  it('finds records that were inserted: before the first, after the last, in the middle', async () => {
    const copy = (position: number): string =>
      `INSERT INTO log SELECT ${position}, at, actor, stream, type, version, data, cause, trace, previous, hash FROM log WHERE position = 2200`;
    expect(found(await after(copy(-3)))).toEqual([[-3, 'unlinked']]);
    expect(found(await after(copy(2_501)))).toEqual([
      [-3, 'unlinked'],
      [2_501, 'unlinked'],
    ]);
    expect(found(await after(`${copy(3_000)}; DELETE FROM log WHERE position < 1`))).toEqual([
      [2_501, 'unlinked'],
      [2_502, 'missing'],
    ]);
  });

  it('finds an insertion that moved all that follows, and stops listing at a limit', async () => {
    const { breaks, records } = await after(
      `UPDATE log SET position = -position WHERE position > 100; UPDATE log SET position = 1 - position WHERE position < 0;
       INSERT INTO log SELECT 101, at, actor, stream, type, version, data, cause, trace, previous, hash FROM log WHERE position = 50`,
    );
    expect(records).toBe(2_501);
    expect(breaks).toHaveLength(20);
    expect(breaks[0]).toMatchObject({ position: 101, problem: 'unlinked' });
  });

  it('says where a log cannot be read any more', async () => {
    expect(
      found(
        await after(
          'INSERT INTO log SELECT 9223372036854775807, at, actor, stream, type, version, data, cause, trace, previous, hash FROM log WHERE position = 1',
        ),
      ),
    ).toEqual([[2_501, 'missing']]);
  });
});
