/**
 * Starts, adopts and ends the sessions that the log asks for.
 *
 * R1. A session has at most one process, ever: its folder is fenced by the host, and what was given up is never started.
 * R2. Every session that the log has not ended is watched by exactly one monitor, from the first moment after a start on.
 * R3. What the log wants (stopped, paused) is done again after a crash; messages and interrupts are done once.
 * R4. When the server stops, agents live on.
 */
import { existsSync } from 'node:fs';
import type { Clock } from '../kernel/clock.ts';
import { AppError, invalid } from '../kernel/error.ts';
import type { EventDefinition, LogRecord } from '../kernel/event.ts';
import type { Call, Reactor, Reader } from '../kernel/handler.ts';
import type { Mask } from '../kernel/mask.ts';
import { KeyedMutex } from '../kernel/mutex.ts';
import { attempts, currentAttempt, Handled, nextAttempt } from './attempt.ts';
import { agentEvents, agentOps, type Signal } from './contract.ts';
import { agentEnvironment, chosenVariables, missingVariables } from './environment.ts';
import { sessionName } from './model.ts';
import { Monitor, stopGraceMs } from './monitor.ts';
import { findProgram } from './program.ts';
import { type Assignment, assignmentAt, boundOf, liveSessions } from './roster.ts';
import type { Gate, Host, HostProcess, Launch, Outcome, Runtime } from './runtime.ts';

export interface RunnerOptions {
  readonly host: Host;
  readonly runtimes: ReadonlyMap<string, Runtime>;
  /** Reads the views; must see every commit that a reactor is told of. */
  readonly reader: Reader;
  /** Calls operations as the runner. */
  readonly call: Call;
  readonly clock: Clock;
  /** The server's own environment, of which agents get only what is allowed. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What a session is given in its environment so that it can call MAOS as itself. */
  /** What hides the secrets that a session was given in what is reported of it. */
  readonly mask?: (assignment: Assignment) => Promise<Mask>;
  readonly credentials?: (assignment: Assignment) => Promise<Readonly<Record<string, string>>>;
  /** What a session's program asks before each tool call, given what the session can call MAOS with. */
  readonly gate?: (
    session: { agent: string; generation: number },
    credentials: Readonly<Record<string, string>>,
  ) => Gate;
  /** Told of what failed and is tried again, or was noticed and lived with. */
  readonly onFailure: (session: string, error: unknown) => void;
}

/** A session that could not be started, and what it amounts to. */
class NotStarted {
  readonly outcome: Outcome;
  constructor(reason: string, message: string, retry: boolean) {
    this.outcome = { kind: 'failed', reason, message, retry, retryAt: null };
  }
}

/** The data of a record, checked: it may come from a log that an older MAOS has written. */
function dataOf<Data>(definition: EventDefinition<Data>, record: LogRecord): Data {
  return definition.schema.parse(record.data);
}

export class Runner {
  readonly #options: RunnerOptions;
  readonly #monitors = new Map<string, Monitor>();
  readonly #starting = new KeyedMutex();
  #released = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** How many sessions it watches. */
  get size(): number {
    return this.#monitors.size;
  }

