import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Adoption, Host, HostProcess, HostStart } from '../../agents/runtime.ts';
import { AppError, conflict, invalid } from '../../kernel/error.ts';
import { FolderWatch } from './folder-watch.ts';
import { findProcess, ProcessTable } from './proc.ts';
import { Pulse } from './pulse.ts';
import { exitStatus, ProcessSession, recordedExit, type SessionParts } from './session.ts';
import { ProcessTree } from './tree.ts';
import { fencedCode, sessionFiles, wrapped, type SessionFiles } from './wrapper.ts';

export interface ProcessHostOptions {
  /** How often what the watchers may have missed is looked at, while anything runs. */
  readonly pollMs?: number;
}

/** Content of a pid file that fences a folder instead of naming a process. */
const fence = 'void\n';

interface PidRecord {
  readonly pid: number;
  readonly startTime: string;
}

/** Reads a pid file: who started, `void` for a fence, undefined when it is missing or not yet written. */
function readPid(path: string): PidRecord | 'void' | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  if (text === fence) return 'void';
  const space = text.indexOf(' ');
  return text.endsWith('\n') ? { pid: Number(text.slice(0, space)), startTime: text.slice(space + 1, -1) } : undefined;
}

/** Creates the fence; false when the file is already there. */
function putFence(path: string): boolean {
  try {
    writeFileSync(path, fence, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Starts the wrapper, with its output going to the session's files. */
function spawnWrapper(spec: HostStart, files: SessionFiles): ChildProcess {
  if (spec.launch.firstInput !== null) writeFileSync(files.first, spec.launch.firstInput, { mode: 0o600 });
  const stdout = openSync(files.stdout, 'a', 0o600);
  const stderr = openSync(files.stderr, 'a', 0o600);
  try {
    const [shell, ...args] = wrapped(files.folder, spec.launch.stdin, spec.launch.argv);
    return spawn(shell, args, {
      cwd: spec.cwd,
      env: { ...spec.launch.env, MAOS_SESSION: spec.session },
      stdio: ['ignore', stdout, stderr],
      detached: true,
    });
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}

function checkStart(spec: HostStart, files: SessionFiles): void {
  if (spec.launch.argv.length === 0) throw invalid('There is no program to start: argv is empty.');
  if (!statSync(spec.cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw conflict(`The working directory ${spec.cwd} does not exist.`, {
      fix: 'Create the workspace again, then retry.',
    });
  }
  if (spec.launch.firstInput !== null && spec.launch.stdin === 'none') {
    throw invalid('A first input needs stdin: pipe.');
  }
  if (existsSync(files.pid)) {
    throw conflict(`The session folder ${files.folder} was already used.`, { fix: 'Start with a new session.' });
  }
}

/** Runs agents as processes of this machine: each in a group of its own, with files for stdio. */
class ProcessHost implements Host {
  readonly name = 'process';
  readonly #table = new ProcessTable();
  readonly #pulse: Pulse;

  constructor(pollMs: number) {
    this.#pulse = new Pulse(pollMs);
  }

  async start(spec: HostStart): Promise<HostProcess> {
    const files = sessionFiles(spec.folder);
    checkStart(spec, files);
    mkdirSync(files.folder, { recursive: true, mode: 0o700 });
    const watch = new FolderWatch(files.folder, this.#pulse);
    try {
      const child = spawnWrapper(spec, files);
      return await this.#started(spec, files, watch, child);
    } catch (error) {
      watch.close();
      throw error instanceof AppError
        ? error
        : conflict(`The program could not be started: ${error instanceof Error ? error.message : String(error)}`, {
            fix: 'Check that the machine can start processes (memory, process limit, /bin/sh), then retry.',
          });
    }
  }

  async adopt(folder: string, session: string): Promise<Adoption> {
    const files = sessionFiles(folder);
    const known = existsSync(files.stdout);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const fenced = putFence(files.pid);
    if (fenced && !known && (await this.processesOf(session)).length > 0) {
      // Someone removed the folder of a live agent: it cannot be read any more, only ended.
      return { kind: 'ended', process: await this.#gone(files, session, { pid: 0, startTime: '' }) };
    }
    const record = fenced ? 'void' : await this.#pidOrNobody(files.pid, session);
    if (record === 'void') return { kind: 'never_started' };
    const row = await findProcess(record.pid);
    if (row?.startTime !== record.startTime) {
      return { kind: 'ended', process: await this.#gone(files, session, record) };
    }
    const watch = new FolderWatch(folder, this.#pulse);
    const process = new ProcessSession({ ...record, ...this.#adopted(files, session), watch, leaderKnown: true });
    process.watchEnd();
    return { kind: 'running', process };
  }

  async processesOf(session: string): Promise<number[]> {
    const root = { session, leader: 0, leaderKnown: false, since: 0 };
    return (await new ProcessTree(this.#table, root).members()).map((row) => row.pid);
  }

  async #started(spec: HostStart, files: SessionFiles, watch: FolderWatch, child: ChildProcess): Promise<HostProcess> {
    const ended = Promise.withResolvers<number | NodeJS.Signals>();
    child.once('error', ended.reject);
    child.once('exit', (code, name) => {
      ended.resolve(code ?? name ?? 'SIGKILL');
      watch.wake();
    });
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    await Promise.race([watch.until(() => readPid(files.pid) !== undefined || hasEnded()), ended.promise]);
    const record = readPid(files.pid);
    if (record === undefined || record === 'void' || record.pid !== child.pid) {
      const how = await ended.promise;
      throw conflict(`The program was not started (${how === fencedCode ? 'the session was given up' : how}).`, {
        fix: 'Start with a new session.',
      });
    }
    const process = new ProcessSession({
      ...record,
      files,
      session: spec.session,
      adopted: false,
      takesInput: spec.launch.stdin === 'pipe',
      leaderKnown: true,
      table: this.#table,
      watch,
      detach: () => child.unref(),
    });
    void ended.promise.then((how) => {
      const recorded = recordedExit(files.exit);
      return process.ended(
        recorded ?? (typeof how === 'number' ? exitStatus(how) : { kind: 'signalled', signal: how }),
      );
    });
    return process;
  }

  /** A session whose wrapper is dead: clears what is left of its tree and gives its recorded status. */
  async #gone(files: SessionFiles, session: string, record: PidRecord): Promise<HostProcess> {
    const watch = new FolderWatch(files.folder, this.#pulse);
    const process = new ProcessSession({ ...record, ...this.#adopted(files, session), watch, leaderKnown: false });
    await process.ended(recordedExit(files.exit) ?? { kind: 'lost' });
    return process;
  }

  #adopted(
    files: SessionFiles,
    session: string,
  ): Pick<SessionParts, 'files' | 'session' | 'adopted' | 'takesInput' | 'table' | 'detach'> {
    return {
      files,
      session,
      adopted: true,
      takesInput: existsSync(files.hold),
      table: this.#table,
      detach: () => undefined,
    };
  }

  /** A pid file is empty for an instant, unless its wrapper was killed right then: then it never ran its program. */
  async #pidOrNobody(path: string, session: string): Promise<PidRecord | 'void'> {
    for (;;) {
      const record = readPid(path);
      if (record !== undefined) return record;
      if ((await this.processesOf(session)).length === 0) return readPid(path) ?? 'void';
      await delay(10);
    }
  }
}

/** The host that runs agents as processes of this machine. */
export function processHost(options: ProcessHostOptions = {}): Host {
  return new ProcessHost(options.pollMs ?? 1000);
}
