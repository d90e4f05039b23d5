import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeRecords } from './conformance.fixture.ts';
import { Database } from './database.ts';
import { temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';
import { verifyChain, type Verification } from './verify.ts';

const many = 100;
const texts = ['actor', 'stream', 'type', 'data', 'cause', 'trace', 'previous', 'hash'] as const;
const numbers = ['position', 'at', 'version'] as const;

let place: ReturnType<typeof temporaryFolder>;
let original: string;
beforeAll(() => {
  place = temporaryFolder();
  original = join(place.folder, 'maos.db');
  const log = new SqliteLog(original);
  log.append(0, makeRecords(log.head(), many));
  log.close();
});
afterAll(() => place.remove());

/** Does something to a copy of the log behind its back, and verifies the copy. */
async function tampered(change: (database: DatabaseSync) => void): Promise<Verification> {
  const path = join(place.folder, 'copy.db');
  copyFileSync(original, path);
  const vandal = new DatabaseSync(path);
  change(vandal);
  vandal.close();
  const reader = new Database(path, { readOnly: true });
  try {
    return await verifyChain(reader);
  } finally {
    reader.close();
  }
}

const position = fc.integer({ min: 1, max: many });

describe('a log in which one thing was changed', () => {
  it('names the record, whichever byte of whichever text it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        position,
        fc.constantFrom(...texts),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (at, column, index, mask) => {
          const { breaks } = await tampered((database) => {
            const row = database.prepare(`SELECT CAST(${column} AS BLOB) AS bytes FROM log WHERE position = ?`).get(at);
            const bytes = Buffer.from(row?.['bytes'] instanceof Uint8Array ? row['bytes'] : []);
            if (bytes.length === 0) bytes.set([], 0);
            const changed = bytes.length === 0 ? Buffer.from([mask]) : bytes;
            if (bytes.length > 0) changed[index % bytes.length] = (bytes[index % bytes.length] ?? 0) ^ mask;
            database.prepare(`UPDATE log SET ${column} = CAST(? AS TEXT) WHERE position = ?`).run(changed, at);
          });
          expect(breaks[0]?.position).toBe(at);
          expect(breaks[0]?.message).toContain(`ecord ${at} `);
        },
      ),
      { numRuns: 300, seed: 3 },
    );
  });

  it('names the record, whichever bit of whichever number it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        position,
        fc.constantFrom(...numbers),
        fc.integer({ min: 0, max: 63 }),
        async (at, column, bit) => {
          const { breaks } = await tampered((database) => {
            const change = `(${column} | (1 << ${bit})) - (${column} & (1 << ${bit}))`;
            database.exec(`UPDATE OR REPLACE log SET ${column} = ${change} WHERE position = ${at}`);
          });
          expect(breaks.length).toBeGreaterThan(0);
          // A record that was moved is missing where it was; where it is now, it is one too many.
          expect(breaks.some((one) => one.position === at)).toBe(true);
        },
      ),
      { numRuns: 200, seed: 4 },
    );
  });

  it('names what was removed, and what was put between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: many - 1 }), async (at) => {
        const removed = await tampered((database) => database.exec(`DELETE FROM log WHERE position = ${at}`));
        expect(removed.breaks[0]).toMatchObject({ position: at, problem: 'missing' });
      }),
      { numRuns: 40, seed: 5 },
    );
  });
});
