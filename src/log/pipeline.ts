/**
 * The only writer. Owns the log's write connection and the views.
 *
 * P1  Commands run one at a time and never wait, so nothing interleaves with them.
 * P2  A command that throws leaves nothing: its events and its view changes are one savepoint. The same holds for a
 *     command that it calls, also when it catches the refusal and goes on.
 * P3  Commands that are submitted together share one transaction and one fsync; no caller is answered before the commit.
 * P4  If the commit fails (a full disk), every command of the batch is refused and memory goes back to what the file says.
 * P5  A view is given the data as it is stored, so a rebuild computes the same rows.
 */
import * as z from 'zod';
import type { Actor } from '../kernel/actor.ts';
import { actorName } from '../kernel/actor.ts';
import { conflict, errorData, type ErrorData } from '../kernel/error.ts';
import type { EventDefinition } from '../kernel/event.ts';
import type { CommandContext, Handler } from '../kernel/handler.ts';
import type { NewId } from '../kernel/id.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import { writeFault } from './fault.ts';
import { callKept, inputHash, keptCall, type KeyedAction, keyStream } from './idempotency.ts';
import type { Head } from './port.ts';
import { chain } from './record.ts';
import type { SqliteLog } from './sqlite.ts';
import type { Views } from './views.ts';

/** A call of a command, as it comes from a door: plain data, its input already parsed. */
export interface CommandCall {
  readonly operation: string;
  readonly input: unknown;
  readonly actor: Actor;
  /** The id of this call (`call_…`), the cause of its events. */
  readonly call: string;
  readonly trace: string;
  /** Makes the call repeatable: the same key by the same actor is carried out once. */
  readonly key?: string;
  /**
   * The keyed action on whose behalf this is called. Then `key` names the place of this call in the action: what was done there
   * before is the answer, also when the world has changed since and the action now asks for something else.
   */
  readonly within?: KeyedAction;
}

export type CommandResult =
  | { readonly ok: true; readonly output: unknown; readonly position: number }
  | { readonly ok: false; readonly error: ErrorData };

export interface PipelineOptions {
  readonly log: SqliteLog;
  readonly views: Views;
  readonly handlers: readonly Handler[];
  readonly now: () => number;
  readonly newId: NewId;
  /** Runs before each commit; the tests and the bench use it to act as a slow or a failing disk. */
  readonly beforeCommit?: () => void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #handlers: ReadonlyMap<string, Handler>;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#handlers = new Map(options.handlers.map((handler) => [handler.operation.name, handler]));
  }

  /** Carries out calls in order, in one transaction. Never throws. */
  submit(calls: readonly CommandCall[]): CommandResult[] {
    const { log, beforeCommit } = this.#options;
    if (calls.length === 0) return [];
    const before = log.head();
    try {
      const results = this.#batch(calls, false) ?? this.#batch(calls, true) ?? [];
      const moved = log.head().position > before.position;
      if (moved) beforeCommit?.();
      log.database.run('COMMIT');
      if (moved) log.committed();
      return results;
    } catch (error) {
      log.rollBack(before);
      const refused = errorData(writeFault(error) ?? error);
      return calls.map(() => ({ ok: false, error: refused }));
    }
  }

  /**
   * Begins a transaction and carries out the calls. Savepoints are a tenth of a batch's time, and only a command that fails after it
   * has emitted needs one: without them, such a command takes back the whole batch, and undefined is returned.
   */
  #batch(calls: readonly CommandCall[], savepoints: boolean): CommandResult[] | undefined {
    const { log } = this.#options;
    const before = log.head();
    log.begin();
    const results: CommandResult[] = [];
    for (const call of calls) {
      const run = new CommandRun(this.#options, this.#handlers, call, savepoints);
      results.push(this.#one(run));
      if (!run.torn) continue;
      log.rollBack(before);
      return undefined;
    }
    return results;
  }

  /** Makes all views again from the log, for `maos admin rebuild`; returns their names. */
  rebuild(): string[] {
    return this.#options.views.prepare(this.#options.log.database, { force: true });
  }

  /** A refusal is a value; a failure of the storage is thrown, because it concerns the whole batch. */
  #one(run: CommandRun): CommandResult {
    const { log } = this.#options;
    try {
      const output = run.start();
      return { ok: true, output, position: log.head().position };
    } catch (error) {
      if (!log.database.inTransaction || writeFault(error) !== undefined) throw error;
      return { ok: false, error: errorData(error) };
    }
  }
}

/** One operation on a command's stack of calls. */
interface Frame {
  /** Where the log stood when the operation, or one that it calls, first emitted. */
  emitted: Head | undefined;
  /** Why an emit failed half-way. The operation cannot go on then, even if it caught the error. */
  broken: { readonly error: unknown } | undefined;
}

/** One command on its way: its context and its savepoints. */
class CommandRun implements CommandContext {
  readonly db;
  readonly now: number;
  readonly actor: Actor;
  readonly newId: NewId;
  readonly #options: PipelineOptions;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #call: CommandCall;
  readonly #actorName: string;
  readonly #frames: Frame[] = [];
  readonly #savepoints: boolean;
  /** Something that was emitted had to be taken back, and there was no savepoint for it. */
  torn = false;

