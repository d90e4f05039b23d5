import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '../gateway/client.ts';
import { localCaller, systemCaller } from '../kernel/caller.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Call } from '../kernel/handler.ts';
import { type RunDetail, runEvents, runOps, type Step } from '../workflows/contract.ts';
import { readConfig } from './config.ts';
import { type Server, startServer } from './server.ts';
import type { Site } from './site.fixture.ts';

/** For tests: a server of a site inside this process, so that a test can speak as MAOS itself and not only as a person. */
export class Inside {
  readonly site: Site;
  readonly server: Server;
  /** Calls as the person whose machine it is. */
  readonly user: Call;
  /** Calls as the product itself, which alone may report what happened. */
  readonly maos: Call;
  readonly #stop = new AbortController();
  #client: Client | undefined;
  #closing: Promise<void> | undefined;

  constructor(site: Site, server: Server) {
    this.site = site;
    this.server = server;
    this.user = server.registry.as(localCaller);
    this.maos = server.registry.as(systemCaller('test'));
  }

  static async start(site: Site, { listens = false } = {}): Promise<Inside> {
    const { environment } = site;
    const config = readConfig(environment);
    return new Inside(site, await startServer({ config, version: '0', acts: true, listens, environment }));
  }

  /** A caller behind the server's own door. */
  get client(): Client {
    const { url, token } = this.server;
    if (url === null) throw new Error('This server does not listen: start it with listens: true.');
    this.#client ??= createClient({ url, token });
    return this.#client;
  }

  get head(): number {
    return this.server.engine.feed.head;
  }

  /** Starts a run of a plan. */
  begin(plan: string, more: { continues?: string } = {}): Promise<RunDetail> {
    return this.user(runOps.create, { plan, cwd: this.site.repository, ...more });
  }

  /** The first record after `after` that fits. */
  async see(fits: (record: LogRecord) => boolean, after = 0): Promise<LogRecord> {
    for await (const record of this.server.engine.feed.follow({ after, signal: this.#stop.signal }))
      if (fits(record)) return record;
    throw new Error('The server was closed before that happened.');
  }

  /** Waits until a run has ended or waits for a person, from a position on. */
  async settled(run: string, after = 0): Promise<RunDetail> {
    const types: string[] = [runEvents.ended.type, runEvents.waiting.type];
    await this.see(({ stream, type }) => stream === run && types.includes(type), after);
    return this.user(runOps.get, { run });
  }

  /** Starts a run of a plan, and waits until it has ended or waits for a person. */
  async carryOut(plan: string, more: { continues?: string } = {}): Promise<RunDetail> {
    const { id } = await this.begin(plan, more);
    return this.settled(id);
  }

  /** Carries on a run, and waits until it has ended or waits for a person. */
  async resume(run: RunDetail): Promise<RunDetail> {
    const after = this.head;
    await this.user(runOps.resume, { run: run.name });
    return this.settled(run.id, after);
  }

  /** The lines that commands have written into a file beside the repository; none when there is no such file. */
  lines(name: string): string[] {
    const file = join(this.site.root, name);
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  }

  close(): Promise<void> {
    this.#stop.abort();
    this.#client?.close();
    this.#closing ??= this.server.close();
    return this.#closing;
  }
}

interface PlanTask {
  readonly id: string;
  readonly command: string;
  readonly [more: string]: unknown;
}

/** A plan as text: whatever is JSON is YAML too. */
export function planOf(name: string, tasks: readonly PlanTask[], more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ name, ...more, tasks });
}

/** A shell line that goes on when a file is there. */
export function untilThere(file: string): string {
  return `until test -e ${file}; do sleep 0.02; done`;
}

/** A shell line of a task that goes on when a file has landed on its run's branch. */
export function untilLanded(file: string): string {
  return `until git cat-file -e "maos/$MAOS_RUN:${file}" 2>/dev/null; do sleep 0.02; done`;
}

/** A step of a run, by its id in the plan. */
export function stepOf(run: RunDetail, id: string): Step {
  const found = run.steps.find((step) => step.id === id);
  if (found === undefined) throw new Error(`${run.name} has no task ${id}.`);
  return found;
}
