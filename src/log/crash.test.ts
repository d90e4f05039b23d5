import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dumpTables } from './rebuild-equality.fixture.ts';
import { itemView, openSample, temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';
import { verifyChain } from './verify.ts';

/** How many seeds: a few in the gate, more by hand (`MAOS_TEST_SEEDS=200 npx vitest run src/log/crash.test.ts`). */
const seeds = Number(process.env['MAOS_TEST_SEEDS'] ?? 4);

let place: ReturnType<typeof temporaryFolder>;
beforeEach(() => (place = temporaryFolder()));
afterEach(() => place.remove());

/** Runs the writing process until it has answered this many commands and some bytes more; returns all that it answered. */
async function writeUntilKilled(folder: string, answers: number): Promise<string[]> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./crash.fixture.ts', import.meta.url)), 'append', folder],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.split('\n').length > answers) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.once('close', resolve));
  // Each line is one write, so a line that is there is whole.
  return text.split('\n').filter((line) => line !== '');
}

/** The tables as the crash left them. */
function tablesAsFound(folder: string): Record<string, string[]> {
  const log = new SqliteLog(join(folder, 'maos.db'));
  try {
    return dumpTables(log.database, itemView);
  } finally {
    log.close();
  }
}

describe('kill -9 of a writing process', () => {
  it(
    'loses nothing that was answered, in any of several crashes',
    async () => {
      const answered: string[] = [];
      let random = 12_345;
      for (let seed = 0; seed < seeds; seed += 1) {
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
        answered.push(...(await writeUntilKilled(place.folder, random % 400)));
        const found = tablesAsFound(place.folder);
        const sample = openSample(place.folder);
        const { database } = sample.log;
        // The functions of this process were transformed by the test runner, so opening has just rebuilt the tables.
        expect(sample.rebuilt).toEqual(['idempotency', 'item']);
        expect(dumpTables(database, itemView)).toEqual(found);
        const records = sample.log.read(0, 1_000_000);
        for (const line of answered) {
          const [position = '', title = ''] = line.split(' ');
          expect(records[Number(position) - 1]?.data).toContain(title);
        }
        expect(await verifyChain(database)).toMatchObject({ records: records.length, breaks: [] });
        // Both of a command's records, or none: addTwo makes two.
        expect(records.filter((record) => record.data.includes(' inner'))).toEqual([]);
        expect(records.filter((record) => record.data.includes(' before')).length).toBe(
          records.filter((record) => record.data.includes(' after')).length,
        );
        sample.log.close();
      }
      expect(answered.length).toBeGreaterThan(seeds);
    },
    20_000 + seeds * 2_000,
  );
});
