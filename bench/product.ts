import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const root = join(import.meta.dirname, '..');
const startLimitMs = 30_000;

/** Packs the package as it would be published, unpacks it in `folder` and returns its program. */
export function makeProduct(folder: string): string {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  execFileSync('tar', ['-xzf', join(folder, tarball), '-C', folder]);
  return join(folder, 'package/bin/maos.js');
}

/** The packed program: that of the whole run, else one that is made now and removed at the end. */
export function product(): string {
  const made = process.env['MAOS_BENCH_PRODUCT'];
  if (made !== undefined) return made;
  const folder = temporary();
  return makeProduct(folder);
}

/** The program of this checkout, which runs its sources. */
export const checkout = join(root, 'bin/maos.js');

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A folder that is removed when this process ends. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'maos-bench-'));
  folders.push(folder);
  return folder;
}

export interface BenchServer {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  readonly home: string;
  /** From the start of its process to its first answer. */
  readonly startMs: number;
  stop(): Promise<void>;
}

/** Starts a server with a home folder of its own and waits until it answers. */
export async function startServer(program: string, extra: Readonly<Record<string, string>> = {}): Promise<BenchServer> {
  const folder = temporary();
  const home = join(folder, 'home');
  mkdirSync(home);
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: folder,
    MAOS_HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    // The compiled code of the program is kept between the starts, as it is on a user's machine.
    NODE_COMPILE_CACHE: join(tmpdir(), 'maos-bench-compiled'),
    ...extra,
  };
  const begin = performance.now();
  const child = spawn(process.execPath, [program, 'up', '--foreground'], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const url = await untilHealthy(join(home, 'server.json'), child);
    const startMs = performance.now() - begin;
    return { url, token: readFileSync(join(home, 'token'), 'utf8').trim(), pid: child.pid ?? 0, home, startMs, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilHealthy(file: string, child: ChildProcess): Promise<string> {
  const deadline = performance.now() + startLimitMs;
  while (child.exitCode === null && performance.now() < deadline) {
    if (existsSync(file)) {
      const { url }: { url: string } = JSON.parse(readFileSync(file, 'utf8'));
      if (await answers(url)) return url;
    }
    await delay(1);
  }
  throw new Error(child.exitCode === null ? 'The server did not answer.' : 'The server ended before it answered.');
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(`${url}/health`, { agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
    }).on('error', () => resolve(false));
  });
}
