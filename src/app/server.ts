import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { secretNames } from '../agents/contract.ts';
import { agentActions, type AgentActionOptions } from '../agents/actions.ts';
import { archivist } from '../agents/archive.ts';
import { liveSessions } from '../agents/roster.ts';
import { Runner } from '../agents/runner.ts';
import type { TeamBoundary } from '../auth/boundary.ts';
import { createGuard } from '../auth/guard.ts';
import { ensureToken } from '../auth/token.ts';
import { budgetReactors } from '../budgets/keeper.ts';
import type { FailurePlace } from '../gateway/door.ts';
import { mcpDoor } from '../gateway/mcp/route.ts';
import type { Gauge } from '../gateway/metrics.ts';
import type { Gateway } from '../gateway/server.ts';
import { Registry } from '../gateway/registry.ts';
import { type Caller, systemCaller } from '../kernel/caller.ts';
import { systemClock } from '../kernel/clock.ts';
import { errorFrom } from '../kernel/error.ts';
import { exec } from '../kernel/exec.ts';
import type { Handler, Reactor } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import { Scope } from '../kernel/scope.ts';
import { ReactorRunner, reactorPosition } from '../log/reactors.ts';
import { projectActions, type RepositoryInspector } from '../projects/service.ts';
import { runtimes } from '../runtimes/catalog.ts';
import { processHost } from '../runtimes/process/host.ts';
import { secretActions } from '../secrets/actions.ts';
import type { Keyring } from '../secrets/keyring.ts';
import { Vault } from '../secrets/vault.ts';
import { TaskClock } from '../tasks/clock.ts';
import { countTasks } from '../tasks/rows.ts';
import { watchHandlers } from '../watch/service.ts';
import { runActions } from '../workflows/actions.ts';
import { Driver } from '../workflows/driver.ts';
import { reporter } from '../workflows/report.ts';
import { runningRuns } from '../workflows/rows.ts';
import { workspaceActions } from '../workspaces/actions.ts';
import { createGit, type Git } from '../workspaces/git/git.ts';
import { inspectRepository, makeFromTemplate } from '../workspaces/git/repository.ts';
import { mergeQueue } from '../workspaces/queue.ts';
import { sweep } from '../workspaces/sweep.ts';
import { ApprovalClock } from '../policy/approvals/clock.ts';
import type { Gate } from '../policy/approvals/gate.ts';
import type { Config } from './config.ts';
import { placesIn } from './places.ts';
import { doctors } from './doctors.ts';
import { coreThread } from './core-thread.ts';
import { capabilities, type Engine, now, startEngine } from './engine.ts';
import { commandGate, gateReactors, judgeOf, makeGate, operationGate, operationRules, toolGate } from './gates.ts';
import { type Identity, makeIdentity } from './identity.ts';
import { Journal } from './journal.ts';
import { keyringOf, withoutPassphrase } from './keys.ts';
import { pureHandlers } from './rooms.ts';
import { makeOAuth, type OAuth } from './oauth.ts';
import { Oversight } from './oversight.ts';
import { commandRunner, endLeftChecks } from './run-command.ts';
import { openRules, ruleFollower, type Rules } from './rules.ts';
import { takeSnapshot } from './snapshot.ts';
import { sealedData } from './sealed.ts';
import { sessionSecrets } from './session-secrets.ts';
import { teamBoundary, withoutEnvironment } from './teams.ts';
import { namesOf, type Tls, tlsOf } from './tls.ts';

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
  readonly rules: Rules;
  readonly gate: Gate;
  readonly identity: Identity;
  readonly oauth: OAuth;
  readonly boundary: TeamBoundary;
  readonly vault: Vault;
  readonly oversight: Oversight;
}

/** How long reactors may take to finish what they have in hand when the server stops. */
const drainMs = 1_500;

type Tools = ReturnType<typeof makeTools>;

/** Known only once the doors are open. */
interface Facts {
  url: string | null;
  tls: Tls | null;
}

