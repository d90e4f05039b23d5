import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { readConfig } from '../app/config.ts';
import { placesIn } from '../app/places.ts';
import { type Server, startServer } from '../app/server.ts';
import type { Call } from '../kernel/handler.ts';
import type { Head, StoredRecord } from '../log/port.ts';
import { chain } from '../log/record.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { watchOps } from './contract.ts';

const many = 45_000;
let root: string;
let server: Server;
let call: Call;

/** A long log, in which one stream has the first record, the last one and one between. */
function writeLog(path: string): void {
  const log = new SqliteLog(path);
  const records: StoredRecord[] = [];
  let head: Head = log.head();
  for (let position = 1; position <= many; position += 1) {
    const rare = [1, 30_000, many].includes(position);
    const stream = rare ? 'thing_rare' : `thing_${position % 7}`;
    const draft = { at: position, actor: 'user:local', version: 1, data: '{}', cause: 'call_1', trace: 'call_1' };
    const record = chain(head, { ...draft, stream, type: rare ? 'thing.found' : 'noise.made' });
    records.push(record);
    head = record;
  }
  log.append(0, records);
  log.close();
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'maos-watch-'));
  const home = join(root, 'home');
  mkdirSync(home, { mode: 0o700 });
  writeLog(placesIn(home).database);
  const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: home };
  const config = readConfig(environment);
  server = await startServer({ config, version: '0', acts: false, listens: false, environment });
  call = server.registry.as(localCaller);
});

afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

async function positions(input: Parameters<typeof call<typeof watchOps.events>>[1]) {
  const { records, next } = await call(watchOps.events, input);
  return { found: records.map(({ position }) => position), next };
}

describe('audit.list', () => {
  it('finds a stream or a type wherever it is, in order', async () => {
    const everywhere = { found: [1, 30_000, many], next: many };
    expect(await positions({ stream: 'thing_rare' })).toEqual(everywhere);
    expect(await positions({ type: 'thing.found' })).toEqual(everywhere);
    expect(await positions({ type: 'thing.*' })).toEqual(everywhere);
    expect(await positions({ type: 'noise.*', stream: 'thing_rare' })).toEqual({ found: [], next: many });
    expect(await positions({ stream: 'thing_none', after: many + 5 })).toEqual({ found: [], next: many + 5 });
  });

  it('gives pages that join without a gap', async () => {
    expect(await positions({ stream: 'thing_rare', limit: 2 })).toEqual({ found: [1, 30_000], next: 30_000 });
    expect(await positions({ stream: 'thing_rare', limit: 2, after: 30_000 })).toEqual({ found: [many], next: many });
    const { found, next } = await positions({ after: 19_998, limit: 4 });
    expect(found).toEqual([19_999, 20_000, 20_001, 20_002]);
    expect(next).toBe(20_002);
  });

  it('lets others go on while it looks through a long log', async () => {
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      if (turns < 1_000) setImmediate(turn);
    };
    setImmediate(turn);
    await call(watchOps.events, { stream: 'thing_none' });
    expect(turns).toBeGreaterThanOrEqual(2);
    turns = 1_000;
  });
});