  constructor(
    options: PipelineOptions,
    handlers: ReadonlyMap<string, Handler>,
    call: CommandCall,
    savepoints: boolean,
  ) {
    this.#savepoints = savepoints;
    this.#options = options;
    this.#handlers = handlers;
    this.#call = call;
    this.db = options.log.database;
    this.now = options.now();
    this.actor = call.actor;
    this.newId = options.newId;
    this.#actorName = actorName(call.actor);
  }

  emit<Data>(definition: EventDefinition<Data>, stream: string, data: Data): void {
    const { log, views } = this.#options;
    const { type, version } = definition;
    const { call, operation, trace } = this.#call;
    const top = this.#frames.at(-1);
    if (top === undefined)
      throw new Error(
        `${this.#call.operation} emitted ${type} after it had ended: a command must not wait for anything.`,
      );
    const text = JSON.stringify(data);
    this.#save();
    const head = log.head();
    const record = chain(head, {
      at: this.now,
      actor: this.#actorName,
      stream,
      type,
      version,
      data: log.database.payloads.close({ position: head.position + 1, stream, type }, text),
      cause: `${operation} ${call}`,
      trace,
    });
    try {
      log.append(head.position, [record]);
      views.apply(log.database, record);
    } catch (error) {
      top.broken ??= { error };
      throw error;
    }
  }

  call<Op extends Operation>(operation: Op, input: InputOf<Op>): OutputOf<Op> {
    const parsed = operation.input.safeParse(input);
    if (!parsed.success)
      throw new Error(
        `${this.#call.operation} called ${operation.name} with a wrong input: ${z.prettifyError(parsed.error)}`,
      );
    // The handler was made for this operation by `command` or `query`, which type its output.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return this.#framed(() => this.#run(operation.name, parsed.data)) as OutputOf<Op>;
  }

  start(): unknown {
    const { operation, input, key, within } = this.#call;
    return this.#framed(() => {
      if (within !== undefined) this.#tie(within);
      return key === undefined ? this.#run(operation, input) : this.#runOnce(operation, input, key);
    });
  }

  /** The first command of a keyed action ties the key to the action's input; the same key for another call is refused. */
  #tie({ key, operation, inputHash: hash }: KeyedAction): void {
    const stream = keyStream(this.#actorName, key);
    const kept = keptCall(this.db, stream);
    if (kept === undefined) this.emit(callKept, stream, { key, operation, inputHash: hash, output: undefined });
    else if (kept.operation !== operation || kept.input_hash !== hash) throw usedKey(key, kept.operation);
  }

  /** A key that was seen before gives the kept output. */
  #runOnce(operation: string, input: unknown, key: string): unknown {
    const stream = keyStream(this.#actorName, key);
    const hash = inputHash(input);
    const kept = keptCall(this.db, stream);
    if (kept === undefined) {
      const output = this.#run(operation, input);
      this.emit(callKept, stream, { key, operation, inputHash: hash, output });
      return output;
    }
    const same = kept.operation === operation && (this.#call.within !== undefined || kept.input_hash === hash);
    if (!same) throw usedKey(key, kept.operation);
    return kept.output === null ? undefined : JSON.parse(kept.output);
  }

  #run(name: string, input: unknown): unknown {
    const handler = this.#handlers.get(name);
    if (handler === undefined || handler.kind === 'action') {
      throw new Error(`${name} is not a command: it cannot run inside the core.`);
    }
    // `command` and `query` paired this function with the schema that has just parsed the input.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    const output = handler.run(this, input as never);
    if (output instanceof Promise) throw new Error(`${name} is asynchronous: a command must not wait for anything.`);
    return output;
  }

  /** Runs an operation so that all of it remains, or nothing. */
  #framed(body: () => unknown): unknown {
    const frame: Frame = { emitted: undefined, broken: undefined };
    this.#frames.push(frame);
    try {
      const output = body();
      if (frame.broken !== undefined) throw frame.broken.error;
      if (frame.emitted !== undefined && this.#savepoints) this.#options.log.database.run('RELEASE command');
      return output;
    } catch (error) {
      this.#undo(frame);
      throw error;
    } finally {
      this.#frames.pop();
    }
  }

  /** Notes for every operation under way, the outermost first, where it began to emit. */
  #save(): void {
    const { log } = this.#options;
    for (const frame of this.#frames) {
      if (frame.emitted !== undefined) continue;
      if (this.#savepoints) log.database.run('SAVEPOINT command');
      frame.emitted = log.head();
    }
  }

  #undo(frame: Frame): void {
    const { log } = this.#options;
    // A full disk may have ended the whole transaction, and the savepoints with it.
    if (frame.emitted === undefined || !log.database.inTransaction) return;
    this.torn ||= !this.#savepoints;
    if (this.torn) return;
    log.database.run('ROLLBACK TO command');
    log.database.run('RELEASE command');
    log.rolledBack(frame.emitted);
  }
}

function usedKey(key: string, operation: string): Error {
  return conflict(`The idempotency key "${key}" was used for another call (${operation}).`, {
    fix: 'Use a new key for a new call; repeat a call with exactly the same input.',
  });
}
