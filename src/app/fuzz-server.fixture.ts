import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localCaller } from '../kernel/caller.ts';
import { projectOps } from '../projects/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { readConfig } from './config.ts';
import { fuzz, type Document, type FuzzReport } from './fuzz.fixture.ts';
import { placesIn } from './places.ts';
import { startServer } from './server.ts';

interface Fuzzed {
  readonly report: FuzzReport;
  readonly failures: readonly string[];
  readonly intact: boolean;
}

/** Starts a server with a few things in it, sends so many requests to it, and tells what came of it. */
export async function fuzzServer(count: number, seed: number): Promise<Fuzzed> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-fuzz-')));
  try {
    return await fuzzIn(root, count, seed);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function fuzzIn(root: string, count: number, seed: number): Promise<Fuzzed> {
  const home = join(root, 'home');
  const repository = join(root, 'repository');
  mkdirSync(repository);
  const environment = {
    PATH: process.env['PATH'],
    HOME: root,
    TMPDIR: root,
    MAOS_HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
  };
  const git = (...args: string[]): void => void execFileSync('git', ['-C', repository, ...args], { env: environment });
  git('init', '--quiet');
  git(
    '-c',
    'user.name=Ada',
    '-c',
    'user.email=ada@example.org',
    'commit',
    '--quiet',
    '--allow-empty',
    '--message=Start',
  );
  const server = await startServer({
    config: readConfig(environment),
    version: '0',
    acts: false,
    listens: true,
    environment,
  });
  try {
    const call = server.registry.as(localCaller);
    const { id } = await call(projectOps.add, { path: repository });
    const tasks = await Promise.all(['one', 'two', 'three'].map((title) => call(taskOps.create, { title })));
    const { url, token } = server;
    if (url === null) throw new Error('The server has no doors.');
    const described = await fetch(`${url}/openapi.json`, { headers: { authorization: `Bearer ${token}` } });
    const document: Document = JSON.parse(await described.text());
    const known = [id, repository, ...tasks.map((task) => task.id)];
    const report = await fuzz({ url, token, document, known, folder: root, seed }, count);
    const { intact } = await call(watchOps.verify, {});
    const { log } = placesIn(home);
    return { report, intact, failures: existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [] };
  } finally {
    await server.close();
  }
}
