/**
 * What MAOS costs before it does anything: start, memory, idle CPU, the shortest command. Beside each: Node alone.
 * `node bench/footprint.ts [version] [start] [idle]`
 */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { median, report, runParts } from './figure.ts';
import { checkout, product, startServer } from './product.ts';

const env = { PATH: process.env['PATH'] ?? '' };
const program = product();

function timed(args: readonly string[]): number {
  const begin = performance.now();
  const { status } = spawnSync(process.execPath, args, { env });
  if (status !== 0) throw new Error(`${args.join(' ')} failed.`);
  return performance.now() - begin;
}

function version(): void {
  const [bare, maos]: [number[], number[]] = [[], []];
  for (let run = 0; run < 25; run += 1) {
    bare.push(timed(['-e', '0']));
    maos.push(timed([program, '--version']));
  }
  const value = median(maos);
  const beside = { name: 'node -e 0', value: median(bare) };
  report({ name: 'maos --version', value, unit: 'ms', target: { most: 1.5 * beside.value }, bare: beside });
}

async function start(): Promise<void> {
  const [bare, packed, sources]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < 11; run += 1) {
    bare.push(timed(['-e', '0']));
    for (const [times, which] of [
      [packed, program],
      [sources, checkout],
    ] as const) {
      const server = await startServer(which);
      times.push(server.startMs);
      await server.stop();
    }
  }
  const beside = { bare: { name: 'node -e 0', value: median(bare) } };
  // The first start has compiled the program.
  report({
    name: 'server start to /health',
    value: median(packed.slice(1)),
    unit: 'ms',
    target: { most: 300 },
    ...beside,
  });
  report({ name: 'server start to /health, from a checkout', value: median(sources.slice(1)), unit: 'ms', ...beside });
}

/** Megabytes, from /proc. */
function memory(pid: number): { rss: number; own: number; mapped: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1_024;
  return { rss: field('VmRSS'), own: field('RssAnon'), mapped: field('RssFile') };
}

/** Milliseconds of CPU that all threads of a process have used. */
function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const used = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return used.reduce((sum, one) => sum + one, 0) / 1e6;
}

async function idle(): Promise<void> {
  const seconds = 20;
  const server = await startServer(program);
  const node = spawn(process.execPath, ['-e', 'setInterval(() => 0, 2 ** 30)'], { env, stdio: 'ignore' });
  try {
    // The server gives back what its start took when it has rested for ten seconds.
    await delay(25_000);
    const before = cpuMs(server.pid);
    await delay(seconds * 1_000);
    const used = (cpuMs(server.pid) - before) / (seconds * 10);
    const maos = memory(server.pid);
    const alone = memory(node.pid ?? 0);
    const note = `${maos.own.toFixed(1)} MB of its own, ${maos.mapped.toFixed(1)} MB of Node's mapped program`;
    const bare = { name: 'node that waits', value: alone.rss };
    report({ name: 'memory of an idle server (RSS)', value: maos.rss, unit: 'MB', target: { most: 80 }, bare, note });
    report({ name: 'CPU of an idle server', value: used, unit: '%', target: { most: 0.5 } });
  } finally {
    node.kill();
    await server.stop();
  }
}

await runParts({ version, start, idle });
