import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { command, type Handler } from '../kernel/handler.ts';
import { operation } from '../kernel/operation.ts';
import type { CommandResult, PipelineOptions } from './pipeline.ts';
import { dumpTables } from './rebuild-equality.fixture.ts';
import {
  addAndFail,
  addItem,
  addTwo,
  alice,
  bob,
  call,
  countItems,
  itemAdded,
  itemHandlers,
  itemView,
  openSample,
  type Sample,
  temporaryFolder,
  touchItem,
} from './sample.fixture.ts';
import { verifyChain } from './verify.ts';
import { GroupWriter } from './writer.ts';

let place: ReturnType<typeof temporaryFolder>;
let sample: Sample;
const open = (options?: Partial<PipelineOptions>): void => {
  sample = openSample(place.folder, options);
};
beforeEach(() => {
  place = temporaryFolder();
});
afterEach(() => {
  sample.log.close();
  place.remove();
});

const codes = (results: readonly CommandResult[]): string[] =>
  results.map((result) => (result.ok ? 'ok' : result.error.code));
const titles = (): unknown[] =>
  sample.log.database.all<{ title: string }>('SELECT title FROM item ORDER BY rowid').map((row) => row.title);
const output = (result: CommandResult): unknown => (result.ok ? result.output : result.error);

/** A command made for one test. */
const odd = (name: string, run: Parameters<typeof command>[1]): { op: { name: string }; handler: Handler } => {
  const op = operation({
    name,
    summary: 'x',
    effect: 'write',
    scope: 'x',
    route: 'POST /x',
    input: () => z.any(),
    output: () => z.any(),
  });
  return { op, handler: command(op, run) };
};

describe('one command', () => {
  it('appends its events, changes the views, and answers with its position', () => {
    open();
    const result = sample.one(addItem, { title: 'a' }, { trace: 'call_outside' });
    expect(result).toMatchObject({ ok: true, position: 1 });
    expect(titles()).toEqual(['a']);
    const [record] = sample.log.read(0, 10);
    expect(record).toMatchObject({
      actor: 'user:alice',
      type: 'item.added',
      data: '{"title":"a"}',
      trace: 'call_outside',
    });
  });

  it('leaves nothing when it throws after it emitted: no rows, no records, the old head', () => {
    open();
    sample.one(addItem, { title: 'a' });
    const before = { head: sample.log.head(), tables: dumpTables(sample.log.database, itemView) };
    const result = sample.one(addAndFail, { title: 'b' });
    expect(result).toEqual({
      ok: false,
      error: { code: 'conflict', message: 'It was decided to fail.', fix: 'Do not call it.' },
    });
    expect({ head: sample.log.head(), tables: dumpTables(sample.log.database, itemView) }).toEqual(before);
    expect(sample.log.read(0, 10)).toHaveLength(1);
  });

  it('undoes a called command that failed, also when the caller catches it and goes on', async () => {
    open();
    sample.one(addItem, { title: 'a' });
    expect(output(sample.one(addTwo, { title: 'b' }))).toMatchObject({ failed: true });
    expect(titles()).toEqual(['a', 'b after 2']);
    expect(sample.log.read(0, 10).map((record) => record.type)).toEqual(['item.added', 'item.added', 'item.renamed']);
    expect((await verifyChain(sample.log.database)).breaks).toEqual([]);
  });

  it('undoes what it called when it fails itself', () => {
    const { op, handler } = odd('x.outer', (ctx) => {
      ctx.call(addItem, { title: 'inner' });
      ctx.call(addTwo, { title: 'inner' });
      throw new Error('broken');
    });
    open({ handlers: [...itemHandlers, handler] });
    expect(output(sample.one(op, {}))).toEqual({ code: 'internal', message: 'broken' });
    expect(titles()).toEqual([]);
    expect(sample.log.head().position).toBe(0);
  });

  it('cannot go on after an event that a view could not apply', () => {
    const { op, handler } = odd('x.stubborn', (ctx) => {
      try {
        // The table wants a text.
        ctx.emit({ ...itemAdded, schema: z.any() }, 'item_1', { title: null });
      } catch {
        return 'never mind';
      }
      return 'fine';
    });
    open({ handlers: [...itemHandlers, handler] });
    expect(output(sample.one(op, {}))).toMatchObject({ code: 'internal' });
    expect(sample.log.read(0, 10)).toEqual([]);
    expect(sample.log.head().position).toBe(0);
  });

  it('is refused when it is asynchronous, and cannot emit later', async () => {
    let late: unknown;
    const { op, handler } = odd('x.slow', async (ctx) => {
      await Promise.resolve();
      try {
        ctx.emit(itemAdded, 'item_1', { title: 'late' });
      } catch (error) {
        late = error;
      }
    });
    open({ handlers: [...itemHandlers, handler] });
    expect(output(sample.one(op, {}))).toMatchObject({
      code: 'internal',
      message: expect.stringContaining('must not wait'),
    });
    await Promise.resolve();
    expect(String(late)).toContain('after it had ended');
    expect(sample.log.head().position).toBe(0);
  });

  it('is refused when nobody carries it out, and when it calls another with a wrong input', () => {
    const { op, handler } = odd('x.wrong', (ctx) =>
      ctx.call({ ...addItem, input: addItem.input }, JSON.parse('{"titel":"a"}')),
    );
    open({ handlers: [...itemHandlers, handler] });
    expect(output(sample.one({ name: 'item.none' }, {}))).toMatchObject({
      code: 'internal',
      message: expect.stringContaining('item.none'),
    });
    expect(output(sample.one(op, {}))).toMatchObject({
      message: expect.stringContaining('x.wrong called item.add with a wrong input'),
    });
  });

  it('gives views the data as a rebuild will read it', () => {
    const { op, handler } = odd('x.optional', (ctx) => {
      ctx.emit({ ...itemAdded, schema: z.any() }, 'item_1', { title: 'a', weight: undefined });
    });
    open({ handlers: [...itemHandlers, handler] });
    sample.one(op, {});
    const live = dumpTables(sample.log.database, itemView);
    sample.views.prepare(sample.log.database, { force: true });
    expect(dumpTables(sample.log.database, itemView)).toEqual(live);
  });
});

