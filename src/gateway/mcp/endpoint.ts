import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type AuthInfo,
  createMcpHandler,
  isLegacyRequest,
  type McpHttpHandler,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import * as z from 'zod';
import { actorName } from '../../kernel/actor.ts';
import type { Caller } from '../../kernel/caller.ts';
import { AppError } from '../../kernel/error.ts';
import { readBody } from '../body.ts';
import type { FailurePlace, Lease, Limits } from '../door.ts';
import { endedCredential } from '../leases.ts';
import { problem } from '../problem.ts';
import { goneSignal, sendWeb, webRequest } from './bridge.ts';
import { buildServer } from './protocol.ts';
import { Sessions, type Watching } from './sessions.ts';
import type { Asker, Surface } from './surface.ts';
import type { Watch } from './watch.ts';

export interface EndpointOptions {
  readonly surface: Surface;
  readonly watch: Watch;
  readonly version: string;
  readonly limits: Pick<Limits, 'bodyBytes' | 'stalledMs' | 'heartbeatMs' | 'followers' | 'sockets'>;
  readonly rates: (caller: Caller) => Readonly<Record<string, string>>;
  readonly onFailure: (error: unknown, place: FailurePlace) => void;
}

const listens = z.object({
  method: z.literal('subscriptions/listen'),
  params: z.object({ notifications: z.object({ resourceSubscriptions: z.array(z.string()).optional() }) }),
});

/** The door `/mcp`: both revisions on one path. Every request is authenticated by itself; what a connection said counts for nothing. */
export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #askers = new WeakMap<AuthInfo, Asker>();
  readonly #sessions: Sessions;
  readonly #modern: McpHttpHandler;
  readonly #watch: Watch;

  constructor(options: EndpointOptions) {
    this.#options = options;
    const { limits, watch } = options;
    this.#watch = watch;
    const keepAliveMs = limits.heartbeatMs;
    this.#sessions = new Sessions({
      limit: limits.followers,
      keepAliveMs,
      build: (watching) => this.#server(watching),
    });
    this.#modern = createMcpHandler(() => this.#server(), {
      legacy: 'reject',
      keepAliveMs,
      maxSubscriptions: limits.followers,
    });
  }

  /** Answers one HTTP request of an authenticated caller. */
  async handle(request: IncomingMessage, response: ServerResponse, caller: Caller, lease: Lease): Promise<void> {
    const { bodyBytes, stalledMs } = this.#options.limits;
    const ended = endOf(lease, response);
    let answer: Response;
    try {
      const body = request.method === 'POST' ? await readBody(request, response, bodyBytes) : undefined;
      const asker = { caller, toolset: toolsetOf(request), ended, lease };
      const web = webRequest(request, AbortSignal.any([goneSignal(response), ended]));
      answer = await unlessEnded(this.#answer(web, body, asker, response), ended);
    } catch (error) {
      answer = this.#refused(error);
    }
    for (const [name, value] of Object.entries(this.#options.rates(caller))) response.setHeader(name, value);
    await sendWeb(answer, response, stalledMs, ended);
  }

  async close(): Promise<void> {
    this.#watch.close();
    await Promise.all([this.#sessions.close(), this.#modern.close()]);
  }

  async #answer(request: Request, body: unknown, asker: Asker, response: ServerResponse): Promise<Response> {
    const { caller } = asker;
    // The token stays at the door: what handles the request sees only who calls.
    const auth: AuthInfo = { token: '', clientId: actorName(caller.actor), scopes: [...caller.scopes] };
    this.#askers.set(auth, asker);
    if (await isLegacyRequest(request, body)) return this.#sessions.handle({ request, body, auth, asker });
    const listening = listens.safeParse(body);
    if (listening.success) {
      await this.#listen(asker, listening.data.params.notifications.resourceSubscriptions ?? [], response);
    }
    return this.#modern.fetch(request, { parsedBody: body, authInfo: auth });
  }

  /** While a stream of 2026-07-28 is open, its resources are watched for it. */
  async #listen(asker: Asker, uris: readonly string[], response: ServerResponse): Promise<void> {
    const { surface } = this.#options;
    const found = await Promise.all(uris.map(async (uri) => ({ uri, streams: await surface.streams(asker, uri) })));
    const stops = found.map(({ uri, streams }) =>
      this.#watch.add(streams, () => this.#modern.notify.resourceUpdated(uri)),
    );
    response.once('close', () => stops.forEach((stop) => stop()));
  }

  #server(watching?: Watching): Server {
    const { surface, version } = this.#options;
    const asker = (context: ServerContext): Asker => this.#asker(context);
    const onFailure = (error: unknown, method: string): void => this.#failed(error, method);
    if (watching === undefined) return buildServer({ surface, version, asker, onFailure });
    const { watched, changed } = watching;
    const unsubscribe = (uri: string): void => {
      watched.get(uri)?.();
      watched.delete(uri);
    };
    const subscribe = async (from: Asker, uri: string): Promise<void> => {
      const streams = await surface.streams(from, uri);
      unsubscribe(uri);
      const release = from.lease(() => unsubscribe(uri));
      const stop = this.#watch.add(streams, () => changed(uri));
      watched.set(uri, () => {
        release();
        stop();
      });
    };
    return buildServer({ surface, version, asker, onFailure, subscribe, unsubscribe });
  }

  #asker({ http }: ServerContext): Asker {
    const asker = http?.authInfo === undefined ? undefined : this.#askers.get(http.authInfo);
    if (asker !== undefined) return asker;
    throw new AppError('unauthenticated', 'The request carries no token.', {
      fix: 'Send "Authorization: Bearer <token>".',
    });
  }

  #failed(error: unknown, method: string): void {
    this.#options.onFailure(error, { operation: `mcp ${method}`, trace: undefined });
  }

  /** What is refused before the SDK sees it, in the form of JSON-RPC. */
  #refused(error: unknown): Response {
    const { status, headers, error: data } = problem(error);
    if (!(error instanceof AppError)) this.#failed(error, 'request');
    const code = status === 400 ? -32700 : -32000;
    const message = data.fix === undefined ? data.message : `${data.message} ${data.fix}`;
    return Response.json({ jsonrpc: '2.0', error: { code, message, data }, id: null }, { status, headers });
  }
}

function toolsetOf({ url = '/' }: IncomingMessage): string | null {
  return new URL(url, 'http://localhost').searchParams.get('toolset');
}

/** Aborted once the credential of a request has ended; until its response is over. */
function endOf(lease: Lease, response: ServerResponse): AbortSignal {
  const ended = new AbortController();
  const release = lease(() => ended.abort(endedCredential()));
  response.once('close', release);
  if (response.destroyed) release();
  return ended.signal;
}

/** An answer, or the refusal of who may not have it any more. */
async function unlessEnded(answer: Promise<Response>, ended: AbortSignal): Promise<Response> {
  const { promise, reject } = Promise.withResolvers<never>();
  const refuse = (): void => {
    reject(endedCredential());
    // What comes all the same goes to nobody.
    answer.then(({ body }) => body?.cancel()).catch(() => undefined);
  };
  ended.addEventListener('abort', refuse, { once: true });
  try {
    return await Promise.race([answer, promise]);
  } finally {
    ended.removeEventListener('abort', refuse);
  }
}
