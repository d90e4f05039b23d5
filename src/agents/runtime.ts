/**
 * The port between MAOS and an agent program. A runtime is a translator: it says how to start its program and what
 * its output means. It starts nothing and watches nothing; a host does that, the same way for every runtime.
 */

/** What a runtime can do, as data. A capability that is missing is refused before the start, never half done. */
export interface Capabilities {
  /** Takes a prompt in plain language (otherwise: a command). */
  readonly prompt: boolean;
  /** Takes another message while it works. */
  readonly steer: boolean;
  readonly interrupt: boolean;
  /** Continues an earlier conversation by the provider's session id. */
  readonly resume: boolean;
  /** Reports tokens and money. */
  readonly usage: boolean;
  readonly structuredOutput: boolean;
  /** Can be handed a merge conflict to resolve. */
  readonly conflicts: boolean;
}

/** Tokens and money, cumulative for the session. `costUsd` is null when the program does not report a price. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costUsd: number | null;
}

/** All that a session can report. One union for every runtime. */
export type SessionEvent =
  | { readonly kind: 'started'; readonly providerSession: string | null; readonly model: string | null }
  | { readonly kind: 'output'; readonly text: string }
  | { readonly kind: 'tool'; readonly name: string; readonly summary: string }
  | { readonly kind: 'usage'; readonly usage: Usage }
  | { readonly kind: 'waiting'; readonly for: string }
  | { readonly kind: 'rate_limited'; readonly until: number | null }
  | {
      readonly kind: 'turn_ended';
      readonly result: string;
      readonly failed: boolean;
      readonly structured: unknown;
      /** It was interrupted and takes another message; otherwise it has nothing more to do. */
      readonly interrupted?: true;
    };

/** Stands before the tool calls of one session's program. */
export interface Gate {
  /** Started with an absolute path; what it finds in its environment does not matter to it. */
  readonly argv: readonly string[];
  /** How long it waits for an answer at most, in seconds. */
  readonly patience: number;
  /** Where a runtime may write what this session's program reads. */
  readonly folder: string;
}

/** What an agent is started with. */
export interface LaunchRequest {
  /** For runtimes with `capabilities.prompt`. */
  readonly prompt: string | null;
  /** For command-like runtimes: a shell line (`['sh','-c',line]` is made by the contract) or argv. */
  readonly argv: readonly string[] | null;
  readonly model: string | null;
  /** The provider's session id to continue, or null for a new conversation. */
  readonly resume: string | null;
  /** A fresh uuid that the runtime may hand to its program as the session id. */
  readonly sessionId: string;
  readonly maxBudgetUsd: number | null;
  /** JSON schema of the result, when structured output is wanted. */
  readonly resultSchema: unknown;
  /** Environment that the program will get: already complete; a runtime may add to it. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** For programs that ask before each tool call: the command that answers. Left out: nothing is asked. */
  readonly gate?: Gate;
  /** The runtime's own options from the plan or the agent's definition (permissions, tools); unknown ones are refused. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What the host starts. */
export interface Launch {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `none`: stdin is /dev/null. `pipe`: stdin is a FIFO in the session's folder that outlives the server. */
  readonly stdin: 'none' | 'pipe';
  /** Written to stdin right after the start. */
  readonly firstInput: string | null;
}

export type ExitStatus =
  | {
      readonly kind: 'exited';
      readonly code: number;
      /** How many of its processes were still at work when the program ended; the host has ended them. */
      readonly orphans?: number;
    }
  | { readonly kind: 'signalled'; readonly signal: string }
  /** The process is gone and left no status: machine reboot, or someone removed its folder. */
  | { readonly kind: 'lost' };

/** What a session amounts to. Exit 0 alone is never success: see rule 7 in ARCHITECTURE.md. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly result: string; readonly structured: unknown }
  | {
      readonly kind: 'failed';
      /**
       * `exit`, `no_result`, `hang`, `timeout`, `killed`, `lost`, `refused`, `rate_limited`, `auth`, `model_error`, `missing_program`,
       * `missing_variable`; `orphans` (it ended while its processes were still at work), `budget`, `interrupted`, `no_conversation` (nothing to
       * resume: start anew), `failed` (the agent itself says that it failed).
       */
      readonly reason: string;
      readonly message: string;
      /** Whether another attempt can help. */
      readonly retry: boolean;
      /** When it can help at the earliest (a rate limit's reset), in milliseconds, or null. */
      readonly retryAt: number | null;
    };

