/** The typed client of a MAOS server: `import { createClient } from 'maos/client'`. */
import { systemClock, type Clock } from '../kernel/clock.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import type { Trust } from '../kernel/trust.ts';
import { followLog, type FollowOptions } from './resume.ts';
import { fetchTransport, nodeTransport } from './transport.ts';
import { parsed, refusal, requestOf, type CallExtras } from './wire.ts';

/** Operations by their names: `{ 'task.create': createTask, … }`. */
type OperationMap = Readonly<Record<`${string}.${string}`, Operation>>;

export interface ClientOptions<Operations extends OperationMap = Record<never, never>> {
  /** `http://127.0.0.1:4711` */
  readonly url: string;
  readonly token: string;
  /** For `https` to a server with a certificate of its own: its authority is `tls/ca.pem` in MAOS_HOME. */
  readonly trust?: Trust;
  /** Used instead of node:http, for example in a browser. */
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: Clock;
  /** Makes `client.task.create(input)` out of `'task.create'`. */
  readonly operations?: Operations;
}

interface BaseClient {
  /** Calls an operation; its refusal is thrown as `AppError`. */
  call<Op extends Operation>(operation: Op, input: InputOf<Op>, extras?: CallExtras): Promise<OutputOf<Op>>;
  /** Every record after a cursor, once and in order; connects again by itself after a cut. Ends with the signal. */
  follow(options?: FollowOptions): AsyncGenerator<LogRecord, void>;
  /** Closes kept connections. */
  close(): void;
}

type Noun<Name> = Name extends `${infer First}.${string}` ? First : never;
type Verbs<Operations, First extends string> = {
  readonly [Name in keyof Operations as Name extends `${First}.${infer Verb}` ? Verb : never]: (
    input: InputOf<Operations[Name]>,
    extras?: CallExtras,
  ) => Promise<OutputOf<Operations[Name]>>;
};
type Nouns<Operations> = { readonly [First in Noun<keyof Operations>]: Verbs<Operations, First> };
export type Client<Operations = Record<never, never>> = BaseClient & Nouns<Operations>;

/** A client of the server at `url`. It connects at its first call. */
export function createClient<Operations extends OperationMap = Record<never, never>>(
  options: ClientOptions<Operations>,
): Client<Operations> {
  const { url, token, fetch, clock = systemClock, operations, trust } = options;
  const transport = fetch === undefined ? nodeTransport(url, trust) : fetchTransport(url.replace(/\/$/, ''), fetch);
  const authorization = { authorization: `Bearer ${token}` };

  const call = async <Op extends Operation>(
    operation: Op,
    input: InputOf<Op>,
    extras: CallExtras = {},
  ): Promise<OutputOf<Op>> => {
    const response = await transport.send(requestOf(operation, input, extras, authorization));
    const body = parsed(await response.text());
    if (response.status >= 400) throw refusal(body, response.status);
    // The server has checked its answer with this operation's schema.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return body as OutputOf<Op>;
  };

  const follow = (followOptions: FollowOptions = {}): AsyncGenerator<LogRecord, void> =>
    followLog({ transport, clock, authorization }, followOptions);
  const base: BaseClient = { call, follow, close: () => transport.close() };
  const nouns: Record<string, Record<string, unknown>> = {};
  for (const [name, operation] of Object.entries<Operation>(operations ?? {})) {
    const [first = '', verb = ''] = name.split('.');
    (nouns[first] ??= {})[verb] = (input: never, extras?: CallExtras) => call(operation, input, extras);
  }
  // Each noun and verb was made from a key of `operations`, which is what the type says.
  // oxlint-disable-next-line typescript/consistent-type-assertions
  return { ...nouns, ...base } as Client<Operations>;
}
