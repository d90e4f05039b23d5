import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { CoreClient, type Connected } from './core.ts';
import { Feed } from './feed.ts';
import { openReader } from './open.ts';
import type { CommandResult } from './pipeline.ts';
import { reactorPosition } from './reactors.ts';
import { addAndFail, addItem, call, countItems, temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';

let place: ReturnType<typeof temporaryFolder>;
let workers: Worker[];
let heads: number[];
beforeEach(() => {
  place = temporaryFolder();
  workers = [];
  heads = [];
});
afterEach(async () => {
  for (const worker of workers) await worker.terminate();
  place.remove();
});

function start(
  options: { commitDelay?: number } = {},
  onHead = (head: number): void => void heads.push(head),
): Promise<Connected> {
  const worker = new Worker(new URL('./core.fixture.ts', import.meta.url), {
    workerData: { folder: place.folder, commitDelay: 0, ...options },
  });
  workers.push(worker);
  return CoreClient.connect(worker, onHead);
}

const die = { name: 'core.die' };
const codes = (results: readonly CommandResult[]): string[] =>
  results.map((result) => (result.ok ? 'ok' : result.error.code));
const path = (): string => join(place.folder, 'maos.db');

/** What is in the log once the core has let go of it. */
function stored(): number {
  const log = new SqliteLog(path());
  const { position } = log.head();
  log.close();
  return position;
}

describe('the core thread', () => {
  it('says what it rebuilt and where its log stands', async () => {
    const first = await start();
    expect(first).toMatchObject({ head: 0, rebuilt: ['idempotency', 'item'] });
    await first.client.submit(call(addItem, { title: 'a' }));
    await first.client.close();
    const second = await start();
    expect(second).toMatchObject({ head: 1, rebuilt: [] });
    await second.client.close();
  });

  it('answers calls with results and refusals, and moves the head before it answers', async () => {
    let onHead = (_head: number): void => {};
    const { client } = await start({}, (head) => onHead(head));
    const reader = openReader(path());
    const feed = new Feed(reader);
    onHead = (head) => feed.advance(head);
    const result = await client.submit(call(addItem, { title: 'a' }));
    expect(result).toMatchObject({ ok: true, position: 1 });
    expect(feed.read(0).map((record) => record.data)).toEqual([{ title: 'a' }]);
    expect(await client.submit(call(addAndFail, { title: 'b' }))).toEqual({
      ok: false,
      error: { code: 'conflict', message: 'It was decided to fail.', fix: 'Do not call it.' },
    });
    expect(await client.submit(call(countItems, {}))).toMatchObject({ output: 1, position: 1 });
    reader.close();
    await client.close();
  });

  it('commits what many callers submit in one turn together', async () => {
    const { client } = await start({ commitDelay: 5 });
    const results = await Promise.all(
      Array.from({ length: 500 }, (_, index) => client.submit(call(addItem, { title: String(index) }))),
    );
    expect(codes(results)).toEqual(Array(500).fill('ok'));
    expect(new Set(heads).size).toBe(1);
    await client.close();
    expect(stored()).toBe(500);
  });

  it('keeps reactor positions', async () => {
    const { client } = await start();
    client.savePosition('a', 1);
    client.savePosition('b', 2);
    client.savePosition('a', 3);
    await client.close();
    const reader = openReader(path());
    expect(['a', 'b', 'c'].map((name) => reactorPosition(reader, name))).toEqual([3, 2, 0]);
    reader.close();
  });

  it('writes snapshots and rebuilds on demand, and goes on when it cannot', async () => {
    const { client } = await start();
    await client.submit(call(addItem, { title: 'a' }));
    const snapshot = join(place.folder, 'snapshot');
    expect(await client.snapshot(snapshot)).toMatchObject({ ok: true, position: 1 });
    expect(existsSync(snapshot)).toBe(true);
    expect(await client.snapshot(snapshot)).toMatchObject({
      ok: false,
      error: { code: 'conflict', fix: expect.stringContaining('file') },
    });
    expect(await client.rebuild()).toMatchObject({ ok: true, output: ['idempotency', 'item'] });
    expect(await client.submit(call(countItems, {}))).toMatchObject({ output: 1 });
    await client.close();
  });
});

describe('a core that cannot open its log', () => {
  it('rejects with the code and the fix', async () => {
    writeFileSync(path(), 'not a database, but long enough to look like one'.repeat(10));
    const error: unknown = await start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is not a SQLite database'),
      fix: expect.stringContaining('maos restore'),
    });
  });

  it('rejects when another server has the lock', async () => {
    const { client } = await start();
    await expect(start()).rejects.toMatchObject({ code: 'unavailable', fix: expect.stringContaining('maos down') });
    await client.close();
  });

  it('rejects when its thread cannot even start', async () => {
    const worker = new Worker(new URL('./no-such-file.ts', import.meta.url));
    workers.push(worker);
    await expect(CoreClient.connect(worker, () => {})).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no-such-file'),
    });
  });
});

describe('a core that dies', () => {
  it('has every call in flight refused, and every later one', async () => {
    const { client } = await start({ commitDelay: 5 });
    const inFlight = [
      ...Array.from({ length: 20 }, (_, index) => call(addItem, { title: String(index) })),
      call(die, {}),
      call(addItem, { title: 'x' }),
    ];
    const results = await Promise.all([
      ...inFlight.map((item) => client.submit(item)),
      client.snapshot(join(place.folder, 'snapshot')),
    ]);
    expect(codes(results)).toEqual(results.map(() => 'unavailable'));
    expect(results[0]).toMatchObject({
      error: { details: { outcome: 'unknown' }, fix: expect.stringContaining('idempotency key') },
    });
    expect(await client.stopped).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('ended with code 3'),
    });
    const later = await Promise.all([
      client.submit(call(addItem, { title: 'y' })),
      client.snapshot('x'),
      client.rebuild(),
    ]);
    expect(codes(later)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    client.savePosition('a', 1);
    await client.close();
    expect(stored()).toBe(0);
  });

  it('is not killed by what a caller or a command sends', async () => {
    const { client } = await start();
    const results = await Promise.all([
      client.submit(call(addItem, { title: 'a' })),
      client.submit(call(addItem, { title: 'b', callback: () => 1 })),
      client.submit(call({ name: 'core.function' }, {})),
      client.submit(call(addItem, { title: 'c' })),
    ]);
    expect(codes(results)).toEqual(['ok', 'internal', 'internal', 'ok']);
    expect(await client.submit(call(countItems, {}))).toMatchObject({ output: 2 });
    await client.close();
  });
});

describe('closing', () => {
  it('lets what was submitted finish, answers it, and can be done twice', async () => {
    const { client } = await start({ commitDelay: 20 });
    const results: CommandResult[] = [];
    const submit = (title: string): Promise<unknown> =>
      client.submit(call(addItem, { title })).then((result) => results.push(result));
    const first = submit('a');
    await first;
    const submitted = Array.from({ length: 1_500 }, (_, index) => submit(String(index)));
    client.savePosition('reactor', 7);
    await Promise.all([client.close(), client.close()]);
    await Promise.all(submitted);
    expect(codes(results)).toEqual(Array(1_501).fill('ok'));
    expect(await client.submit(call(addItem, { title: 'late' }))).toMatchObject({
      ok: false,
      error: { code: 'unavailable', message: expect.stringContaining('stopping') },
    });
    expect(stored()).toBe(1_501);
    expect(existsSync(`${path()}-wal`)).toBe(false);
  });
});
