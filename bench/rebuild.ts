/** All views of all rooms made again from a million events of tasks: `node bench/rebuild.ts` */
import { join } from 'node:path';
import { allViews, pureHandlers } from '../src/app/rooms.ts';
import { newId } from '../src/kernel/id.ts';
import type { InputOf, Operation } from '../src/kernel/operation.ts';
import { type CommandCall, Pipeline } from '../src/log/pipeline.ts';
import { SqliteLog } from '../src/log/sqlite.ts';
import { verifyChain } from '../src/log/verify.ts';
import { Views } from '../src/log/views.ts';
import { taskOps } from '../src/tasks/contract.ts';
import { report } from './figure.ts';
import { temporary } from './product.ts';
import { bareInserts } from './sqlite.ts';

const events = 1_000_000;
const batch = 2_000;
const log = new SqliteLog(join(temporary(), 'maos.db'));
const views = new Views(allViews);
views.prepare(log.database);
const handlers = pureHandlers({ capabilities: [], transcripts: '' });
const pipeline = new Pipeline({ log, views, handlers, now: () => Date.now(), newId });

function envelope<Op extends Operation>(operation: Op, input: InputOf<Op>): CommandCall {
  const actor = { kind: 'user', id: 'bench' } as const;
  return {
    operation: operation.name,
    input: operation.input.parse(input),
    actor,
    call: 'call_bench',
    trace: 'trace_bench',
  };
}

function submit(calls: readonly CommandCall[]): unknown[] {
  return pipeline.submit(calls).map((result) => {
    if (!result.ok) throw new Error(result.error.message);
    return result.output;
  });
}

const seconds = (since: number): number => (performance.now() - since) / 1_000;
const filling = performance.now();
while (log.head().position < events) {
  submit(Array.from({ length: batch }, () => envelope(taskOps.create, { title: 'bench', priority: 1 })));
  const claimed = submit(Array.from({ length: batch }, () => envelope(taskOps.claim, { worker: 'bench' })));
  const done = claimed.map((output) => {
    const { task } = taskOps.claim.output.parse(output);
    return envelope(taskOps.complete, { task: task?.id ?? '', fence: task?.fence ?? 0, result: 'ok' });
  });
  submit(done);
}
const total = log.head().position;
console.log(`${total.toLocaleString('en')} events in ${seconds(filling).toFixed(1)} s`);
const rebuilding = performance.now();
views.prepare(log.database, { force: true });
const value = seconds(rebuilding);
const bare = { name: 'SQLite, as many inserts', value: total / bareInserts(batch) };
report({ name: 'rebuild of all views from 1,000,000 events', value, unit: 's', target: { most: 60 }, bare });
const verifying = performance.now();
const { breaks } = await verifyChain(log.database);
if (breaks.length > 0) throw new Error('The chain is broken.');
report({ name: 'audit.verify of 1,000,000 events', value: seconds(verifying), unit: 's' });
log.close();
