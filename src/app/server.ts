import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { agentActions } from '../agents/actions.ts';
import { Runner } from '../agents/runner.ts';
import { createGuard } from '../auth/guard.ts';
import { ensureToken } from '../auth/token.ts';
import { localAuthorise, Registry } from '../gateway/registry.ts';
import { systemActor } from '../kernel/actor.ts';
import { systemClock } from '../kernel/clock.ts';
import { conflict, errorFrom } from '../kernel/error.ts';
import { exec } from '../kernel/exec.ts';
import type { Handler, Reactor } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import { Scope } from '../kernel/scope.ts';
import { ReactorRunner, reactorPosition } from '../log/reactors.ts';
import { projectActions, type RepositoryInspector } from '../projects/service.ts';
import { runtimes } from '../runtimes/catalog.ts';
import { processHost } from '../runtimes/process/host.ts';
import { TaskClock } from '../tasks/clock.ts';
import { watchHandlers } from '../watch/service.ts';
import { runActions } from '../workflows/actions.ts';
import { Driver } from '../workflows/driver.ts';
import { reporter } from '../workflows/report.ts';
import { workspaceActions } from '../workspaces/actions.ts';
import { createGit, type Git } from '../workspaces/git/git.ts';
import { inspectRepository, makeFromTemplate } from '../workspaces/git/repository.ts';
import { mergeQueue } from '../workspaces/queue.ts';
import { sweep } from '../workspaces/sweep.ts';
import type { Config } from './config.ts';
import { placesIn } from './places.ts';
import { doctors } from './doctors.ts';
import { coreThread } from './core-thread.ts';
import { capabilities, type Engine, now, startEngine } from './engine.ts';
import { Journal } from './journal.ts';
import { pureHandlers } from './rooms.ts';
import { commandRunner, endLeftChecks } from './run-command.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly version: string;
  /** false: only answers; runs, agents and timers stay as they are. */
  readonly acts: boolean;
  /** Open a port on loopback. */
  readonly listens: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Made by `coreThread`, when it was started before the rest. */
  readonly thread?: Worker;
}

export interface Server {
  readonly registry: Registry;
  readonly engine: Engine;
  readonly url: string | null;
  readonly token: string;
  /** Lets agents live on for the next server to adopt, and closes everything else. */
  close(): Promise<void>;
}

/** Everything that is open while a server runs. */
interface Parts {
  readonly options: ServerOptions;
  readonly scope: Scope;
  readonly engine: Engine;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly tools: Tools;
}

/** How long reactors may take to finish what they have in hand when the server stops. */
const drainMs = 1_500;

type Tools = ReturnType<typeof makeTools>;

/** Known only once the doors are open. */
interface Facts {
  url: string | null;
}

function makeTools({ config, environment }: ServerOptions) {
  const places = placesIn(config.home);
  const env = Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
  const git = createGit(exec, env);
  const host = processHost();
  const run = commandRunner({ host, folder: places.checks, newId, clock: systemClock, environment });
  return { places, git, host, check: { git, root: places.worktrees, trash: places.trash, newId, now, run } };
}

function repositories(git: Git): RepositoryInspector {
  return {
    inspect: async (path) => {
      const { root } = await inspectRepository(git, path);
      return { root, name: basename(root) };
    },
    make: async (template, path) => {
      if (!existsSync(path)) await makeFromTemplate(git, template, path);
    },
  };
}

