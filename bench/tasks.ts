/**
 * Measures the task room in process, through the pipeline and a real log (synchronous=FULL).
 * Usage: node bench/tasks.ts [lifecycle] [claim] [flat]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Actor } from '../src/kernel/actor.ts';
import type { CommandContext, Handler } from '../src/kernel/handler.ts';
import { newId } from '../src/kernel/id.ts';
import type { InputOf, Operation, OutputOf } from '../src/kernel/operation.ts';
import { Pipeline, type CommandResult } from '../src/log/pipeline.ts';
import { SqliteLog } from '../src/log/sqlite.ts';
import { Views } from '../src/log/views.ts';
import { GroupWriter } from '../src/log/writer.ts';
import { taskOps } from '../src/tasks/contract.ts';
import { Leases } from '../src/tasks/leases.ts';
import { taskHandlers } from '../src/tasks/service.ts';
import { taskView } from '../src/tasks/views.ts';

const actor: Actor = { kind: 'user', id: 'bench' };

interface Core {
  readonly pipeline: Pipeline;
  readonly writer: GroupWriter;
  /** Milliseconds of each command so far: deciding, appending and changing the views, without the commit's fsync. */
  readonly decided: number[];
}

function timed(handler: Handler, times: number[]): Handler {
  if (handler.kind !== 'command') return handler;
  return {
    ...handler,
    run(ctx: CommandContext, input: never) {
      const start = performance.now();
      const output = handler.run(ctx, input);
      times.push(performance.now() - start);
      return output;
    },
  };
}

/** Runs `measure` on a new log in a folder that is removed afterwards. */
async function withCore<T>(measure: (core: Core) => T | Promise<T>): Promise<T> {
  const decided: number[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'maos-bench-'));
  const log = new SqliteLog(join(folder, 'maos.db'));
  try {
    const views = new Views([taskView]);
    views.prepare(log.database);
    const handlers = taskHandlers({ leases: new Leases() }).map((handler) => timed(handler, decided));
    const pipeline = new Pipeline({ log, views, handlers, now: () => Date.now(), newId });
    return await measure({ pipeline, writer: new GroupWriter(pipeline), decided });
  } finally {
    log.close();
    rmSync(folder, { recursive: true });
  }
}

function envelope<Op extends Operation>(operation: Op, input: InputOf<Op>) {
  return {
    operation: operation.name,
    input: operation.input.parse(input),
    actor,
    call: 'call_bench',
    trace: 'trace_bench',
  };
}

/** What a call gave; the types are those of the operation, whose handler made the output. */
function outputOf<Op extends Operation>(_operation: Op, result: CommandResult | undefined): OutputOf<Op> {
  if (result === undefined || !result.ok) throw new Error(JSON.stringify(result));
  // oxlint-disable-next-line typescript/consistent-type-assertions
  return result.output as OutputOf<Op>;
}

function report(figure: string, values: Readonly<Record<string, number>>, line: string): void {
  console.log(JSON.stringify({ figure, ...values }));
  console.log(`  ${line}`);
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

const round = (value: number, digits = 4): number => Number(value.toFixed(digits));

async function lifecycle(callers: number, perCaller: number): Promise<void> {
  const { perSecond, cpuMicros } = await withCore(async ({ writer }) => {
    const run = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1) {
        await writer.submit(envelope(taskOps.create, { title: 'bench' }));
        const { task } = outputOf(taskOps.claim, await writer.submit(envelope(taskOps.claim, { worker: 'bench' })));
        if (task === null) throw new Error('Nothing to claim.');
        const done = await writer.submit(
          envelope(taskOps.complete, { task: task.id, fence: task.fence, result: 'ok' }),
        );
        outputOf(taskOps.complete, done);
      }
    };
    const all = (count: number): Promise<void[]> => Promise.all(Array.from({ length: callers }, () => run(count)));
    await all(20);
    const start = performance.now();
    const cpu = process.cpuUsage();
    await all(perCaller);
    const { user, system } = process.cpuUsage(cpu);
    const count = callers * perCaller;
    return {
      perSecond: Math.round((count * 1_000) / (performance.now() - start)),
      cpuMicros: round((user + system) / count, 1),
    };
  });
  const line = `${perSecond} lifecycles/s (create, claim, complete) with ${callers} callers; ${cpuMicros} µs of CPU each`;
  report('task_lifecycle', { callers, perSecond, cpuMicros }, line);
}

async function claim(queued: number, delayed: number): Promise<void> {
  const { decided, durable } = await withCore(({ pipeline, decided }) => {
    fill(pipeline, queued - delayed, {});
    fill(pipeline, delayed, { notBefore: Date.now() + 3_600_000 });
    decided.length = 0;
    const durable = Array.from({ length: 2_000 }, () => clocked(pipeline, taskOps.claim, { worker: 'bench' }));
    return { decided, durable };
  });
  const [p50, p99, durableP50] = [
    round(quantile(decided, 0.5)),
    round(quantile(decided, 0.99)),
    round(quantile(durable, 0.5)),
  ];
  report(
    'task_claim',
    { queued, delayed, p50Ms: p50, p99Ms: p99, durableP50Ms: durableP50 },
    `claim p50 ${p50} ms, p99 ${p99} ms with ${queued} queued, ${delayed} of them delayed (with a commit of its own: ${durableP50} ms)`,
  );
}

/** Milliseconds of one call in a transaction of its own. */
function clocked<Op extends Operation>(pipeline: Pipeline, operation: Op, input: InputOf<Op>): number {
  const call = envelope(operation, input);
  const start = performance.now();
  outputOf(operation, pipeline.submit([call])[0]);
  return performance.now() - start;
}

function fill(pipeline: Pipeline, count: number, extra: { readonly notBefore?: number }): void {
  for (let left = count; left > 0; left -= 2_000) {
    const tasks = Array.from({ length: Math.min(left, 2_000) }, (_, i) => ({
      title: 'bench',
      priority: i % 100,
      ...extra,
    }));
    outputOf(taskOps.batch, pipeline.submit([envelope(taskOps.batch, { tasks })])[0]);
  }
}

async function flat(calls: number): Promise<void> {
  const { decided, durable } = await withCore(({ pipeline, decided }) => {
    const durable = Array.from({ length: calls }, () => clocked(pipeline, taskOps.create, { title: 'bench' }));
    return { decided, durable };
  });
  const at = (times: readonly number[]): { early: number; late: number; ratio: number } => {
    const early = round(quantile(times.slice(100, 600), 0.5));
    const late = round(quantile(times.slice(-500), 0.5));
    return { early, late, ratio: round(late / early, 2) };
  };
  const [own, whole] = [at(decided), at(durable)];
  report(
    'task_flat',
    { calls, earlyMs: own.early, lateMs: own.late, ratio: own.ratio, durableRatio: whole.ratio },
    `create p50 ${own.early} ms at the 100th call, ${own.late} ms at the ${calls}th: × ${own.ratio} (with a commit each: × ${whole.ratio})`,
  );
}

const wanted = process.argv.slice(2);
const asked = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
if (asked('lifecycle')) await lifecycle(64, 1_000);
if (asked('claim')) await claim(200_000, 50_000);
if (asked('flat')) await flat(100_000);
