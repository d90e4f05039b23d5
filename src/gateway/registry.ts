import { type Actor, actorName } from '../kernel/actor.ts';
import { type Caller, covers } from '../kernel/caller.ts';
import { AppError, type ErrorCode, errorFrom, invalid, notFound } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Call, Handler, Reader } from '../kernel/handler.ts';
import { canonicalJson, sha256 } from '../kernel/hash.ts';
import type { NewId } from '../kernel/id.ts';
import { nearest } from '../kernel/nearest.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import type { Decision } from '../policy/contract.ts';
import { refuseInput } from './refuse.ts';

/** A command on its way to the core. */
export interface CoreCall {
  readonly operation: string;
  readonly input: unknown;
  readonly actor: Actor;
  readonly call: string;
  readonly trace: string;
  readonly key?: string;
  readonly within?: KeyedAction;
}

/** The call of an action with a key, as the commands that it calls carry it along. */
interface KeyedAction {
  readonly key: string;
  readonly operation: string;
  readonly inputHash: string;
}

type CoreResult =
  | { readonly ok: true; readonly output: unknown; readonly position: number }
  | { readonly ok: false; readonly error: Parameters<typeof errorFrom>[0] };

export interface RegistryOptions {
  readonly handlers: readonly Handler[];
  readonly reader: Reader;
  readonly core: { submit(call: CoreCall): Promise<CoreResult> };
  readonly now: () => number;
  readonly newId: NewId;
  /** What belongs to which team; left out: everybody sees everything. */
  readonly boundary?: Boundary;
  /** What the rules say about a call: `block` refuses it, `ask` waits for `ask`. */
  readonly decide?: (caller: Caller, operation: Operation, input: unknown) => Decision;
  /** Resolves once somebody has approved the call; throws when it was denied, or has to be repeated later. */
  readonly ask?: (
    caller: Caller,
    operation: Operation,
    input: unknown,
    decision: Decision,
    key: string | undefined,
  ) => Promise<void>;
  /** Throws `exhausted` when a caller calls too often. */
  readonly limit?: (caller: Caller, operation: Operation) => void;
  /** Told of every call from outside when it is over. */
  readonly observe?: (call: ObservedCall) => void;
}

/** Keeps teams apart: the one place that every call and every record passes. */
export interface Boundary {
  /** Refuses an input that names what the caller may not see; what it names otherwise is made exact. */
  admit(caller: Caller, operation: Operation, input: unknown): unknown;
  /** An output without what the caller may not see. */
  show(caller: Caller, operation: Operation, output: unknown): unknown;
  /** Whether the caller may see a record. */
  sees(caller: Caller, record: LogRecord): boolean;
}

/** A call that is over, for audit and metrics. */
export interface ObservedCall {
  readonly caller: Caller;
  readonly operation: string;
  /** The cause in the records that a command wrote; null: it was refused before, or it is no command. */
  readonly call: string | null;
  readonly trace: string | null;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: 'ok' | ErrorCode | 'internal';
  readonly decision: Decision | null;
}

/** A key that comes from outside has no space in it; those that are made of it for the calls of an action have. */
const callersKey = /^[\x21-\x7e]{1,200}$/;

/** What comes with a call besides its input. */
export interface CallOptions {
  readonly caller: Caller;
  readonly key?: string;
  readonly trace?: string;
  readonly signal?: AbortSignal;
  /** An action calls on behalf of its caller, so it may use what is internal. */
  readonly nested?: true;
  /** The outermost action with a key on whose behalf this is called. */
  readonly within?: KeyedAction;
}

/** What a call from outside has to pass once its input is parsed, and the id that it goes by. */
interface Admission {
  readonly allow: (input: unknown) => Promise<void> | undefined;
  readonly call: string | null;
}

/**
 * The only caller of operations: whoever calls, through whichever door, the same steps happen in the same order:
 * scope, team, parse, policy, rate, decide or query, check of the output. What an action calls on behalf of its caller was
 * decided with the action.
 */
export class Registry {
  readonly operations: readonly Operation[];
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #options: RegistryOptions;
  readonly #never = new AbortController().signal;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.operations = options.handlers.map((handler) => handler.operation);
    this.#handlers = new Map(options.handlers.map((handler) => [handler.operation.name, handler]));
    if (this.#handlers.size !== options.handlers.length) throw new Error('An operation has two handlers.');
  }

  /** Calls an operation by name with an input that nobody has checked yet. */
  async call(name: string, input: unknown, options: CallOptions): Promise<unknown> {
    const handler = this.#handlers.get(name);
    if (handler === undefined) throw this.#unknown(name);
    if (options.nested !== true) return this.#admit(handler, input, options);
    const { boundary } = this.#options;
    const inside = boundary === undefined ? input : boundary.admit(options.caller, handler.operation, input);
    return this.#carryOut(handler, inside, options);
  }

  /** A typed `call` for one caller: what reactors, actions and the embedding program use. */
  as(caller: Caller, trace?: string): Call {
    return this.#calls({ caller, ...(trace === undefined ? {} : { trace }) });
  }