/** Starts a server on a home folder: log, operations, and as asked for, agents and doors. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const scope = new Scope();
  try {
    return await open(options, scope);
  } catch (error) {
    await scope.close();
    throw error;
  }
}

async function open(options: ServerOptions, scope: Scope): Promise<Server> {
  const tools = makeTools(options);
  const { places } = tools;
  // The token and all transcripts are in it: nobody else may enter, also where the folder was there before.
  mkdirSync(options.config.home, { recursive: true, mode: 0o700 });
  if ((statSync(options.config.home).mode & 0o077) !== 0) chmodSync(options.config.home, 0o700);
  const engine = await startEngine(places, scope, options.thread ?? coreThread());
  const journal = new Journal(places.log, now);
  const facts: Facts = { url: null };
  const registry = makeRegistry(options, tools, engine, journal, facts);
  const parts: Parts = { options, scope, engine, registry, journal, tools };
  if (options.acts) await act(parts);
  const token = ensureToken(places.token);
  if (options.listens) facts.url = await listen(parts, token);
  return { registry, engine, url: facts.url, token, close: () => scope.close() };
}

function makeRegistry(options: ServerOptions, tools: Tools, engine: Engine, journal: Journal, facts: Facts): Registry {
  const { places, git, host, check } = tools;
  const { core, reader, feed } = engine;
  const { environment, version, config } = options;
  const startedAt = now();
  const handlers: Handler[] = [
    ...pureHandlers({ capabilities, transcripts: places.transcripts }),
    ...projectActions(repositories(git)),
    ...workspaceActions(check),
    ...agentActions({ runtimes, environment }),
    ...runActions,
  ];
  const registry: Registry = new Registry({
    reader,
    core,
    now,
    newId,
    authorise: localAuthorise,
    handlers: [
      ...handlers,
      ...watchHandlers({
        reader,
        facts: {
          version,
          pid: process.pid,
          home: config.home,
          startedAt,
          url: () => facts.url,
          position: () => feed.head,
          memoryMb: () => Math.round(process.memoryUsage.rss() / 104_857.6) / 10,
          failing: () => journal.failing(),
          counts: () => counts(engine),
        },
        doctors: doctors({
          reader,
          host,
          git,
          call: (operation, input) => registry.as(systemActor('doctor'))(operation, input),
          home: config.home,
          worktrees: places.worktrees,
          trash: places.trash,
          acts: options.acts,
          runtimes,
          environment,
        }),
        rebuild: async () => {
          const result = await core.rebuild();
          if (result.ok) return Array.isArray(result.output) ? result.output.map(String) : [];
          throw errorFrom(result.error);
        },
        snapshot: (path) =>
          snapshot(engine, path ?? join(places.snapshots, `${new Date(now()).toISOString().replaceAll(':', '-')}.db`)),
      }),
    ],
  });
  return registry;
}

async function snapshot({ core }: Engine, path: string): Promise<{ path: string; bytes: number; position: number }> {
  if (existsSync(path)) throw conflict(`${path} exists.`, { fix: 'Give the name of a new file.' });
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
  const result = await core.snapshot(path);
  if (!result.ok) throw errorFrom(result.error);
  return { path, bytes: statSync(path).size, position: result.position };
}

function counts({ reader }: Engine): { runs: number; agents: number; tasks: Record<string, number> } {
  const one = (sql: string): number => reader.get<{ n: number }>(sql)?.n ?? 0;
  const tasks = reader.all<{ state: string; n: number }>('SELECT state, count(*) AS n FROM task GROUP BY state');
  return {
    runs: one(`SELECT count(*) AS n FROM run WHERE state = 'running'`),
    agents: one(`SELECT count(*) AS n FROM agent WHERE state NOT IN ('idle', 'removed')`),
    tasks: Object.fromEntries(tasks.map((row) => [row.state, row.n])),
  };
}

/** Starts what acts on the world: adopts agents first, so that nothing is started twice. */
async function act({ options, scope, engine, registry, journal, tools }: Parts): Promise<void> {
  const { places, host, check } = tools;
  const { reader, feed, core } = engine;
  const call = registry.as(systemActor('runner'));
  const onFailure = (place: string, error: unknown): void => journal.failure(place, error);
  await endLeftChecks(host, places.checks);
  await sweep({ ...check, call, onFailure });
  const runner = new Runner({
    host,
    runtimes,
    reader,
    call,
    clock: systemClock,
    environment: options.environment,
    onFailure,
  });
  await runner.adopt();
  const driver = new Driver({
    call,
    reader,
    limit: options.config.limit,
    outputs: places.outputs,
    capabilities: new Map(capabilities),
    clock: systemClock,
    onFailure,
  });
  const clock = new TaskClock({ call, clock: systemClock, onFailure: (error) => onFailure('task clock', error) });
  const reactors: Reactor[] = [
    ...runner.reactors(),
    ...driver.reactors(),
    clock.reactor(),
    mergeQueue({ ...check, call, reader }),
    reporter({ call, reader, folder: places.runs, now }),
  ];
  const positions = {
    feed,
    clock: systemClock,
    position: (name: string) => reactorPosition(reader, name),
    savePosition: (name: string, position: number) => core.savePosition(name, position),
    onFailure: journal.reactorFailed.bind(journal),
  };
  const inHand = new Set<Promise<void>>();
  for (const reactor of reactors) new ReactorRunner(positions, watched(reactor, journal, inHand)).start(scope);
  scope.defer(() => runner.release());
  scope.defer(() => clock.stop());
  scope.defer(() => driver.stop());
  // What is nearly done is let finish; what is not is done again by the next server.
  scope.defer(() =>
    Promise.race([Promise.allSettled(inHand).then(() => undefined), delay(drainMs, undefined, { ref: false })]),
  );
  clock.start();
  driver.start();
}

/** A reactor that works again is no longer named as failing. */
function watched(reactor: Reactor, journal: Journal, inHand: Set<Promise<void>>): Reactor {
  return {
    ...reactor,
    react: async (record) => {
      const work = reactor.react(record);
      inHand.add(work);
      try {
        await work;
        journal.reactorDone(reactor.name, record.stream);
      } finally {
        inHand.delete(work);
      }
    },
  };
}

/** Opens the doors and says where they are, in a file beside the token. */
async function listen({ options, scope, engine, registry, journal, tools }: Parts, token: string): Promise<string> {
  const { startGateway } = await import('../gateway/server.ts');
  const gateway = await startGateway({
    registry,
    feed: engine.feed,
    guard: (port) => createGuard({ token, port }),
    host: '127.0.0.1',
    port: options.config.port,
    clock: systemClock,
    version: options.version,
    scope,
    onFailure: (error, place) => journal.failure(place.operation, error),
  });
  const file = tools.places.server;
  writeFileSync(`${file}.new`, JSON.stringify({ url: gateway.url, pid: process.pid }), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  scope.defer(() => rmSync(file, { force: true }));
  return gateway.url;
}