describe('a batch', () => {
  it('carries out each command by itself, in one transaction', () => {
    let commits = 0;
    open({ beforeCommit: () => (commits += 1) });
    const results = sample.pipeline.submit([
      call(addItem, { title: 'a' }),
      call(addAndFail, { title: 'b' }),
      call(countItems, {}),
      call(addItem, { title: 'c' }),
      call(countItems, {}),
    ]);
    expect(codes(results)).toEqual(['ok', 'conflict', 'ok', 'ok', 'ok']);
    expect(results.map((result) => (result.ok ? result.position : 0))).toEqual([1, 0, 1, 2, 2]);
    expect(results.filter((result) => result.ok).map((result) => typeof result.output)).toEqual([
      'object',
      'number',
      'object',
      'number',
    ]);
    expect(titles()).toEqual(['a', 'c']);
    expect(commits).toBe(1);
  });

  it('does not commit, and tells nobody, when nothing was emitted', () => {
    let told = 0;
    open({ beforeCommit: () => (told += 1) });
    sample.log.watch(() => (told += 1));
    expect(codes(sample.pipeline.submit([call(countItems, {}), call(addAndFail, { title: 'a' })]))).toEqual([
      'ok',
      'conflict',
    ]);
    expect(sample.pipeline.submit([])).toEqual([]);
    expect(told).toBe(0);
  });

  it('is refused as a whole when the commit fails, and the next one goes through', async () => {
    let fail = false;
    open({
      beforeCommit: () => {
        if (fail) throw new Error('the disk is on fire');
      },
    });
    sample.one(addItem, { title: 'a' });
    const head = sample.log.head();
    fail = true;
    const heads: number[] = [];
    sample.log.watch(({ position }) => heads.push(position));
    const results = sample.pipeline.submit([
      call(addItem, { title: 'b' }),
      call(addAndFail, { title: 'c' }),
      call(countItems, {}),
    ]);
    expect(codes(results)).toEqual(['internal', 'internal', 'internal']);
    expect(sample.log.head()).toEqual(head);
    expect(titles()).toEqual(['a']);
    fail = false;
    expect(sample.one(addItem, { title: 'd' })).toMatchObject({ ok: true, position: 2 });
    expect(heads).toEqual([2]);
    expect((await verifyChain(sample.log.database)).breaks).toEqual([]);
  });

  it('survives a full disk: what does not fit is refused, what comes later is carried out', async () => {
    open();
    const { database } = sample.log;
    sample.one(addItem, { title: 'a' });
    const pages = database.get<{ page_count: number }>('PRAGMA page_count')?.page_count ?? 0;
    database.exec(`PRAGMA max_page_count = ${pages + 10}`);
    const calls = Array.from({ length: 10 }, () => call(addItem, { title: 'x'.repeat(20_000) }));
    const head = sample.log.head();
    const results = sample.pipeline.submit(calls);
    expect(codes(results)).toEqual(calls.map(() => 'unavailable'));
    expect(output(results[0] ?? { ok: true, output: 0, position: 0 })).toMatchObject({
      message: expect.stringContaining('full'),
      fix: expect.stringContaining('Free disk space'),
    });
    expect(sample.log.head()).toEqual(head);
    expect(titles()).toEqual(['a']);
    database.exec('PRAGMA max_page_count = 100000');
    expect(codes(sample.pipeline.submit(calls))).toEqual(calls.map(() => 'ok'));
    expect((await verifyChain(database)).breaks).toEqual([]);
  });

  it('is not undone by a watcher that throws', () => {
    open();
    const seen: number[] = [];
    const thrown: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').once('uncaughtException', (error) => thrown.push(error));
    sample.log.watch(() => {
      throw new Error('a bad watcher');
    });
    sample.log.watch(({ position }) => seen.push(position));
    expect(sample.one(addItem, { title: 'a' })).toMatchObject({ ok: true });
    expect(seen).toEqual([1]);
    return new Promise<void>((resolve) => {
      setImmediate(() => {
        for (const listener of listeners) process.on('uncaughtException', listener);
        expect(String(thrown[0])).toContain('a bad watcher');
        resolve();
      });
    });
  });
});

