/**
 * Measures the event log: `node bench/log.ts [commands] [thread] [rebuild]` (all of them when none is named).
 * Every command is durable (synchronous=FULL), has one event in the hash chain and one row in an indexed view.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import * as z from 'zod';
import { event } from '../src/kernel/event.ts';
import { command, on, type View } from '../src/kernel/handler.ts';
import { newId } from '../src/kernel/id.ts';
import { operation } from '../src/kernel/operation.ts';
import { CoreClient, serveCore } from '../src/log/core.ts';
import type { Database } from '../src/log/database.ts';
import { idempotencyView } from '../src/log/idempotency.ts';
import { openReader } from '../src/log/open.ts';
import { type CommandCall, type CommandResult, Pipeline } from '../src/log/pipeline.ts';
import { SqliteLog } from '../src/log/sqlite.ts';
import { verifyChain } from '../src/log/verify.ts';
import { Views } from '../src/log/views.ts';
import { GroupWriter } from '../src/log/writer.ts';

const created = event('item.created', () =>
  z.strictObject({ title: z.string(), state: z.string(), priority: z.number() }),
);
const create = operation({
  name: 'item.create',
  summary: 'Creates an item.',
  effect: 'write',
  scope: 'item:write',
  input: () => z.strictObject({ title: z.string() }),
  output: () => z.strictObject({ id: z.string() }),
  route: 'POST /items',
});
const view: View = {
  name: 'item',
  tables: ['item'],
  schema: `
    CREATE TABLE item (id TEXT PRIMARY KEY, title TEXT NOT NULL, state TEXT NOT NULL, priority INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE INDEX item_state ON item (state, priority);
  `,
  applies: [
    on(created, (db, { stream, data, at }) =>
      db.run('INSERT INTO item VALUES (?, ?, ?, ?, ?)', stream, data.title, data.state, data.priority, at),
    ),
  ],
};
const handlers = [
  command(create, (ctx, { title }) => {
    const id = ctx.newId('item');
    ctx.emit(created, id, { title, state: 'ready', priority: 5 });
    return { id };
  }),
];

/** What takes a call and answers when it is durable. */
type Submit = (call: CommandCall) => Promise<CommandResult>;

function open(folder: string, fsync: number): { log: SqliteLog; views: Views; pipeline: Pipeline } {
  const log = new SqliteLog(join(folder, 'maos.db'));
  const views = new Views([idempotencyView, view]);
  views.prepare(log.database);
  const never = new Int32Array(new SharedArrayBuffer(4));
  const beforeCommit = (): void => void (fsync > 0 && Atomics.wait(never, 0, 0, fsync));
  return { log, views, pipeline: new Pipeline({ log, views, handlers, now: Date.now, newId, beforeCommit }) };
}

const makeCall = (number: number): CommandCall => ({
  operation: 'item.create',
  input: { title: `Write the tests of the parser, part ${number}` },
  actor: { kind: 'user', id: 'local' },
  call: `call_${number}`,
  trace: `call_${number}`,
});

/** So many callers, each with one call under way, until the time is over; returns calls per second. */
async function load(submit: Submit, callers: number, seconds: number): Promise<number> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      const result = await submit(makeCall((done += 1)));
      if (!result.ok) throw new Error(result.error.message);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done / ((performance.now() - start) / 1000);
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'maos-bench-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const rate = (perSecond: number): string => `${Math.round(perSecond).toLocaleString('en')}/s`;
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function commands(): Promise<void> {
  for (const callers of [1, 64, 256]) {
    const rates: number[] = [];
    for (let run = 0; run < 3; run += 1) {
      await inFolder(async (folder) => {
        const { log, pipeline } = open(folder, 0);
        const writer = new GroupWriter(pipeline);
        rates.push(await load((call) => writer.submit(call), callers, 2));
        log.close();
      });
    }
    console.log(`durable commands, in process, ${callers} callers: ${rate(median(rates))} (median of 3)`);
  }
}

/** Reads once in a millisecond while the load runs; how late the answers are is what a caller of a door would see. */
function readMeanwhile(reader: Database): { stop: () => { reads: number; p99: number } } {
  const times: number[] = [];
  let due = performance.now() + 1;
  const timer = setInterval(() => {
    reader.all('SELECT * FROM item WHERE state = ? ORDER BY priority LIMIT 20', 'ready');
    const now = performance.now();
    times.push(now - due);
    due = Math.max(due + 1, now);
  }, 1);
  return {
    stop: () => {
      clearInterval(timer);
      return { reads: times.length, p99: times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0 };
    },
  };
}

async function measureThread(name: string, submit: Submit, path: string, callers: number): Promise<void> {
  const reader = openReader(path);
  const seconds = 4;
  await load(submit, callers, 0.5);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const reads = readMeanwhile(reader);
  delay.enable();
  const perSecond = await load(submit, callers, seconds);
  delay.disable();
  const { reads: count, p99 } = reads.stop();
  reader.close();
  const held = `event loop held at most ${(delay.max / 1e6).toFixed(1)} ms (p99 ${(delay.percentile(99) / 1e6).toFixed(1)})`;
  console.log(
    `${name}, ${callers} callers: ${rate(perSecond)}; ${held}; ${rate(count / seconds)} reads, p99 ${p99.toFixed(1)} ms`,
  );
}

async function thread(): Promise<void> {
  for (const fsync of [5, 0]) {
    const disk = fsync > 0 ? `fsync ${fsync} ms` : 'this disk';
    for (const callers of [50, 1]) {
      await inFolder(async (folder) => {
        const { log, pipeline } = open(folder, fsync);
        const writer = new GroupWriter(pipeline);
        await measureThread(`${disk}, main thread`, (call) => writer.submit(call), join(folder, 'maos.db'), callers);
        log.close();
      });
      await inFolder(async (folder) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: { folder, fsync } });
        const { client } = await CoreClient.connect(worker, () => {});
        await measureThread(`${disk}, core thread`, (call) => client.submit(call), join(folder, 'maos.db'), callers);
        await client.close();
      });
    }
  }
}

async function rebuild(): Promise<void> {
  await inFolder(async (folder) => {
    const { log, views, pipeline } = open(folder, 0);
    const total = 1_000_000;
    const start = performance.now();
    for (let number = 0; number < total; number += 10_000) {
      const results = pipeline.submit(Array.from({ length: 10_000 }, (_, index) => makeCall(number + index)));
      if (results.some((result) => !result.ok)) throw new Error('A command was refused.');
    }
    const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
    console.log(`${total.toLocaleString('en')} commands in batches of 10,000: ${seconds(start)}`);
    const rebuilding = performance.now();
    views.prepare(log.database, { force: true });
    console.log(`rebuild of all views from ${log.head().position.toLocaleString('en')} events: ${seconds(rebuilding)}`);
    const verifying = performance.now();
    const { records, breaks } = await verifyChain(log.database);
    console.log(
      `verification of the chain: ${records.toLocaleString('en')} records, ${breaks.length} breaks, ${seconds(verifying)}`,
    );
    log.close();
    const opening = performance.now();
    new SqliteLog(join(folder, 'maos.db')).close();
    console.log(`opening and closing that log: ${seconds(opening)}`);
  });
}

if (isMainThread) {
  const all = { commands, thread, rebuild };
  const wanted = process.argv.slice(2);
  for (const [name, run] of Object.entries(all)) if (wanted.length === 0 || wanted.includes(name)) await run();
} else if (parentPort !== null) {
  const { folder, fsync }: { folder: string; fsync: number } = workerData;
  const { log, pipeline } = open(folder, fsync);
  serveCore(parentPort, pipeline, log, []);
}