function makeTools({ config, environment: whole }: ServerOptions) {
  const places = placesIn(config.home);
  const environment = withoutPassphrase(whole);
  const env = Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
  const git = createGit(exec, env);
  const host = processHost();
  const run = commandRunner({ host, folder: places.checks, newId, clock: systemClock, environment });
  return { places, env, git, host, check: { git, root: places.worktrees, trash: places.trash, newId, now, run } };
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
  const openKeys = (): Promise<Keyring> => keyringOf(options.config, options.environment);
  const ring = options.config.encryption === 'state' ? await openKeys() : undefined;
  const sealed = ring === undefined ? null : sealedData(ring.keys);
  const engine = await startEngine(places, scope, options.thread ?? coreThread(), sealed);
  const journal = new Journal(places.log, now);
  const facts: Facts = { url: null, tls: null };
  const boundary = teamBoundary(engine.reader);
  const vault = new Vault(ring === undefined ? openKeys : async () => ring, engine.reader, options.environment);
  const identity = makeIdentity({
    reader: engine.reader,
    boundary,
    call: (operation, input) => registry.as(systemCaller('identity'))(operation, input),
    keys: async () => (await vault.ring()).keys,
    url: () => facts.url,
    tls: () => facts.tls,
    onFailure: (error) => journal.failure('identity', error),
  });
  const oversight = new Oversight({
    clock: systemClock,
    reader: engine.reader,
    call: (operation, input) => registry.as(systemCaller('audit'))(operation, input),
    rates: options.config.rates ?? {},
    gauges: gauges(engine),
    sees: (caller, record) => boundary.sees(caller, record),
    onFailure: (error) => journal.failure('audit', error),
  });
  scope.defer(() => oversight.stop());
  const oauth = makeOAuth({
    reader: engine.reader,
    keys: async () => (await vault.ring()).keys,
    prover: identity.prover,
    call: (operation, input) => registry.as(systemCaller('oauth'))(operation, input),
    refused: oversight.refusedSignIn,
    innerClients: options.config.innerClients,
  });
  const rules = await openRules({
    reader: engine.reader,
    home: options.config.home,
    environment: options.environment,
    now,
  });
  const gate = makeGate(engine.reader, boundary, judgeOf(rules.book), vault);
  const made = { identity, oauth, boundary, vault, oversight, rules, gate };
  const registry: Registry = makeRegistry(options, tools, engine, journal, facts, made);
  const parts: Parts = { options, scope, engine, registry, journal, tools, ...made };
  const token = ensureToken(places.token);
  // Agents are told the address when they are started; it is announced once everything is there.
  const doors = options.listens ? await openDoors(parts, token) : undefined;
  facts.url = doors?.gateway.url ?? null;
  facts.tls = doors?.tls ?? null;
  if (options.acts) await act(parts);
  if (doors !== undefined) announce(parts, doors);
  return { registry, engine, url: facts.url, token, close: () => scope.close() };
}

/** How what sessions have printed is read: opened where it is sealed, and without their secrets. */
function readingOf({ config }: ServerOptions, vault: Vault): Pick<AgentActionOptions, 'mask' | 'keys'> {
  return {
    mask: ({ session }) => vault.mask(secretNames(session.request.passEnv)),
    ...(config.encryption === 'state' ? { keys: async () => (await vault.ring()).keys } : {}),
  };
}