/** Reads the program's stdout. Stateful and incremental; feeding it the same bytes again from 0 gives the same events. */
export interface OutputReader {
  push(chunk: Buffer): SessionEvent[];
  /** Judges the end of the session from all that was read, the exit status and the tail of stderr. */
  finish(exit: ExitStatus, stderrTail: string): Outcome;
}

/** Whether the program is there and usable on this machine; `fix` says what to do if not. */
export interface Probe {
  readonly usable: boolean;
  readonly version: string | null;
  readonly fix: string | null;
}

/** What an agent of a runtime is set up with, as a plan or the roster says it. */
export interface Settings {
  readonly options: Readonly<Record<string, unknown>>;
  /** Further arguments for its program. */
  readonly args: readonly string[];
  /** The names of the variables that it sets. */
  readonly env?: readonly string[];
}

/** One thing in the settings that would be refused: where (`['options', 'hooks']`, `['args', 0]`, `['env', 'PATH']`), what is wrong, and what to do. */
export interface SettingProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** It is about the name of the field, not its value. */
  readonly onKey?: true;
}

export interface Runtime {
  readonly name: string;
  readonly summary: string;
  readonly capabilities: Capabilities;
  /** Finds, before anything is started, what `launch` or the program would refuse. Left out: it has no options and takes every argument. */
  check?(settings: Settings): readonly SettingProblem[];
  launch(request: LaunchRequest): Launch;
  /** `earlier`: what the sessions that this one continues have used, for a program that reports its whole conversation. */
  reader(earlier?: Usage | null): OutputReader;
  /** The bytes to write to stdin for a further message; only with `capabilities.steer`. */
  message(text: string): string;
  /** The bytes to write to stdin to interrupt the turn; null: the host sends SIGINT. */
  interrupt(): string | null;
  /** Milliseconds after `turn_ended` in which the program must exit by itself before the host ends it; null: the program stays for further messages. */
  readonly exitGraceMs: number;
  /** Variables of the server's environment that its program gets besides the basics: where its login or key is. */
  readonly inherits?: readonly string[];
  /** When a reported usage has its price: always (default), or only when a turn has ended. */
  readonly priced?: 'always' | 'turn_end';
  probe(env: Readonly<Record<string, string>>): Promise<Probe>;
}

/** Where a session's process runs and how it is found again after a crash of the server. */
export interface HostStart {
  /** The session's folder; the host makes it and keeps in it: stdin (FIFO), stdout, stderr, pid, exit. */
  readonly folder: string;
  /** Stands in the process environment as MAOS_SESSION, to find every process of its tree. */
  readonly session: string;
  readonly launch: Launch;
  readonly cwd: string;
}

/** A process that this server started or adopted. Its stdio is files, so it outlives the server. */
export interface HostProcess {
  readonly pid: number;
  /** The kernel's start time of that pid: pid and start time together are never reused. */
  readonly startTime: string;
  readonly adopted: boolean;
  /** Settles once, when the wrapper has ended and its tree is gone. */
  readonly exit: Promise<ExitStatus>;
  write(text: string): Promise<void>;
  /** Lets the program see the end of its stdin. */
  closeInput(): void;
  /** SIGINT to the whole group. */
  interrupt(): void;
  /** SIGSTOP and SIGCONT to the whole tree. */
  pause(): void;
  resume(): void;
  /** SIGTERM to the tree, SIGKILL after `graceMs`; resolves when no process of the tree remains. */
  stop(graceMs: number): Promise<void>;
  /** Calls `onChunk` for every byte of stdout from `offset` on, in order, as it is written; returns how to stop. After `exit` has settled the rest is delivered before `drained` resolves. */
  follow(
    offset: number,
    onChunk: (chunk: Buffer, endOffset: number) => void,
  ): { stop(): void; readonly drained: Promise<void> };
  /** The last bytes of stderr as text. */
  stderrTail(bytes: number): Promise<string>;
  /** Drops watchers and timers without touching the process: used when the server stops and the agent lives on. */
  release(): void;
}

export type Adoption =
  | { readonly kind: 'running'; readonly process: HostProcess }
  /** It ended while no server watched; `process.exit` is already settled. */
  | { readonly kind: 'ended'; readonly process: HostProcess }
  /** It was never started, and can no longer start: the host has fenced its folder. */
  | { readonly kind: 'never_started' };

export interface Host {
  readonly name: string;
  start(spec: HostStart): Promise<HostProcess>;
  /** Finds a session's process again by its folder. */
  adopt(folder: string, session: string): Promise<Adoption>;
  /** Every live process on this machine that carries `MAOS_SESSION=<session>`, except none. For doctor. */
  processesOf(session: string): Promise<number[]>;
}
