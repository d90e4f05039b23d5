import { execFile } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';

/** One process as the kernel shows it. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Start time and boot: with the pid it names one process for ever. */
  readonly startTime: string;
  /** Comparable start time on this boot; 0 where the kernel does not tell. */
  readonly ticks: number;
}

const linux = existsSync('/proc/self/stat');
let bootId: string | undefined;

function currentBoot(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return bootId;
}

const scratch = Buffer.allocUnsafe(256 * 1024);

/** Reads a file of /proc into the scratch buffer; undefined when the process is gone or not ours to read. */
function readProc(path: string): Buffer | undefined {
  try {
    const fd = openSync(path, 'r');
    try {
      let length = 0;
      for (;;) {
        const count = readSync(fd, scratch, length, scratch.length - length, null);
        length += count;
        if (count === 0 || length === scratch.length) return scratch.subarray(0, length);
      }
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function parseStat(pid: number, text: string): ProcessRow | undefined {
  // The name in parentheses may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent, group, session] = fields;
  // A zombie has ended; only its parent has not looked yet (in a container that may be never).
  if (state === undefined || state === 'Z' || state === 'X') return undefined;
  const ticks = fields[19] ?? '';
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    ticks: Number(ticks),
    startTime: `${ticks}@${currentBoot()}`,
  };
}

function readLinux(pid: number): ProcessRow | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseStat(pid, stat.toString('latin1'));
}

const run = promisify(execFile);

/** For systems without /proc. Environments are not visible there, so a process that left its session is not found. */
async function listByPs(): Promise<ProcessRow[]> {
  const { stdout } = await run('ps', ['-axo', 'pid=,ppid=,pgid=,sess=,stat=,lstart='], {
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, session, state, ...start] = line.trim().split(/\s+/);
    if (state === undefined || state.startsWith('Z')) return [];
    const row = { pid: Number(pid), parent: Number(parent), group: Number(group), session: Number(session) };
    return [{ ...row, ticks: 0, startTime: start.join(' ') }];
  });
}

/** The process with this pid, if it is alive. */
export async function findProcess(pid: number): Promise<ProcessRow | undefined> {
  if (linux) return readLinux(pid);
  return (await listByPs()).find((row) => row.pid === pid);
}

const key = Buffer.from('MAOS_SESSION=');

/** The value of MAOS_SESSION in the environment that the process was started with. */
function sessionOf(pid: number): string | undefined {
  const environ = readProc(`/proc/${pid}/environ`);
  if (environ === undefined) return undefined;
  for (let at = environ.indexOf(key); at !== -1; at = environ.indexOf(key, at + 1)) {
    if (at > 0 && environ[at - 1] !== 0) continue;
    const end = environ.indexOf(0, at);
    return environ.toString('utf8', at + key.length, end === -1 ? environ.length : end);
  }
  return undefined;
}

/** A live process and the MAOS session that its environment names. */
export interface ScannedProcess extends ProcessRow {
  readonly maosSession: string | undefined;
}

/** Walks /proc in slices of a few milliseconds, so that the event loop is never held for long. */
async function scanLinux(since: number): Promise<ScannedProcess[]> {
  const found: ScannedProcess[] = [];
  let sliceEnd = performance.now() + 4;
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const row = readLinux(pid);
    if (row !== undefined && row.ticks >= since) found.push({ ...row, maosSession: sessionOf(pid) });
    if (performance.now() < sliceEnd) continue;
    await new Promise((resolve) => setImmediate(resolve));
    sliceEnd = performance.now() + 4;
  }
  return found;
}

/**
 * Shared walks over the process table: those who ask while a walk is under way share the next one, so that a hundred
 * agents ending together cost two walks, not a hundred.
 */
export class ProcessTable {
  #queued: Promise<ScannedProcess[]> | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #since = Infinity;

  /** All live processes that started at `since` (in ticks) or later. Begins after the call. */
  scan(since: number): Promise<ScannedProcess[]> {
    this.#since = Math.min(this.#since, since);
    this.#queued ??= this.#next();
    return this.#queued;
  }

  async #next(): Promise<ScannedProcess[]> {
    await this.#running;
    const since = this.#since;
    this.#queued = undefined;
    this.#since = Infinity;
    const walk = linux
      ? scanLinux(since)
      : listByPs().then((rows) => rows.map((row) => ({ ...row, maosSession: undefined })));
    this.#running = walk.catch(() => undefined);
    return walk;
  }
}