  /** Takes over what an earlier server has left: call it before the reactors are started. */
  async adopt(): Promise<void> {
    const sessions = liveSessions(this.#options.reader);
    await Promise.all(sessions.map(({ agent, generation }) => this.#adoptOne(agent, generation, 1)));
  }

  /** Messages have a reactor of their own, so that a program that does not read cannot hold up a stop. */
  reactors(): Reactor[] {
    const { requested, signalled, messaged } = agentEvents;
    return [
      {
        name: 'agents.sessions',
        types: [requested.type, signalled.type],
        react: (record) => (record.type === requested.type ? this.#requested(record) : this.#signalled(record)),
      },
      { name: 'agents.messages', types: [messaged.type], react: (record) => this.#messaged(record) },
    ];
  }

  /** Lets go of all processes, which live on. Afterwards nothing is reported any more. */
  async release(): Promise<void> {
    this.#released = true;
    await Promise.all([...this.#monitors.values()].map((monitor) => monitor.release()));
    this.#monitors.clear();
  }

  async #adoptOne(agent: string, generation: number, tries: number): Promise<void> {
    try {
      await this.#ensure(agent, generation);
    } catch (error) {
      this.#options.onFailure(sessionName(agent, generation), error);
      this.#options.clock.after(Math.min(30_000, 100 * 2 ** tries), () => {
        if (!this.#released) void this.#adoptOne(agent, generation, tries + 1);
      });
    }
  }

  async #requested(record: LogRecord): Promise<void> {
    await this.#ensure(record.stream, dataOf(agentEvents.requested, record).generation);
  }

  async #signalled(record: LogRecord): Promise<void> {
    const { generation, signal, reason } = dataOf(agentEvents.signalled, record);
    const monitor = this.#monitors.get(sessionName(record.stream, generation));
    const assignment = assignmentAt(this.#options.reader, record.stream, generation);
    if (monitor === undefined || assignment === undefined) return;
    if (signal === 'interrupt') this.#once(assignment, record.position, () => monitor.interrupt());
    else apply(monitor, signal, assignment, reason);
  }

  async #messaged(record: LogRecord): Promise<void> {
    const { generation, message, text } = dataOf(agentEvents.messaged, record);
    const monitor = await this.#ensure(record.stream, generation);
    const assignment = assignmentAt(this.#options.reader, record.stream, generation);
    if (monitor === undefined || assignment === undefined) return;
    const handled = new Handled(currentAttempt(assignment.session.folder));
    if (handled.has(record.position)) return;
    try {
      await monitor.process.write(this.#runtime(assignment).message(text));
      handled.add(record.position);
    } catch (error) {
      if (!this.#released) monitor.note(`Message ${message} was not delivered`, error);
    }
  }

  #once(assignment: Assignment, position: number, act: () => void): void {
    const handled = new Handled(currentAttempt(assignment.session.folder));
    if (handled.has(position)) return;
    act();
    handled.add(position);
  }

  /** Sees to it that a session that the log wants has a monitor; undefined when the session has ended. */
  #ensure(agent: string, generation: number): Promise<Monitor | undefined> {
    const name = sessionName(agent, generation);
    return this.#starting.run(name, async () => {
      const known = this.#monitors.get(name);
      if (known !== undefined || this.#released) return known;
      const assignment = assignmentAt(this.#options.reader, agent, generation);
      if (assignment === undefined || assignment.session.state === 'ended') return undefined;
      const process = (await this.#find(assignment)) ?? (await this.#begin(assignment));
      if (!(process instanceof NotStarted)) return this.#monitor(assignment, process);
      if (!this.#released) await this.#reportNotStarted(assignment, process);
      return undefined;
    });
  }

  /** The process of a session that was started before, running or ended; undefined when there never was one. */
  async #find({ session }: Assignment): Promise<HostProcess | NotStarted | undefined> {
    const name = sessionName(session.agent, session.generation);
    const made = attempts(session.folder);
    // A session that ran but has lost its folder is still looked for: its processes must not go on unseen.
    for (const folder of made.length === 0 && session.state === 'running' ? [session.folder] : made) {
      const adoption = await this.#options.host.adopt(folder, name);
      if (adoption.kind !== 'never_started') return adoption.process;
    }
    if (session.state === 'starting') return undefined;
    return new NotStarted('lost', 'Its process and its folder are gone: nobody knows how it ended.', true);
  }

  async #begin(assignment: Assignment): Promise<HostProcess | NotStarted> {
    const { session, agentState, reason } = assignment;
    if (agentState === 'stopping')
      return new NotStarted('killed', `Stopped before it was started: ${reason ?? 'no reason given'}.`, false);
    const unset = missingVariables(this.#options.environment, session.request.passEnv);
    if (unset.length > 0) return unsetVariables(unset);
    try {
      const credentials = (await this.#options.credentials?.(assignment)) ?? {};
      const launch = this.#launch(assignment, credentials);
      const missing = await this.#missing(assignment, launch);
      if (missing !== undefined) return missing;
      const { cwd } = session.request;
      const folder = nextAttempt(session.folder);
      return await this.#options.host.start({
        folder,
        session: sessionName(session.agent, session.generation),
        launch,
        cwd,
      });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return new NotStarted('not_started', sentence(error.message, error.fix), error.code !== 'invalid');
    }
  }

  #launch(assignment: Assignment, credentials: Readonly<Record<string, string>>): Launch {
    const { session, config, sessionId, resumes } = assignment;
    const { prompt, argv, cwd, options, resultSchema } = session.request;
    const runtime = this.#runtime(assignment);
    if (this.#options.gate !== undefined) refuseOpening(runtime, assignment);
    const launch = runtime.launch({
      prompt,
      argv,
      model: config.model,
      resume: resumes,
      sessionId,
      maxBudgetUsd: boundOf(assignment).usd,
      resultSchema: resultSchema ?? null,
      env: { ...agentEnvironment(this.#options.environment, runtime.inherits ?? [], assignment), ...credentials },
      cwd,
      ...(this.#options.gate === undefined ? {} : { gate: this.#options.gate(session, credentials) }),
      options: { ...config.options, ...options },
    });
    return { ...launch, argv: [...launch.argv, ...config.args] };
  }

  async #missing(assignment: Assignment, launch: Launch): Promise<NotStarted | undefined> {
    const program = launch.argv[0] ?? '';
    if (!existsSync(assignment.session.request.cwd)) return undefined;
    if (findProgram(program, launch.env['PATH'], assignment.session.request.cwd) !== undefined) return undefined;
    const probe = await this.#runtime(assignment).probe(launch.env);
    const fix = probe.fix ?? `Install ${program}, or put its folder on the PATH of the server.`;
    return new NotStarted('missing_program', `The program "${program}" was not found. ${fix}`, false);
  }

  async #reportNotStarted({ session }: Assignment, { outcome }: NotStarted): Promise<void> {
    const { agent, generation, offset, usage } = session;
    const exit = session.state === 'running' ? 'lost' : 'not started';
    await this.#options.call(agentOps.reportEnded, { agent, generation, offset, exit, outcome, usage });
  }

  /** From here on the process is watched, whatever happens to the reports. */
  async #monitor(assignment: Assignment, process: HostProcess): Promise<Monitor | undefined> {
    if (this.#released) {
      process.release();
      return undefined;
    }
    const { clock, onFailure } = this.#options;
    const call = this.#masked(assignment);
    const name = sessionName(assignment.session.agent, assignment.session.generation);
    const runtime = this.#runtime(assignment);
    const monitor = new Monitor({
      assignment,
      runtime,
      process,
      clock,
      call,
      onFailure: (error) => onFailure(name, error),
    });
    this.#monitors.set(name, monitor);
    restore(monitor, assignment);
    const wanted = await monitor.announce();
    if (!wanted && !this.#released)
      monitor.stop({ reason: 'killed', message: 'The log wants nothing of it any more.' }, 0);
    void monitor.watch().then(
      () => this.#forget(name, monitor),
      (error: unknown) => {
        onFailure(name, error);
        this.#forget(name, monitor);
      },
    );
    return monitor;
  }

  /** Whatever is reported of a session, its secrets are not in it. */
  #masked(assignment: Assignment): Call {
    const { call, mask } = this.#options;
    if (mask === undefined) return call;
    return async (operation, input) => call(operation, (await mask(assignment)).data(input));
  }

  #forget(name: string, monitor: Monitor): void {
    if (this.#monitors.get(name) === monitor) this.#monitors.delete(name);
  }

  #runtime({ config }: Assignment): Runtime {
    const runtime = this.#options.runtimes.get(config.runtime);
    if (runtime !== undefined) return runtime;
    throw new AppError('unavailable', `This server has no runtime "${config.runtime}".`, {
      fix: `Change the agent's runtime; known: ${[...this.#options.runtimes.keys()].join(', ')}.`,
    });
  }
}

function unsetVariables(names: readonly string[]): NotStarted {
  const them = names.join(', ');
  const fix = `Set it where MAOS is started: maos down, export ${names[0] ?? ''}=…, maos up.`;
  return new NotStarted(
    'missing_variable',
    `The server’s environment has no ${them}, which it is to be given. ${fix}`,
    false,
  );
}

/** An agent's definition was made without its runtime's advice: what could open the gate is refused at the latest here. */
function refuseOpening(runtime: Runtime, assignment: Assignment): void {
  const { config, session } = assignment;
  const options = { ...config.options, ...session.request.options };
  const [problem] = runtime.check?.({ options, args: config.args, env: chosenVariables(assignment) }) ?? [];
  if (problem === undefined) return;
  const where = problem.path.join('.');
  throw invalid(`${where}: ${problem.message}`, { fix: `Change ${where} (maos agent update, or the plan).` });
}

function sentence(message: string, fix: string | undefined): string {
  return fix === undefined ? message : `${message} ${fix}`;
}

/** Does again what the log wanted of an adopted process. */
function restore(monitor: Monitor, { agentState, reason }: Assignment): void {
  const message = reason ?? 'stopped';
  if (agentState === 'stopping') monitor.stop({ reason: 'killed', message }, stopGraceMs);
  if (agentState === 'paused') monitor.process.pause();
}

/** A signal counts only while the log still wants it: after a crash, old ones come again. */
function apply(
  monitor: Monitor,
  signal: Exclude<Signal, 'interrupt'>,
  { agentState }: Assignment,
  reason: string,
): void {
  switch (signal) {
    case 'stop':
      return monitor.stop({ reason: 'killed', message: reason }, stopGraceMs);
    case 'kill':
      return monitor.stop({ reason: 'killed', message: reason }, 0);
    case 'pause':
      return agentState === 'paused' ? monitor.process.pause() : undefined;
    case 'resume':
      return agentState === 'paused' ? undefined : monitor.process.resume();
  }
}
