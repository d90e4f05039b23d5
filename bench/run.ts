/**
 * Runs benches one after another and ends with a table of their figures: `npm run bench [-- NAME[:PART,PART] …]`.
 * Each bench is a program of its own with a time limit, and measures what MAOS's figure is compared with in the same run.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { digits, type Figure, isMet, targetText } from './figure.ts';
import { makeProduct } from './product.ts';

/** In this order; with the minutes that each may take. */
const benches: Readonly<Record<string, number>> = {
  package: 5,
  footprint: 5,
  tasks: 5,
  rest: 3,
  policy: 3,
  mcp: 5,
  disk: 3,
  spawn: 3,
  worktree: 3,
  runs: 10,
  log: 5,
  auth: 2,
  rebuild: 10,
};

const folder = mkdtempSync(join(tmpdir(), 'maos-bench-run-'));
const file = join(folder, 'figures');

function figures(): Figure[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [];
}

/** Runs one bench; what goes wrong in it is said, and the others run all the same. */
function run(name: string, parts: readonly string[], minutes: number, product: string): Promise<boolean> {
  const env = { ...process.env, MAOS_BENCH_FIGURES: file, MAOS_BENCH_PRODUCT: product };
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...parts], {
      env,
      stdio: 'inherit',
    });
    const limit = setTimeout(() => {
      console.error(`${name} was stopped after ${minutes} minutes.`);
      child.kill('SIGKILL');
    }, minutes * 60_000);
    child.on('exit', (code) => {
      clearTimeout(limit);
      if (code !== 0) console.error(`${name} failed.`);
      resolve(code === 0);
    });
  });
}

function machine(load: readonly number[]): string {
  const processors = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const loads = `load ${load.map((value) => value.toFixed(1)).join(' → ')}`;
  return [
    `${processors.length} × ${processors[0]?.model.trim() ?? 'processor'}`,
    memory,
    `${platform()} ${release()} ${arch()}`,
    `Node ${process.version}`,
    loads,
    new Date().toISOString().slice(0, 10),
  ].join(', ');
}

function row(figure: Figure): string {
  const { name, value, unit, bare } = figure;
  const met = isMet(figure);
  const target = met === undefined ? '' : `${targetText(figure)}${met ? '' : ' **missed**'}`;
  const beside =
    bare === undefined ? ['', ''] : [`${bare.name}: ${digits(bare.value)} ${unit}`, digits(value / bare.value)];
  return `| ${[name, target, `${digits(value)} ${unit}`, ...beside].join(' | ')} |`;
}

const wanted = process.argv.slice(2).map((text) => {
  const [name = '', parts = ''] = text.split(':');
  return { name, parts: parts === '' ? [] : parts.split(',') };
});
const unknown = wanted.filter(({ name }) => !(name in benches));
if (unknown.length > 0) {
  console.error(
    `No bench ${unknown.map(({ name }) => name).join(', ')}; there are ${Object.keys(benches).join(', ')}.`,
  );
  process.exit(2);
}
const load = [loadavg()[0] ?? 0];
const broken: string[] = [];
const product = makeProduct(folder);
try {
  for (const { name, parts } of wanted.length === 0
    ? Object.keys(benches).map((one) => ({ name: one, parts: [] }))
    : wanted) {
    console.log(`\n== ${name}`);
    if (!(await run(name, parts, benches[name] ?? 5, product))) broken.push(name);
    load.push(loadavg()[0] ?? 0);
  }
  console.log(`\n${machine([Math.min(...load), Math.max(...load)])}\n`);
  console.log('| figure | target | measured | beside it | ratio |\n|---|---|---|---|---|');
  for (const figure of figures()) console.log(row(figure));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (broken.length > 0) {
  console.error(`Failed: ${broken.join(', ')}.`);
  process.exitCode = 1;
}
