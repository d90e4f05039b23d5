import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';

export interface ExecOptions {
  readonly cwd?: string;
  /** The whole environment of the child, nothing is added to it; left out, the child gets this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Left out, the child's stdin is /dev/null. */
  readonly input?: string;
  /** Milliseconds; the child and what it started are killed after that. Default: one minute. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  /** The exit code; 128 + n for signal n; 127 when the program was not found, 126 when it cannot be run. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A non-zero exit is a value, not an error. */
export type Exec = (file: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

/** More output than this ends the program: nobody reads that much, and memory is shared. */
const maxOutput = 256 * 1024 * 1024;

export const exec: Exec = (file, args, options = {}) =>
  new Promise((resolve) => {
    let child: ChildProcess;
    try {
      child = start(file, args, options);
    } catch (error) {
      // Arguments that are too long or hold a zero byte: thrown at once, unlike all other failures.
      resolve({ code: 126, stdout: '', stderr: reason(error) });
      return;
    }
    const stop = stopper(child);
    const stdout = collect(child.stdout, stop);
    const stderr = collect(child.stderr, stop);
    const timeout = options.timeout ?? 60_000;
    const timer = setTimeout(() => stop(`${file} was ended: it took longer than ${timeout} ms.`), timeout);
    const abort = (): void => stop(`${file} was ended: the caller gave up.`);
    options.signal?.addEventListener('abort', abort);
    if (options.signal?.aborted === true) abort();
    const finish = (code: number, note: string | undefined): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      const notes = [stderr(), stop.reason, note].filter((text) => text !== undefined && text !== '');
      resolve({ code, stdout: stdout(), stderr: notes.join('\n') });
    };
    child.once('error', (error) => finish(missing(error) ? 127 : 126, reason(error)));
    child.once('close', (code, signal) =>
      finish(code ?? 128 + (signal === null ? 0 : constants.signals[signal]), undefined),
    );
    // A program that ends without reading its input breaks the pipe; its exit code tells all there is to tell.
    child.stdin?.on('error', () => undefined).end(options.input);
  });

/** In a process group of its own, so that what the program starts can be ended with it. */
function start(file: string, args: readonly string[], options: ExecOptions): ChildProcess {
  return spawn(file, [...args], {
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
}

interface Stopper {
  (why: string): void;
  reason?: string;
}

/** Kills the child's process group and lets go of its pipes, which a process that left the group may still hold. */
function stopper(child: ChildProcess): Stopper {
  const stop: Stopper = (why) => {
    stop.reason ??= why;
    if (child.pid !== undefined) killGroup(child.pid);
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  return stop;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function collect(stream: Readable | null, stop: Stopper): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxOutput) stop(`It was ended: it wrote more than ${maxOutput / 1024 / 1024} MiB.`);
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function missing(error: Error): boolean {
  return 'code' in error && error.code === 'ENOENT';
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