function makeRegistry(
  options: ServerOptions,
  tools: Tools,
  engine: Engine,
  journal: Journal,
  facts: Facts,
  made: Pick<Parts, 'identity' | 'oauth' | 'boundary' | 'vault' | 'oversight' | 'rules' | 'gate'>,
): Registry {
  const { identity, oauth, boundary, vault, oversight, rules, gate } = made;
  const { places, git, host, check } = tools;
  const { core, reader, feed } = engine;
  const { environment, version, config } = options;
  const startedAt = now();
  const handlers: Handler[] = [
    ...pureHandlers({ capabilities, transcripts: places.transcripts }),
    ...projectActions(repositories(git)),
    ...secretActions({ vault, newId }),
    ...workspaceActions(check),
    ...agentActions({ runtimes, environment, ...readingOf(options, vault) }),
    ...runActions,
    ...identity.handlers,
    ...oauth.handlers,
    ...rules.handlers,
    ...gate.handlers(),
  ];
  const registry: Registry = new Registry({
    reader,
    core,
    now,
    newId,
    boundary: withoutEnvironment(boundary),
    decide: operationRules(rules.book, boundary),
    ask: operationGate(gate, boundary, (operation, input) => registry.as(systemCaller('gate'))(operation, input)),
    limit: oversight.limit,
    observe: oversight.observe,
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
          call: (operation, input) => registry.as(systemCaller('doctor'))(operation, input),
          home: config.home,
          worktrees: places.worktrees,
          trash: places.trash,
          acts: options.acts,
          runtimes,
          environment,
        }),
        sees: (caller, record) => boundary.sees(caller, record),
        rebuild: async () => {
          const result = await core.rebuild();
          if (result.ok) return Array.isArray(result.output) ? result.output.map(String) : [];
          throw errorFrom(result.error);
        },
        snapshot: (path) => takeSnapshot(core, places, path, now()),
      }),
    ],
  });
  return registry;
}

/** Each room counts its own. */
function counts({ reader }: Engine): { runs: number; agents: number; tasks: Record<string, number> } {
  return {
    runs: runningRuns(reader).length,
    agents: liveSessions(reader).length,
    tasks: countTasks(reader),
  };
}

/** For `GET /metrics`. */
function gauges(engine: Engine): Gauge[] {
  const startedAt = now();
  return [
    { name: 'maos_log_position', type: 'counter', help: 'The last record of the log.', read: () => engine.feed.head },
    { name: 'maos_uptime_seconds', help: 'Since the server started.', read: () => (now() - startedAt) / 1_000 },
    { name: 'maos_resident_memory_bytes', help: 'Memory of the server.', read: () => process.memoryUsage.rss() },
    { name: 'maos_runs', help: 'Runs going on.', read: () => counts(engine).runs },
    { name: 'maos_agents', help: 'Agents with a live session.', read: () => counts(engine).agents },
    { name: 'maos_tasks', help: 'Tasks by state.', read: () => ({ label: 'state', values: counts(engine).tasks }) },
  ];
}

/** Starts what acts on the world: adopts agents first, so that nothing is started twice. */
async function act(parts: Parts): Promise<void> {
  const { options, scope, engine, registry, journal, tools, identity, vault, gate, boundary, rules } = parts;
  const { places, host, check } = tools;
  const { reader } = engine;
  const call = registry.as(systemCaller('runner'));
  const onFailure = (place: string, error: unknown): void => journal.failure(place, error);
  await endLeftChecks(host, places.checks);
  await sweep({ ...check, call, onFailure });
  const secrets = sessionSecrets(vault, call, boundary);
  const runner = new Runner({
    host,
    runtimes,
    reader,
    call,
    clock: systemClock,
    environment: withoutPassphrase(options.environment),
    credentials: async (assignment) => {
      // Together, so that they share a commit.
      const given = await Promise.all([secrets.environment(assignment), identity.credentials(assignment)]);
      return { ...given[0], ...given[1] };
    },
    mask: (assignment) => secrets.mask(assignment),
    // Without a port there is nobody to ask.
    ...(options.listens ? { gate: toolGate(options.config.home) } : {}),
    onFailure,
  });
  await runner.adopt();
  const driver = new Driver({
    call,
    reader,
    limit: options.config.limit,
    outputs: places.outputs,
    gate: commandGate(gate, boundary, call),
    mask: (names) => vault.mask(names),
    capabilities: new Map(capabilities),
    clock: systemClock,
    onFailure,
  });
  const clock = new TaskClock({
    call,
    clock: systemClock,
    renew: async () => void (await driver.renew()),
    onFailure: (error) => onFailure('task clock', error),
  });
  const expiry = new ApprovalClock({
    call,
    clock: systemClock,
    onFailure: (error) => onFailure('approval clock', error),
  });
  const reactors: Reactor[] = [
    ...runner.reactors(),
    ...(options.config.encryption === 'state' ? [archivist(reader, async () => (await vault.ring()).keys)] : []),
    ...driver.reactors(),
    clock.reactor(),
    expiry.reactor(),
    ruleFollower(rules.book),
    ...gateReactors(gate, call, reader, options.config.home),
    ...budgetReactors({ call, reader, now }),
    mergeQueue({ ...check, call, reader }),
    reporter({ call, reader, folder: places.runs, now }),
  ];
  const inHand = startReactors(parts, reactors);
  scope.defer(() => runner.release());
  scope.defer(() => clock.stop());
  scope.defer(() => expiry.stop());
  scope.defer(() => driver.stop());
  // What is nearly done is let finish; what is not is done again by the next server.
  scope.defer(() =>
    Promise.race([Promise.allSettled(inHand).then(() => undefined), delay(drainMs, undefined, { ref: false })]),
  );
  clock.start();
  expiry.start();
  driver.start();
}

