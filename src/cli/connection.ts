import type { LogRecord } from '../kernel/event.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import type { Trust } from '../kernel/trust.ts';

/** Which records a follower wants; `task.*` stands for all types that begin so. */
export interface Wanted {
  readonly streams?: readonly string[];
  readonly types?: readonly string[];
}

/** A way to call operations: a server's door, or a server inside this process. */
export interface Connection {
  call<Op extends Operation>(
    operation: Op,
    input: InputOf<Op>,
    extras?: { readonly key?: string },
  ): Promise<OutputOf<Op>>;
  /** Every record after a position, in order, until the signal is aborted. */
  follow(after: number, wanted: Wanted, signal: AbortSignal): AsyncIterable<LogRecord>;
  /** Whether the server is a part of this process and ends with it. */
  readonly embedded: boolean;
  /** Stops politely: an embedded server leaves its agents where the next one can adopt them. */
  close(): Promise<void>;
}

/**
 * Finds the server that runs, or starts one inside this process. With `acts` that one also carries work on (reactors,
 * agents); without, it only answers.
 */
export type Connect = (options: { readonly acts: boolean }) => Promise<Connection>;

/** A server in a process of its own. */
export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  /** For `https`: the certificate that it has to show, or that has signed it. */
  readonly trust?: Trust;
}

/** What the shell can do with the server of its data folder, beside calling operations. */
export interface ServerPort {
  /** The data folder. */
  readonly home: string;
  /** How this program is started: Node's path, its arguments and `bin/maos.js`. */
  readonly program: readonly string[];
  /** The token of this data folder, which its owner can read. */
  token(): Promise<string>;
  /** The server that answers on this data folder. */
  running(): Promise<RunningServer | undefined>;
  /** Serves in this process; `ready` is called once it answers. Resolves after it was stopped (a signal). */
  serve(options: { readonly port?: number; readonly ready: (server: RunningServer) => void }): Promise<void>;
  /** Replaces the data with a snapshot; refused while a server runs. Returns where the old data was put. */
  restore(snapshot: string): Promise<{ readonly kept: string | null }>;
}
