import { type Actor, actorName } from '../kernel/actor.ts';
import { AppError, errorFrom, notFound } from '../kernel/error.ts';
import type { Call, Handler, Reader } from '../kernel/handler.ts';
import type { NewId } from '../kernel/id.ts';
import { nearest } from '../kernel/nearest.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import { refuseInput } from './refuse.ts';

/** A command on its way to the core. */
export interface CoreCall {
  readonly operation: string;
  readonly input: unknown;
  readonly actor: Actor;
  readonly call: string;
  readonly trace: string;
  readonly key?: string;
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
  /** Whether this actor may use a scope; throws `forbidden` or `unauthenticated` when not. */
  readonly authorise: (actor: Actor, scope: string) => void;
}

/** What comes with a call besides its input. */
export interface CallOptions {
  readonly actor: Actor;
  readonly key?: string;
  readonly trace?: string;
  readonly signal?: AbortSignal;
  /** An action calls on behalf of its caller, so it may use what is internal. */
  readonly nested?: true;
}

/**
 * The only caller of operations: whoever calls, through whichever door, the same steps happen in the same order:
 * scope, parse, decide or query, check of the output.
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
    const { operation } = handler;
    if (operation.internal === true && options.actor.kind !== 'system' && options.nested !== true) {
      throw new AppError(
        'forbidden',
        `${name} is a report of MAOS itself; ${actorName(options.actor)} may not make it.`,
        {
          fix: 'Use an operation that maos --help lists.',
        },
      );
    }
    this.#options.authorise(options.actor, operation.scope);
    const parsed = operation.input.safeParse(input ?? {});
    if (!parsed.success) throw refuseInput(name, parsed.error, operation.input);
    const output = await this.#dispatch(handler, parsed.data, options);
    const checked = operation.output.safeParse(output);
    if (checked.success) return checked.data;
    throw new Error(`${name} gave an output that its contract does not allow: ${checked.error.message}`);
  }

  /** A typed `call` for one actor: what reactors, actions and the embedding program use. */
  as(actor: Actor, trace?: string): Call {
    return this.#calls({ actor, ...(trace === undefined ? {} : { trace }) });
  }

  /** With a key, each call is repeatable by its place among those of its operation: an action that is repeated writes nothing twice. */
  #calls({ key, ...options }: CallOptions): Call {
    const counts = new Map<string, number>();
    return async <Op extends Operation>(operation: Op, input: InputOf<Op>): Promise<OutputOf<Op>> => {
      const count = (counts.get(operation.name) ?? 0) + 1;
      counts.set(operation.name, count);
      const repeatable = key === undefined ? {} : { key: `${key}/${operation.name}/${count}` };
      const output = await this.call(operation.name, input, { ...options, ...repeatable });
      // `call` has just parsed the output with this operation's schema.
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return output as OutputOf<Op>;
    };
  }

  async #dispatch(handler: Handler, input: unknown, options: CallOptions): Promise<unknown> {
    const { actor } = options;
    if (handler.kind === 'command') return this.#command(handler, input, options);
    const context = { db: this.#options.reader, now: this.#options.now(), actor };
    // `query` and `action` paired these functions with the schema that has just parsed the input.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    if (handler.kind === 'query') return handler.run(context, input as never);
    // What destroys asks first what is still there, so it is repeatable without a key.
    const { key, ...rest } = options;
    const unkeyed = { ...rest, nested: true } as const;
    const call = this.#calls(key === undefined || handler.operation.effect !== 'write' ? unkeyed : { ...unkeyed, key });
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return handler.run({ ...context, call, signal: options.signal ?? this.#never }, input as never);
  }

  async #command(handler: Handler, input: unknown, options: CallOptions): Promise<unknown> {
    const call = this.#options.newId('call');
    const result = await this.#options.core.submit({
      operation: handler.operation.name,
      input,
      actor: options.actor,
      call,
      trace: options.trace ?? call,
      ...(options.key === undefined ? {} : { key: options.key }),
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

/** Allows everything to people and to the product itself; agents get tokens with scopes of their own later. */
export function localAuthorise(actor: Actor, scope: string): void {
  if (actor.kind !== 'agent') return;
  throw new AppError('forbidden', `${actorName(actor)} may not use ${scope}.`, { fix: 'Ask a person to do it.' });
}
