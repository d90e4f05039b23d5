/**
 * The task room in process, on a real log (synchronous=FULL), and as a whole MAOS with its core thread.
 * Beside it: bare SQLite with the same promises. `node bench/tasks.ts [lifecycle] [composed] [claim] [flat]`
 */
import { join } from 'node:path';
import { readConfig } from '../src/app/config.ts';
import { startServer } from '../src/app/server.ts';
import type { Actor } from '../src/kernel/actor.ts';
import { localCaller } from '../src/kernel/caller.ts';
import type { Call } from '../src/kernel/handler.ts';
import { newId } from '../src/kernel/id.ts';
import type { InputOf, Operation, OutputOf } from '../src/kernel/operation.ts';
import { type CommandCall, type CommandResult, Pipeline } from '../src/log/pipeline.ts';
import { SqliteLog } from '../src/log/sqlite.ts';
import { Views } from '../src/log/views.ts';
import { GroupWriter } from '../src/log/writer.ts';
import { taskOps } from '../src/tasks/contract.ts';
import { Leases } from '../src/tasks/leases.ts';
import { taskHandlers } from '../src/tasks/service.ts';
import { taskView } from '../src/tasks/views.ts';
import { median, quantile, report, runParts } from './figure.ts';
import { temporary } from './product.ts';
import { bareInserts } from './sqlite.ts';

const actor: Actor = { kind: 'user', id: 'bench' };
const callers = 64;

/** Runs `measure` on a new log. */
async function withPipeline<T>(
  measure: (pipeline: Pipeline) => T | Promise<T>,
  beforeCommit: () => void = () => undefined,
): Promise<T> {
  const log = new SqliteLog(join(temporary(), 'maos.db'));
  try {
    const views = new Views([taskView]);
    views.prepare(log.database);
    const handlers = taskHandlers({ leases: new Leases() });
    return await measure(new Pipeline({ log, views, handlers, now: () => Date.now(), newId, beforeCommit }));
  } finally {
    log.close();
  }
}

function envelope<Op extends Operation>(operation: Op, input: InputOf<Op>): CommandCall {
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

/** So many callers, each with one lifecycle (create, claim, complete) under way; returns lifecycles per second. */
async function lifecycles(call: Call, perCaller: number): Promise<{ value: number; note: string }> {
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      await call(taskOps.create, { title: 'bench' });
      const { task } = await call(taskOps.claim, { worker: 'bench' });
      if (task === null) throw new Error('Nothing to claim.');
      await call(taskOps.complete, { task: task.id, fence: task.fence, result: 'ok' });
    }
  };
  const all = (count: number): Promise<void[]> => Promise.all(Array.from({ length: callers }, () => run(count)));
  await all(50);
  const rates: number[] = [];
  const cpu = process.cpuUsage();
  for (let round = 0; round < 5; round += 1) {
    const start = performance.now();
    await all(perCaller);
    rates.push((callers * perCaller * 1_000) / (performance.now() - start));
  }
  const { user, system } = process.cpuUsage(cpu);
  const each = (user + system) / (rates.length * callers * perCaller);
  return { value: median(rates), note: `${each.toFixed(0)} µs of CPU each` };
}

/** Three durable rows each, grouped as the log groups them. */
const bareLifecycles = (): { bare: { name: string; value: number } } => ({
  bare: { name: 'SQLite, three inserts', value: bareInserts(callers) / 3 },
});

async function lifecycle(): Promise<void> {
  const rate = await withPipeline((pipeline) => {
    const writer = new GroupWriter(pipeline);
    return lifecycles(
      async (operation, input) => outputOf(operation, await writer.submit(envelope(operation, input))),
      400,
    );
  });
  const name = 'task lifecycle in process, 64 callers';
  report({ name, ...rate, unit: '/s', target: { least: 20_000 }, ...bareLifecycles() });
}

/** Through the registry, to the core thread and back, with the tables of all rooms. */
async function composed(): Promise<void> {
  const home = temporary();
  const environment = { PATH: process.env['PATH'], HOME: home, MAOS_HOME: home };
  const server = await startServer({
    config: readConfig(environment),
    version: 'bench',
    acts: true,
    listens: false,
    environment,
  });
  try {
    const rate = await lifecycles(server.registry.as({ ...localCaller, actor }), 100);
    const name = 'task lifecycle in process through the registry and the core thread, 64 callers';
    report({ name, ...rate, unit: '/s', target: { least: 20_000 }, ...bareLifecycles() });
  } finally {
    await server.close();
  }
}

/** What a claim does until its commit; how long the commit takes is the disk's affair. */
async function claim(): Promise<void> {
  const [queued, delayed] = [200_000, 50_000];
  let committing = 0;
  const timings = await withPipeline(
    (pipeline) => {
      fill(pipeline, queued - delayed, {});
      fill(pipeline, delayed, { notBefore: Date.now() + 3_600_000 });
      return Array.from({ length: 2_000 }, () => {
        const begin = performance.now();
        const whole = timed(pipeline, taskOps.claim, { worker: 'bench' });
        return { whole, work: committing - begin };
      });
    },
    () => (committing = performance.now()),
  );
  const [work, whole] = [timings.map((one) => one.work), timings.map((one) => one.whole)];
  const note = `p99 ${quantile(work, 0.99).toFixed(3)} ms; with its own commit p50 ${median(whole).toFixed(3)} ms`;
  const name = 'claim with 200,000 tasks queued, 50,000 of them delayed, p50';
  report({ name, value: median(work), unit: 'ms', target: { most: 0.1 }, note });
}

function timed<Op extends Operation>(pipeline: Pipeline, operation: Op, input: InputOf<Op>): number {
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

async function flat(): Promise<void> {
  const times = await withPipeline((pipeline) =>
    Array.from({ length: 100_000 }, () => timed(pipeline, taskOps.create, { title: 'bench' })),
  );
  const [early, late] = [median(times.slice(50, 550)), median(times.slice(-500))];
  const note = `p50 ${early.toFixed(3)} ms around the 300th, ${late.toFixed(3)} ms around the 99,750th`;
  report({
    name: 'command latency, 100,000th call by 100th',
    value: late / early,
    unit: '×',
    target: { most: 1.5 },
    note,
  });
}

await runParts({ lifecycle, composed, claim, flat });
