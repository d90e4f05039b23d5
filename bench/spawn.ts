/** How long from the request to start an agent until its first output is seen; beside it, the same command by a bare spawn. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processHost } from '../src/runtimes/process/host.ts';

const runs = Number(process.argv[2] ?? 200);
const argv = ['/bin/echo', 'ready'] as const;
const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
const root = mkdtempSync(join(tmpdir(), 'maos-bench-'));
const host = processHost();

/** Milliseconds to the first output, and to the end of the process. */
interface Timing {
  readonly first: number;
  readonly end: number;
}

function bare(): Promise<Timing> {
  const begin = performance.now();
  return new Promise((resolve) => {
    let first = 0;
    const child = spawn(argv[0], [argv[1]], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout.once('data', () => (first = performance.now() - begin));
    child.once('close', () => resolve({ first, end: performance.now() - begin }));
  });
}

async function hosted(run: number, stdin: 'none' | 'pipe'): Promise<Timing> {
  const begin = performance.now();
  let first = 0;
  const session = `bench_${stdin}_${run}`;
  const launch = { argv, env, stdin, firstInput: stdin === 'pipe' ? 'prompt\n' : null };
  const agent = await host.start({ folder: join(root, session), session, cwd: root, launch });
  const { drained } = agent.follow(0, () => (first ||= performance.now() - begin));
  await agent.exit;
  const end = performance.now() - begin;
  await drained;
  return { first, end };
}

function quantile(values: readonly number[], q: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0).toFixed(2);
}

const kinds = {
  'bare spawn': bare,
  'host, no stdin': (run: number) => hosted(run, 'none'),
  'host, stdin FIFO': (run: number) => hosted(run, 'pipe'),
};

console.log(`${runs} runs each, interleaved, of \`${argv.join(' ')}\` (milliseconds)`);
const results = new Map<string, Timing[]>(Object.keys(kinds).map((name) => [name, []]));
for (let run = 0; run < runs; run += 1) {
  for (const [name, measure] of Object.entries(kinds)) results.get(name)?.push(await measure(run));
}
for (const [name, timings] of results) {
  const [first, end] = [timings.map((timing) => timing.first), timings.map((timing) => timing.end)];
  const figures = [quantile(first, 0.5), quantile(first, 0.99), quantile(end, 0.5), quantile(end, 0.99)];
  console.log(
    `${name.padEnd(17)} first output p50 ${figures[0]} p99 ${figures[1]}   end p50 ${figures[2]} p99 ${figures[3]}`,
  );
}
rmSync(root, { recursive: true, force: true });