/** Starts them from where each has got to; gives what they have in hand. */
function startReactors(
  { scope, engine: { feed, reader, core }, journal }: Parts,
  reactors: readonly Reactor[],
): Set<Promise<void>> {
  const positions = {
    feed,
    clock: systemClock,
    position: (name: string) => reactorPosition(reader, name),
    savePosition: (name: string, position: number) => core.savePosition(name, position),
    onFailure: journal.reactorFailed.bind(journal),
  };
  const inHand = new Set<Promise<void>>();
  for (const reactor of reactors) new ReactorRunner(positions, watched(reactor, journal, inHand)).start(scope);
  return inHand;
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

/** The doors, and what they speak TLS with. */
interface Doors {
  readonly gateway: Gateway;
  readonly tls: Tls | null;
}

async function openDoors(parts: Parts, token: string): Promise<Doors> {
  const { options, scope, engine, registry, journal, identity, oauth, boundary, vault, oversight, tools } = parts;
  const { host } = options.config;
  const tls = await tlsOf(options.config, tools.places.tls, async () => (await vault.ring()).keys, now());
  const { startGateway } = await import('../gateway/server.ts');
  const doors = {
    registry,
    feed: engine.feed,
    clock: systemClock,
    version: options.version,
    rates: (caller: Caller) => oversight.rates.headers(caller),
    onFailure: (error: unknown, place: FailurePlace) => journal.failure(place.operation, error),
  };
  const mcp = mcpDoor(doors);
  const gateway = await startGateway({
    ...doors,
    extraRoutes: [...mcp.routes, ...oversight.routes, ...oauth.routes],
    knock: oversight.knock,
    challenge: oauth.challenge,
    guard: (port) => {
      const address = { port, secure: tls !== null, names: namesOf(host) };
      oauth.serve(address);
      return oversight.watched(createGuard({ token, credentials: [identity.authenticator, oauth.grants], ...address }));
    },
    sees: (caller, record) => boundary.sees(caller, record),
    host,
    port: options.config.port,
    ...(tls === null ? {} : { tls }),
    scope,
  });
  scope.defer(() => mcp.close());
  return { gateway, tls };
}

/** Says where the doors are, in a file beside the token. They are the first to close. */
function announce({ scope, tools }: Parts, { gateway, tls }: Doors): void {
  scope.defer(() => gateway.close());
  const file = tools.places.server;
  writeFileSync(
    `${file}.new`,
    JSON.stringify({
      url: gateway.url,
      pid: process.pid,
      ...(tls === null ? {} : { trust: tls.trust, name: tls.name }),
    }),
    { mode: 0o600 },
  );
  renameSync(`${file}.new`, file);
  scope.defer(() => rmSync(file, { force: true }));
}
