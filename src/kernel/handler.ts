import type { Actor } from './actor.ts';
import type { Caller } from './caller.ts';
import type { EventDefinition, LogRecord } from './event.ts';
import type { NewId } from './id.ts';
import type { InputOf, Operation, OutputOf, ParsedOf } from './operation.ts';

/** A value that SQLite stores. */
export type SqlValue = string | number | bigint | null | Uint8Array;

/** Reads the views. `Row` is the shape that the statement selects; the SQL and its row type stand side by side. */
export interface Reader {
  get<Row extends object>(sql: string, ...values: SqlValue[]): Row | undefined;
  all<Row extends object>(sql: string, ...values: SqlValue[]): Row[];
}

/** Writes the views; only `apply` functions get one. */
export interface Writer extends Reader {
  run(sql: string, ...values: SqlValue[]): void;
}

/**
 * What a command may use. A command is synchronous: nothing interleaves with it. It reads the views, emits events
 * (each is applied to the views at once), and returns its output. If it throws, nothing of it remains.
 */
export interface CommandContext {
  readonly db: Reader;
  readonly now: number;
  readonly actor: Actor;
  readonly newId: NewId;
  emit<Data>(definition: EventDefinition<Data>, stream: string, data: Data): void;
  /** Runs another room's command or query inside this one's transaction. */
  call<Op extends Operation>(operation: Op, input: InputOf<Op>): OutputOf<Op>;
}

/** What a query may use. Queries run beside the writer and see the last commit. */
export interface QueryContext {
  readonly db: Reader;
  readonly now: number;
  readonly actor: Actor;
}

/** Calls an operation as whoever the caller was made for; refusals are thrown as `AppError`. */
export type Call = <Op extends Operation>(operation: Op, input: InputOf<Op>) => Promise<OutputOf<Op>>;

/** What an action may use: it acts on the world (git, files, processes) and reports through commands. */
export interface ActionContext extends QueryContext {
  /** The actor with what it may do. */
  readonly caller: Caller;
  readonly call: Call;
  readonly signal: AbortSignal;
}

/** An operation with the function that carries it out; made by `command`, `query` or `action`. */
export type Handler =
  | {
      readonly kind: 'command';
      readonly operation: Operation;
      readonly run: (ctx: CommandContext, input: never) => unknown;
    }
  | {
      readonly kind: 'query';
      readonly operation: Operation;
      readonly run: (ctx: QueryContext, input: never) => unknown;
    }
  | {
      readonly kind: 'action';
      readonly operation: Operation;
      readonly run: (ctx: ActionContext, input: never) => unknown;
    };

/** Synchronous, in the core thread: decides and emits events. */
export function command<Op extends Operation>(
  operation: Op,
  run: (ctx: CommandContext, input: ParsedOf<Op>) => OutputOf<Op>,
): Handler {
  return { kind: 'command', operation, run };
}

/** Reads the views through a connection of its own. */
export function query<Op extends Operation>(
  operation: Op,
  run: (ctx: QueryContext, input: ParsedOf<Op>) => OutputOf<Op>,
): Handler {
  return { kind: 'query', operation, run };
}

/** Acts on the world, in the main thread; never writes but through commands. */
export function action<Op extends Operation>(
  operation: Op,
  run: (ctx: ActionContext, input: ParsedOf<Op>) => Promise<OutputOf<Op>>,
): Handler {
  return { kind: 'action', operation, run };
}

/** Applies one kind of event to a room's tables. Made by `on`. */
export interface Apply {
  readonly type: string;
  readonly run: (db: Writer, record: LogRecord<never>) => void;
}

export function on<Data>(definition: EventDefinition<Data>, run: (db: Writer, record: LogRecord<Data>) => void): Apply {
  return { type: definition.type, run };
}

/** A room's tables and how events fill them. When SQL or an `apply` changes, the tables are rebuilt from the log. */
export interface View {
  /** The room's name; every table's name begins with it or is listed in `tables`. */
  readonly name: string;
  readonly tables: readonly string[];
  /** `CREATE TABLE …; CREATE INDEX …;` */
  readonly schema: string;
  readonly applies: readonly Apply[];
  /** Raised by hand when a helper that `apply` calls has changed. */
  readonly version?: number;
}

/**
 * Does something in the world when an event has been committed. At least once: after a crash the event comes
 * again, so `react` asks "is it already so?" first. Events of one stream come in order, streams run side by side.
 */
export interface Reactor {
  readonly name: string;
  readonly types: readonly string[];
  react(record: LogRecord): Promise<void>;
}