  /** A call from outside: may it be, and what came of it. */
  async #admit(handler: Handler, input: unknown, given: CallOptions): Promise<unknown> {
    const { observe, boundary, now, newId } = this.#options;
    const { operation } = handler;
    const { caller } = given;
    const startedAt = now();
    const call = handler.kind === 'command' ? newId('call') : null;
    const passed: { decision: Decision | null } = { decision: null };
    const observed = (outcome: ObservedCall['outcome']): void =>
      observe?.({
        caller,
        operation: operation.name,
        call,
        trace: given.trace ?? null,
        startedAt,
        endedAt: now(),
        outcome,
        ...passed,
      });
    try {
      refuseCaller(caller, operation);
      refuseKey(given.key, operation);
      const inside = boundary === undefined ? input : boundary.admit(caller, operation, input);
      const allow = (parsed: unknown): Promise<void> | undefined => this.#allow(given, operation, parsed, passed);
      const output = await this.#carryOut(handler, inside, given, { allow, call });
      observed('ok');
      return boundary === undefined ? output : boundary.show(caller, operation, output);
    } catch (error) {
      observed(error instanceof AppError ? error.code : 'internal');
      throw error;
    }
  }

  /** Policy, then rate. */
  #allow(
    { caller, key }: CallOptions,
    operation: Operation,
    input: unknown,
    passed: { decision: Decision | null },
  ): Promise<void> | undefined {
    const { decide, ask, limit } = this.#options;
    const decision = (passed.decision = decide?.(caller, operation, input) ?? null);
    if (decision?.effect === 'block' || (decision?.effect === 'ask' && ask === undefined)) {
      throw new AppError('forbidden', `A rule does not allow ${operation.name}: ${decision.reason}`, {
        fix: 'Ask a person who may change the rules.',
        details: { rule: decision.rule, risk: decision.risk },
      });
    }
    limit?.(caller, operation);
    return decision?.effect === 'ask' ? ask?.(caller, operation, input, decision, key) : undefined;
  }

  async #carryOut(handler: Handler, input: unknown, options: CallOptions, door?: Admission): Promise<unknown> {
    const { operation } = handler;
    const parsed = operation.input.safeParse(input ?? {});
    if (!parsed.success) throw refuseInput(operation.name, parsed.error, operation.input);
    const waits = door?.allow(parsed.data);
    if (waits !== undefined) await waits;
    const output = await this.#dispatch(handler, parsed.data, options, door?.call ?? null);
    const checked = operation.output.safeParse(output);
    if (checked.success) return checked.data;
    throw new Error(`${operation.name} gave an output that its contract does not allow: ${checked.error.message}`);
  }

  /** With a key, each call is repeatable by its place among those of its operation: an action that is repeated writes nothing twice. */
  #calls({ key, ...options }: CallOptions): Call {
    const counts = new Map<string, number>();
    return async <Op extends Operation>(operation: Op, input: InputOf<Op>): Promise<OutputOf<Op>> => {
      const count = (counts.get(operation.name) ?? 0) + 1;
      counts.set(operation.name, count);
      const repeatable = key === undefined ? {} : { key: `${key} ${operation.name} ${count}` };
      const output = await this.call(operation.name, input, { ...options, ...repeatable });
      // `call` has just parsed the output with this operation's schema.
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return output as OutputOf<Op>;
    };
  }

  async #dispatch(handler: Handler, input: unknown, options: CallOptions, call: string | null): Promise<unknown> {
    const { caller } = options;
    if (handler.kind === 'command') return this.#command(handler, input, options, call);
    const context = { db: this.#options.reader, now: this.#options.now(), actor: caller.actor };
    // `query` and `action` paired these functions with the schema that has just parsed the input.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    if (handler.kind === 'query') return handler.run(context, input as never);
    const { key, ...rest } = options;
    const { name, effect } = handler.operation;
    const keyed = key === undefined ? undefined : { key, operation: name, inputHash: sha256(canonicalJson(input)) };
    const within = options.within ?? keyed;
    const signal = options.signal ?? this.#never;
    const unkeyed = { ...rest, signal, nested: true, ...(within === undefined ? {} : { within }) } as const;
    // What destroys asks first what is still there, so it is repeatable without keys for each of its calls.
    const calls = this.#calls(key === undefined || effect !== 'write' ? unkeyed : { ...unkeyed, key });
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return handler.run({ ...context, caller, call: calls, signal }, input as never);
  }

  async #command(handler: Handler, input: unknown, options: CallOptions, given: string | null): Promise<unknown> {
    const call = given ?? this.#options.newId('call');
    const result = await this.#options.core.submit({
      operation: handler.operation.name,
      input,
      actor: options.caller.actor,
      call,
      trace: options.trace ?? call,
      ...(options.key === undefined ? {} : { key: options.key }),
      ...(options.within === undefined ? {} : { within: options.within }),
    });
    if (result.ok) return result.output;
    throw errorFrom(result.error);
  }

  #unknown(name: string): AppError {
    const guess = nearest(name, [...this.#handlers.keys()]);
    return notFound(
      'operation',
      name,
      guess === undefined ? 'maos --help lists the operations.' : `Did you mean "${guess}"?`,
    );
  }
}

/** Internal operations are for MAOS itself; all others for whoever has their scope, and open ones for everybody. */
function refuseCaller({ actor, scopes, credential }: Caller, { name, scope, internal, open }: Operation): void {
  if (internal === true && actor.kind !== 'system') {
    throw new AppError('forbidden', `${name} is a report of MAOS itself; ${actorName(actor)} may not make it.`, {
      fix: 'Use an operation that maos --help lists.',
    });
  }
  if (open === true || covers(scopes, scope)) return;
  throw new AppError('forbidden', `${actorName(actor)} may not use ${name}: it takes the scope ${scope}.`, {
    fix:
      credential === null
        ? 'Ask a person to do it.'
        : 'Use a credential whose role or scopes include it (docs/permissions.md), or ask a person to do it.',
  });
}

function refuseKey(key: string | undefined, { name, secrets }: Operation): void {
  if (key === undefined) return;
  if (!callersKey.test(key))
    throw invalid('The idempotency key is not 1 to 200 visible ASCII characters.', {
      fix: 'Use an id such as a UUID.',
    });
  if (secrets !== undefined)
    throw invalid(`${name} takes no idempotency key: what belongs to a key is kept, and this handles a secret.`, {
      fix: 'Leave the key out.',
    });
}