describe('an idempotency key', () => {
  it('gives the same output for the same input, and carries the call out once', () => {
    open();
    const first = sample.one(addItem, { title: 'a' }, { key: 'k' });
    const again = sample.one(addItem, { title: 'a' }, { key: 'k' });
    expect(output(again)).toEqual(output(first));
    expect(titles()).toEqual(['a']);
  });

  it('works within one batch, and for a call without output', () => {
    open();
    const results = sample.pipeline.submit([1, 2, 3].map(() => call(addItem, { title: 'a' }, { key: 'k' })));
    expect(new Set(results.map((result) => JSON.stringify(output(result)))).size).toBe(1);
    expect(titles()).toEqual(['a']);
    expect([1, 2].map(() => sample.one(touchItem, {}, { key: 't' }))).toMatchObject([
      { ok: true, output: undefined },
      { ok: true, output: undefined },
    ]);
  });

  it('refuses another input or another operation', () => {
    open();
    sample.one(addItem, { title: 'a' }, { key: 'k' });
    expect(output(sample.one(addItem, { title: 'b' }, { key: 'k' }))).toMatchObject({
      code: 'conflict',
      fix: expect.stringContaining('new key'),
    });
    expect(output(sample.one(addTwo, { title: 'a' }, { key: 'k' }))).toMatchObject({ code: 'conflict' });
    expect(titles()).toEqual(['a']);
  });

  it('belongs to its actor', () => {
    open();
    const mine = sample.one(addItem, { title: 'a' }, { key: 'k', actor: alice });
    const theirs = sample.one(addItem, { title: 'b' }, { key: 'k', actor: bob });
    expect(output(theirs)).not.toEqual(output(mine));
    expect(titles()).toEqual(['a', 'b']);
  });

  it('is not used up by a refusal', () => {
    open();
    expect(output(sample.one(addAndFail, { title: 'a' }, { key: 'k' }))).toMatchObject({
      code: 'conflict',
      message: 'It was decided to fail.',
    });
    expect(sample.one(addItem, { title: 'a' }, { key: 'k' })).toMatchObject({ ok: true });
  });

  it('outlives the server', () => {
    open();
    const first = sample.one(addItem, { title: 'a' }, { key: 'k' });
    sample.log.close();
    open();
    expect(output(sample.one(addItem, { title: 'a' }, { key: 'k' }))).toEqual(output(first));
  });
});

describe('the group writer', () => {
  it('commits what is submitted together in one transaction, and answers everybody', async () => {
    let commits = 0;
    open({ beforeCommit: () => (commits += 1) });
    const writer = new GroupWriter(sample.pipeline);
    const submit = (count: number): Promise<CommandResult[]> =>
      Promise.all(Array.from({ length: count }, (_, index) => writer.submit(call(addItem, { title: String(index) }))));
    expect(codes(await submit(100))).toEqual(Array(100).fill('ok'));
    expect(commits).toBe(1);
    const positions = (await submit(2_500)).map((result) => (result.ok ? result.position : 0));
    expect(positions).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 101));
    expect(commits).toBe(4);
  });
});
