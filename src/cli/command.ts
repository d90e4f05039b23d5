import type { Clock } from '../kernel/clock.ts';
import type { Args, Grammar, ReadFile } from './argv.ts';
import type { Connect, Connection, ServerPort } from './connection.ts';
import type { Terminal } from './terminal.ts';

/** What a command may use. */
export interface Shell {
  readonly out: Terminal;
  readonly err: Terminal;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly clock: Clock;
  readonly server: ServerPort;
  readonly connect: Connect;
  readonly readFile: ReadFile;
  /** Asks for something that is not shown while it is typed; undefined: nobody can be asked. */
  readonly ask?: (question: string) => Promise<string | undefined>;
  /** Calls the listener on Ctrl-C instead of ending the process, until what it returns is called. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/** A command that is written by hand: a short verb over operations. */
export interface Command {
  readonly grammar: Grammar;
  readonly detail?: string;
  readonly examples?: readonly string[];
  /** Returns the exit code. */
  readonly run: (shell: Shell, args: Args) => Promise<number>;
}

/** Exit codes, the same for every command. */
export const exits = {
  ok: 0,
  failed: 1,
  usage: 2,
  waiting: 3,
  notFound: 4,
  refused: 5,
  unavailable: 6,
  interrupted: 130,
  /** Nobody reads the output any more (`maos events | head`). */
  unread: 141,
} as const;

/** Runs something with a connection and closes it, whatever happens. */
export async function connected<Result>(
  shell: Shell,
  options: { readonly acts: boolean },
  use: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await shell.connect(options);
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** Prints a value as JSON, for programs. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.write(`${JSON.stringify(value, undefined, terminal.interactive ? 2 : 0)}\n`);
}

/** Waits. The process stays alive meanwhile because `runCli` keeps it so. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    signal?.addEventListener(
      'abort',
      () => {
        cancel();
        resolve();
      },
      { once: true },
    );
  });
}
