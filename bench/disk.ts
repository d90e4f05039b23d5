/**
 * A slow disk: every commit takes 5 ms longer (MAOS_SLOW_DISK_MS), 50 callers write over REST, and others read.
 * Beside it: the same disk with one caller. `node bench/disk.ts`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { report } from './figure.ts';
import { product, startServer, temporary } from './product.ts';
import { type Load, measure, type Wire } from './wire.ts';

const slowMs = 5;
const seconds = 6;
const file = join(temporary(), 'delay');
const monitor = join(import.meta.dirname, 'loop-delay.ts');
const create = async (wire: Wire): Promise<void> =>
  void (await wire.send('POST', '/api/v1/tasks', '{"title":"Measure"}'));
const read = async (wire: Wire): Promise<void> => void (await wire.send('GET', '/api/v1/tasks?limit=10'));

/** A Node that does nothing: how long the machine holds it is not ours. */
function idleNode(path: string): ChildProcess {
  const env = { PATH: process.env['PATH'] ?? '', MAOS_BENCH_DELAY: path };
  return spawn(process.execPath, ['--import', monitor, '-e', 'setInterval(() => 0, 1000)'], { env, stdio: 'ignore' });
}

function held(path: string): { max: number; p99: number } {
  return JSON.parse(readFileSync(path, 'utf8'));
}

const idle = idleNode(`${file}.idle`);
const server = await startServer(product(), {
  MAOS_SLOW_DISK_MS: String(slowMs),
  MAOS_BENCH_DELAY: file,
  NODE_OPTIONS: `--import ${monitor}`,
});
try {
  const alone = await measure(server, 1, 2, create);
  const writing = measure(server, 50, seconds, create);
  await delay(1_500);
  for (const pid of [server.pid, idle.pid ?? 0]) process.kill(pid, 'SIGUSR2');
  const reads = await measure(server, 2, seconds - 2, read);
  for (const pid of [server.pid, idle.pid ?? 0]) process.kill(pid, 'SIGUSR2');
  const writes: Load = await writing;
  const [ours, nothing] = [held(file), held(`${file}.idle`)];
  const label = `commits of ${slowMs} ms, 50 callers`;
  const bare = { name: 'one caller', value: alone.perSecond };
  report({
    name: `durable commands over REST, ${label}`,
    value: writes.perSecond,
    unit: '/s',
    target: { least: 2_000 },
    bare,
  });
  const note = `p50 ${reads.p50.toFixed(2)} ms, ${Math.round(reads.perSecond)}/s by two readers`;
  report({ name: `reads over REST, ${label}, p99`, value: reads.p99, unit: 'ms', target: { most: 20 }, note });
  const alike = { bare: { name: 'a Node that does nothing', value: nothing.max } };
  const p99 = `p99 ${ours.p99.toFixed(1)} ms`;
  report({
    name: `event loop held at most, ${label}`,
    value: ours.max,
    unit: 'ms',
    target: { most: 20 },
    note: p99,
    ...alike,
  });
} finally {
  idle.kill();
  await server.stop();
}
