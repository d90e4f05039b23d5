import { spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../kernel/error.ts';
import type { Shell } from './command.ts';

/** A server that was started in the background. */
export interface Daemon {
  /** Where it writes what it has to say. */
  readonly log: string;
  /** How it ended, once it has. */
  ended(): string | undefined;
  /** What it has said since its start. */
  output(): string;
}

/** Starts this program again as a server that outlives this process: a session of its own, no terminal. */
export function startDaemon({ server, env }: Shell, args: readonly string[]): Daemon {
  const { home, program } = server;
  const [file, ...before] = program;
  if (file === undefined)
    throw new AppError('unavailable', 'It is not known how this program was started.', {
      fix: 'Use "maos up --foreground".',
    });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const log = join(home, 'server.log');
  const descriptor = openSync(log, 'a', 0o600);
  const start = fstatSync(descriptor).size;
  let end: string | undefined;
  const child = spawn(file, [...before, 'up', '--foreground', ...args], {
    cwd: home,
    detached: true,
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    stdio: ['ignore', descriptor, descriptor],
  });
  child.once('error', (error) => {
    end = error.message;
  });
  child.once('exit', (code, signal) => {
    end = signal ?? `exit ${code ?? 0}`;
  });
  child.unref();
  closeSync(descriptor);
  return { log, ended: () => end, output: () => readFileSync(log).subarray(start).toString() };
}
