import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localCaller } from '../kernel/caller.ts';
import type { LogRecord } from '../kernel/event.ts';
import { exec } from '../kernel/exec.ts';
import type { Call } from '../kernel/handler.ts';
import type { InputOf } from '../kernel/operation.ts';
import { readRecords } from '../log/record.ts';
import { type RunDetail, runEvents, runOps } from '../workflows/contract.ts';
import { readConfig } from './config.ts';
import { placesIn } from './places.ts';
import { type Server, startServer } from './server.ts';

/** For tests: one MAOS home, and the server in this process that works with it. */
export class LocalHome {
  readonly server: Server;
  readonly call: Call;
  readonly #local: Local;

  constructor(local: Local, server: Server) {
    this.#local = local;
    this.server = server;
    this.call = server.registry.as(localCaller);
  }

  /** Starts a plan on the repository and waits until it has ended or waits for a person. */
  async carryOut(plan: string, more: Partial<InputOf<typeof runOps.create>> = {}): Promise<RunDetail> {
    const after = this.server.engine.feed.head;
    const { id } = await this.call(runOps.create, { plan, cwd: this.#local.repository, ...more });
    return this.settled(id, after);
  }

  async settled(run: string, after: number): Promise<RunDetail> {
    const types: string[] = [runEvents.ended.type, runEvents.waiting.type];
    await this.sees((record) => record.stream === run && types.includes(record.type), after);
    return this.call(runOps.get, { run });
  }

  /** Waits for a record. */
  async sees(wanted: (record: LogRecord) => boolean, after = 0): Promise<LogRecord> {
    const { signal } = new AbortController();
    for await (const record of this.server.engine.feed.follow({ after, signal })) if (wanted(record)) return record;
    throw new Error('The log has ended.');
  }

  /** Every record so far. */
  records(): LogRecord[] {
    return readRecords(this.server.engine.reader, 0, 100_000);
  }
}

/** For tests: a repository, and servers in this process, each with a home of its own. */
export class Local {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-local-')));
  readonly repository = join(this.root, 'repository');
  readonly #servers: Server[] = [];

  async init(): Promise<this> {
    await exec('git', ['init', '-q', '-b', 'main', this.repository]);
    writeFileSync(join(this.repository, 'a.txt'), 'start\n');
    await this.git('add', '-A');
    await this.git('commit', '-qm', 'start');
    return this;
  }

  async git(...args: string[]): Promise<string> {
    const env = { PATH: process.env['PATH'] ?? '', HOME: this.root, GIT_CONFIG_NOSYSTEM: '1' };
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@localhost'];
    const result = await exec('git', [...identity, '-C', this.repository, ...args], { env });
    if (result.code !== 0) throw new Error(result.stderr);
    return result.stdout.trim();
  }

  async branches(prefix = 'maos/'): Promise<string[]> {
    const list = await this.git('for-each-ref', '--format=%(refname:short)', `refs/heads/${prefix}*`);
    return list === '' ? [] : list.split('\n');
  }

  /** Starts a server on a home; `extra` is added to its environment. */
  async start(name = 'home', options: { listens?: boolean; extra?: Record<string, string> } = {}): Promise<LocalHome> {
    const home = join(this.root, name);
    const environment = { PATH: process.env['PATH'], HOME: this.root, MAOS_HOME: home, ...options.extra };
    const { listens = false } = options;
    const config = readConfig(environment);
    const server = await startServer({ config, version: '0', acts: true, listens, environment });
    this.#servers.push(server);
    return new LocalHome(this, server);
  }

  /** All bytes of a home's database, once its server has closed. */
  database(name = 'home'): string {
    const { database } = placesIn(join(this.root, name));
    return readFileSync(database, 'latin1');
  }

  async destroy(): Promise<void> {
    for (const server of this.#servers) await server.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
