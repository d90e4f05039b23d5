import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from '../gateway/registry.ts';
import { systemCaller } from '../kernel/caller.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Call } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import type { InputOf } from '../kernel/operation.ts';
import { Scope } from '../kernel/scope.ts';
import type { Database } from '../log/database.ts';
import { Feed } from '../log/feed.ts';
import { openReader } from '../log/open.ts';
import { Pipeline } from '../log/pipeline.ts';
import { ReactorRunner } from '../log/reactors.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { Views } from '../log/views.ts';
import { GroupWriter } from '../log/writer.ts';
import { runtimes } from '../runtimes/catalog.ts';
import { processHost } from '../runtimes/process/host.ts';
import { agentActions } from './actions.ts';
import { type Agent, agentOps, type Session } from './contract.ts';
import { Runner } from './runner.ts';
import type { Host } from './runtime.ts';
import { agentHandlers } from './service.ts';
import { agentView } from './views.ts';

export interface FleetOptions {
  readonly clock?: Clock;
  readonly host?: Host;
  /** Runs before every commit; a test kills or fails there. */
  readonly beforeCommit?: () => void;
}

/** For tests: the agents room as the server composes it, on a real log in a folder, with the real host. */
export class Fleet {
  readonly home: string;
  readonly host: Host;
  readonly failures: string[] = [];
  readonly call: Call;
  readonly runner: Runner;
  readonly reader: Database;
  readonly log: SqliteLog;
  readonly views = new Views([agentView]);
  readonly #feed: Feed;
  readonly #scope = new Scope();

  constructor(home: string, options: FleetOptions = {}) {
    mkdirSync(join(home, 'work'), { recursive: true });
    this.home = home;
    this.host = options.host ?? processHost({ pollMs: 200 });
    const environment = {
      PATH: process.env['PATH'],
      HOME: home,
      LANG: 'C.UTF-8',
      TMPDIR: home,
      SERVER_SECRET: 'must not leak',
    };
    this.log = new SqliteLog(join(home, 'maos.db'));
    this.views.prepare(this.log.database);
    const handlers = [
      ...agentHandlers({
        runtimes: new Map([...runtimes].map(([name, runtime]) => [name, runtime.capabilities])),
        transcripts: join(home, 'transcripts'),
      }),
      ...agentActions({ runtimes, environment }),
    ];
    const now = (): number => systemClock.now();
    const { beforeCommit } = options;
    const pipeline = new Pipeline({
      log: this.log,
      views: this.views,
      handlers,
      now,
      newId,
      ...(beforeCommit === undefined ? {} : { beforeCommit }),
    });
    this.reader = openReader(join(home, 'maos.db'));
    const feed = new Feed(this.reader);
    this.#feed = feed;
    this.log.watch((head) => feed.advance(head.position));
    const registry = new Registry({
      handlers,
      reader: this.reader,
      core: new GroupWriter(pipeline),
      now,
      newId,
    });
    this.call = registry.as(systemCaller('test'));
    this.runner = new Runner({
      host: this.host,
      runtimes,
      reader: this.reader,
      call: registry.as(systemCaller('runner')),
      clock: options.clock ?? systemClock,
      environment,
      onFailure: (session, error) =>
        this.failures.push(`${session}: ${error instanceof Error ? error.message : String(error)}`),
    });
  }

  /** As a server starts: adopts first, then follows the log. */
  async open(): Promise<this> {
    await this.runner.adopt();
    const { log, failures } = this;
    const host = {
      feed: this.#feed,
      clock: systemClock,
      position: (name: string) =>
        log.database.get<{ position: number }>('SELECT position FROM reactor_position WHERE name = ?', name)
          ?.position ?? 0,
      savePosition: (name: string, position: number) =>
        log.database.run('INSERT OR REPLACE INTO reactor_position VALUES (?, ?)', name, position),
      onFailure: (name: string, _record: LogRecord, error: unknown) => failures.push(`${name}: ${String(error)}`),
    };
    for (const reactor of this.runner.reactors()) new ReactorRunner(host, reactor).start(this.#scope);
    return this;
  }

  /** As a server stops: agents live on. */
  async close(): Promise<void> {
    await this.runner.release();
    await this.#scope.close();
    this.reader.close();
    this.log.close();
  }

  /** Creates an agent and starts it with a shell line. */
  async sh(line: string, options: Partial<InputOf<typeof agentOps.create>> = {}): Promise<Agent> {
    const { id } = await this.call(agentOps.create, { runtime: 'command', ...options });
    return this.call(agentOps.start, { agent: id, argv: ['/bin/sh', '-c', line], cwd: join(this.home, 'work') });
  }

  /** Creates an agent of the fake runtime and starts it with a script. */
  async fake(script: string, options: Partial<InputOf<typeof agentOps.create>> = {}): Promise<Agent> {
    const { id } = await this.call(agentOps.create, {
      runtime: 'fake',
      env: { MAOS_FAKE_STATE: join(this.home, 'fake') },
      ...options,
    });
    return this.call(agentOps.start, { agent: id, prompt: script, cwd: join(this.home, 'work') });
  }

  get(agent: Pick<Agent, 'id'>): Promise<Agent> {
    return this.call(agentOps.get, { agent: agent.id });
  }

  async session(agent: Pick<Agent, 'id'>): Promise<Session> {
    const { session } = await this.get(agent);
    if (session === null) throw new Error('The agent has no session.');
    return session;
  }

  /** Every byte of an agent's output, read piece by piece from offset 0 as a follower does. */
  async output(agent: Pick<Agent, 'id'>, raw = true): Promise<string> {
    let text = '';
    for (let after = 0; ;) {
      const piece = await this.call(agentOps.logs, { agent: agent.id, after, raw, limit: 1_000 });
      text += piece.text;
      if (piece.next === after) return text;
      after = piece.next;
    }
  }

  records(type?: string): LogRecord[] {
    const all = this.#feed.read(0, 100_000);
    return type === undefined ? all : all.filter((record) => record.type === type);
  }

  /** Waits for the first record that fits, from the beginning of the log on. */
  async until(fits: (record: LogRecord) => boolean): Promise<LogRecord> {
    const controller = new AbortController();
    for await (const record of this.#feed.follow({ after: 0, signal: controller.signal })) {
      if (fits(record)) return record;
    }
    throw new Error('The log ended.');
  }

  started(agent: Pick<Agent, 'id' | 'generation'>, adopted = false): Promise<LogRecord> {
    return this.until(
      ({ type, stream, data }) =>
        type === 'session.started' &&
        stream === agent.id &&
        part(data, 'generation') === agent.generation &&
        part(data, 'adopted') === adopted,
    );
  }

  async ended(agent: Pick<Agent, 'id' | 'generation'>): Promise<Session> {
    await this.until(
      ({ type, stream, data }) =>
        type === 'session.ended' && stream === agent.id && part(data, 'generation') === agent.generation,
    );
    return this.session(agent);
  }

  /** Resolves when the output contains a text. */
  async prints(agent: Pick<Agent, 'id'>, text: string): Promise<void> {
    while (!(await this.output(agent)).includes(text)) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Ends what a failed test has left behind. */
  async destroy(): Promise<void> {
    for (const record of this.records('session.requested')) {
      const pids = await this.host.processesOf(`${record.stream}/${String(part(record.data, 'generation'))}`);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
    }
    await this.close();
  }
}

/** One field of a record's data. */
export function part(data: unknown, name: string): unknown {
  return typeof data === 'object' && data !== null
    ? Object.entries(data).find(([key]) => key === name)?.[1]
    : undefined;
}
