import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readToken } from '../auth/token.ts';
import { type Client, createClient } from '../gateway/client.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import { openReader } from '../log/open.ts';
import { readRecords } from '../log/record.ts';
import { placesIn } from './places.ts';
import { program } from './program.fixture.ts';

export interface SiteOptions {
  /** What the repository's first commit holds. */
  readonly files?: Readonly<Record<string, string>>;
  /** Where MAOS keeps everything; default: a folder beside the repository. */
  readonly home?: string;
  /** Whether the git processes of a server are killed with it, as when its whole control group is. */
  readonly harsh?: boolean;
}

/** For tests: a machine in small. A repository, a MAOS home, and servers that are started and killed as real processes. */
export class Site {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-site-')));
  readonly home: string;
  readonly repository = join(this.root, 'repository');
  readonly environment: Record<string, string>;
  readonly harsh: boolean;
  readonly #spawned = new Set<ChildProcess>();

  constructor({ files = { 'README.md': 'A repository.\n' }, home, harsh = false }: SiteOptions = {}) {
    this.harsh = harsh;
    this.home = home ?? join(this.root, 'home');
    const userHome = join(this.root, 'user');
    mkdirSync(userHome);
    mkdirSync(join(this.root, 'tmp'));
    this.environment = {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: userHome,
      LANG: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      TMPDIR: join(this.root, 'tmp'),
      NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
      MAOS_HOME: this.home,
      MAOS_SITE: this.root,
    };
    mkdirSync(this.repository);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.repository, path)), { recursive: true });
      writeFileSync(join(this.repository, path), text);
    }
    this.git('init', '--quiet', '--initial-branch=main');
    this.git('config', 'user.name', 'Ada');
    this.git('config', 'user.email', 'ada@example.org');
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message=Start');
  }

  /** Runs git in the repository, as its user would. */
  git(...args: string[]): string {
    return this.gitAt(this.repository, ...args);
  }

  gitAt(folder: string, ...args: string[]): string {
    return execFileSync('git', ['-C', folder, ...args], { env: this.environment, encoding: 'utf8' }).trimEnd();
  }

  /** Starts `maos up --foreground` and does not wait for it. */
  launch(extra: Readonly<Record<string, string>> = {}): LaunchedServer {
    const child = spawn(process.execPath, [program(), 'up', '--foreground', '--json'], {
      cwd: this.root,
      env: { ...this.environment, ...extra },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#spawned.add(child);
    return new LaunchedServer(this, child);
  }

  /** Starts a server and waits until it answers. */
  async start(extra: Readonly<Record<string, string>> = {}): Promise<LiveServer> {
    return this.launch(extra).ready();
  }

  /** Runs the command line program to its end. */
  async maos(
    args: readonly string[],
    cwd = this.repository,
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, [program(), ...args], {
      cwd,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#spawned.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child, 'close');
    return { code: child.exitCode, stdout, stderr };
  }

  /** All records of the log, read from the file. */
  records(): LogRecord[] {
    const reader = openReader(placesIn(this.home).database);
    try {
      return readRecords(reader, 0, 1_000_000);
    } finally {
      reader.close();
    }
  }

  /** One question to the views, read from the file. */
  rows<Row extends object>(sql: string): Row[] {
    const reader = openReader(placesIn(this.home).database);
    try {
      return reader.all<Row>(sql).map((row) => ({ ...row }));
    } finally {
      reader.close();
    }
  }

  /** What the servers wrote about what went wrong. */
  journal(): string[] {
    const { log } = placesIn(this.home);
    return existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
  }

  /** Every process that came from a server of this site: its environment or its command line names the site. */
  processes(): { pid: number; command: string }[] {
    return readdirSync('/proc').flatMap((name) => {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === process.pid) return [];
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const ours = command.includes(this.root) || readFileSync(`/proc/${name}/environ`, 'utf8').includes(this.root);
        return ours && command !== '' ? [{ pid, command }] : [];
      } catch (error) {
        if (error instanceof Error) return [];
        throw error;
      }
    });
  }

  /** Asks again and again until the answer fits; at last says what it was. */
  async until<T>(
    what: string,
    ask: () => T | Promise<T>,
    fits: (answer: T) => boolean,
    patienceMs = 60_000,
  ): Promise<T> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const answer = await ask();
      if (fits(answer)) return answer;
      if (Date.now() > deadline)
        throw new Error(`Waited ${patienceMs} ms in vain for ${what}; at last: ${JSON.stringify(answer)}`);
      await delay(20);
    }
  }

  /** Ends whatever is left of it, and removes its folders. */
  async destroy(): Promise<void> {
    for (const child of this.#spawned) child.kill('SIGKILL');
    for (let round = 0; round < 100; round += 1) {
      const left = this.processes();
      if (left.length === 0) break;
      for (const { pid } of left) tryKill(pid);
      await delay(20);
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** A server process that may not answer yet. */
export class LaunchedServer {
  readonly site: Site;
  readonly child: ChildProcess;
  readonly gone: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  constructor(site: Site, child: ChildProcess) {
    this.site = site;
    this.child = child;
    this.gone = once(child, 'close');
    child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** `kill -9`; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    if (this.site.harsh)
      for (const { pid, command } of this.site.processes()) if (command.startsWith('git ')) tryKill(pid);
    await this.gone;
  }

  async ready(): Promise<LiveServer> {
    const deadline = Date.now() + 60_000;
    while (!this.#stdout.includes('\n')) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(
          `The server ended (${this.child.exitCode ?? this.child.signalCode}): ${this.#stdout}${this.#stderr}`,
        );
      }
      if (Date.now() > deadline) throw new Error(`The server did not answer: ${this.#stderr}`);
      await delay(5);
    }
    const parsed: { url: string } = JSON.parse(this.#stdout);
    return new LiveServer(this, parsed.url);
  }
}

/** A server that answers. */
export class LiveServer {
  readonly process: LaunchedServer;
  readonly client: Client;

  constructor(launched: LaunchedServer, url: string) {
    this.process = launched;
    this.client = createClient({ url, token: readToken(placesIn(launched.site.home).token) });
  }

  get pid(): number {
    return this.process.pid;
  }

  call<Op extends Operation>(operation: Op, input: InputOf<Op>): Promise<OutputOf<Op>> {
    return this.client.call(operation, input);
  }

  async kill(): Promise<void> {
    this.client.close();
    await this.process.kill();
  }

  /** Asks it to end, as `maos down` does, and waits for that. */
  async stop(): Promise<void> {
    this.client.close();
    this.process.child.kill('SIGTERM');
    await this.process.gone;
  }

  /** The first record after `after` that fits; undefined when the server died meanwhile. */
  async see(fits: (record: LogRecord) => boolean, after = 0): Promise<LogRecord | undefined> {
    const stop = new AbortController();
    void this.process.gone.then(() => stop.abort());
    for await (const record of this.client.follow({ after, signal: stop.signal })) if (fits(record)) return record;
    return undefined;
  }
}
