import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Caller, stranger } from '../kernel/caller.ts';
import type { Cancel, Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import { createServer, https } from '../kernel/http.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Scope } from '../kernel/scope.ts';
import {
  defaultLimits,
  type Door,
  type DoorGuard,
  type ExtraRoute,
  type FailurePlace,
  type Lease,
  type Limits,
  type LiveFeed,
} from './door.ts';
import { networkOf } from './address.ts';
import { fieldsOfSchema } from './fields.ts';
import { eventsQuery, startOf } from './filter.ts';
import { parseQuery } from './input.ts';
import { Leases } from './leases.ts';
import { Followers, mayFollow, streamEvents } from './live.ts';
import { HttpError } from './problem.ts';
import { refuseInput } from './refuse.ts';
import type { Registry } from './registry.ts';
import { answerOperation, sendJson, sendProblem, targetOf } from './rest.ts';
import { routeOf, Router } from './routes.ts';
import { refuseTwice } from './single.ts';
import { livePath, refuse, Upgrader } from './upgrade.ts';
import { Visitors } from './visitors.ts';

const eventsPath = '/api/v1/events';
/** How long open answers may take once the server closes. */
const closeGraceMs = 2_000;
const sweepMs = 20;

export interface GatewayOptions {
  readonly registry: Pick<Registry, 'call' | 'operations'>;
  readonly feed: LiveFeed;
  /** Makes the guard, once the port is known. */
  readonly guard: (port: number) => DoorGuard;
  /** An address or a name of this machine. Any other than loopback is for `tls` alone. */
  readonly host: string;
  /** Certificate (with its chain) and private key, PEM; left out: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Whether a caller may see a record; left out: each sees all. */
  readonly sees?: (caller: Caller, record: LogRecord) => boolean;
  /** 0 for a free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly version: string;
  readonly scope: Scope;
  readonly extraRoutes?: readonly ExtraRoute[];
  /** What the header WWW-Authenticate of a 401 says. */
  readonly challenge?: (request: IncomingMessage) => string;
  /** What a caller has left of its calls, as headers of each answer. */
  readonly rates?: (caller: Caller) => Readonly<Record<string, string>>;
  /** Throws `exhausted` when somebody without a credential asks too often; called before anything of the request is read. */
  readonly knock?: (stranger: Caller) => void;
  /** Told of every defect that a caller was shown as `internal`. */
  readonly onFailure?: (error: unknown, place: FailurePlace) => void;
  readonly limits?: Partial<Limits>;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Opens the doors: REST, event stream and WebSocket on one port. They close with the scope, or by `close`. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const limits = { ...defaultLimits, ...options.limits };
  const server = makeServer(options.tls, {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.requestMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(5_000, limits.requestMs),
    keepAliveTimeout: 30_000,
    // The guard refuses a request without a host, in our own words.
    requireHostHeader: false,
  });
  server.maxConnections = limits.connections;
  // One more than allowed, so that too many can be told from just enough.
  server.maxHeadersCount = limits.headerCount + 1;
  const port = await listen(server, options.host, options.port);
  const { registry, feed, clock, version, extraRoutes = [], onFailure = () => undefined } = options;
  const {
    sees = () => true,
    rates = () => ({}),
    knock = () => undefined,
    challenge = () => 'Bearer realm="maos"',
  } = options;
  const guard = options.guard(port);
  const visitors = new Visitors(clock, limits.strangers);
  server.on('connection', (socket: Socket) => visitors.enter(socket));
  const admitted = (socket: Socket): void => visitors.admitted(socket);
  const leases = new Leases({ feed, guard, clock, limits, onFailure });
  const lease = (caller: Caller): Lease => leases.of(caller);
  const door: Door = {
    registry,
    feed,
    clock,
    version,
    extraRoutes,
    onFailure,
    limits,
    guard,
    sees,
    rates,
    knock,
    lease,
    challenge,
    admitted,
  };
  const followers = new Followers(limits.followers);
  const upgrader = new Upgrader(door, followers);
  const front = new Front(door, followers);
  const answer = (request: IncomingMessage, response: ServerResponse): void => void front.answer(request, response);
  server.on('request', answer);
  server.on('checkContinue', answer);
  server.on(
    'upgrade',
    (request: IncomingMessage, socket: Duplex, head: Buffer) => void upgrader.upgrade(request, socket, head),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    refuse(socket, parserError(error, limits)),
  );
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= closeServer(server, followers, upgrader, clock).finally(() => leases.close()));
  options.scope.defer(close);
  return { url: `${options.tls === undefined ? 'http' : 'https'}://${reachable(options.host)}:${port}`, port, close };
}

function makeServer(tls: GatewayOptions['tls'], options: ServerOptions): Server {
  if (tls === undefined) return createServer(options);
  const server = https().createServer({ ...options, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.3' });
  // Whoever speaks no TLS, or an older one, is cut; that is no failure of ours.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

/** How a host is called from this machine; one that stands for all addresses is called by loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** Sends each request to where it is answered. */
class Front {
  readonly #door: Door;
  readonly #followers: Followers;
  readonly #router: Router;
  readonly #extra: ReadonlyMap<string, ExtraRoute>;
  /** Operations that ask for no credential, by their addresses. */
  readonly #open: ReadonlySet<string>;

  constructor(door: Door, followers: Followers) {
    this.#door = door;
    this.#followers = followers;
    this.#extra = new Map(door.extraRoutes.map((route) => [`${route.method} ${route.path}`, route]));
    const open = door.registry.operations.filter((operation) => operation.open === true).map(routeOf);
    this.#open = new Set(open.map((route) => `${route.method} ${route.path}`));
    this.#router = new Router(door.registry.operations, [
      `GET ${eventsPath}`,
      `GET ${livePath}`,
      ...this.#extra.keys(),
    ]);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      sendProblem(this.#door, request, response, error);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const door = this.#door;
    refuseTwice(request);
    const { path, query } = targetOf(request);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    if (method === 'GET' && path === '/health') {
      return sendJson(door, response, 200, { status: 'ok', version: door.version, position: door.feed.head });
    }
    if (method === 'OPTIONS') return answerPreflight(door, request, response);
    const address = `${method} ${path}`;
    const extra = this.#extra.get(address);
    // On an open route of its own a header is no credential of ours; on an open operation it still says who calls.
    const open =
      extra === undefined
        ? this.#open.has(address) && request.headers.authorization === undefined
        : extra.open === true;
    const caller = this.#callerOf(request, path, open);
    allowOrigin(request, response);
    if (request.rawHeaders.length / 2 > door.limits.headerCount) {
      throw new HttpError(
        431,
        'invalid',
        `The request has more than ${door.limits.headerCount} headers.`,
        'Send fewer.',
        { connection: 'close' },
      );
    }
    if (extra !== undefined) await extra.handle(request, response, caller, door.lease(caller));
    else if (address === 'GET /openapi.json') {
      const { describeApi } = await import('./openapi.ts');
      sendJson(door, response, 200, describeApi(door.registry.operations, door.version));
    } else if (address === `GET ${eventsPath}`) await this.#events(request, response, query, caller);
    else if (address === `GET ${livePath}`) {
      throw new HttpError(426, 'invalid', 'This is a WebSocket.', 'Connect to it with a WebSocket client.', {
        upgrade: 'websocket',
      });
    } else await answerOperation(door, this.#router, request, response, caller);
  }

  /** Who comes without a credential may only ask for one. */
  #callerOf(request: IncomingMessage, path: string, open: boolean): Caller {
    const { guard } = this.#door;
    if (!open) {
      const known = guard.authenticate(request.headers, path);
      this.#door.admitted(request.socket);
      return known;
    }
    guard.admit(request.headers);
    const caller = stranger(networkOf(request.socket.remoteAddress));
    this.#door.knock(caller);
    return caller;
  }

  #events(request: IncomingMessage, response: ServerResponse, query: string, caller: Caller): Promise<void> {
    mayFollow(caller);
    const parsed = eventsQuery.safeParse({ ...parseQuery(query, fieldsOfSchema(eventsQuery)), ...resumed(request) });
    if (!parsed.success) throw refuseInput('events', parsed.error, eventsQuery);
    const { after, ...filter } = parsed.data;
    const start = { caller, after: startOf(after, this.#door.feed.head), filter };
    return streamEvents(this.#door, response, start, this.#followers.enter());
  }
}

/** A browser that reconnects repeats its address; where it was then stands in this header, and wins. */
function resumed(request: IncomingMessage): { readonly after?: unknown } {
  const last = request.headers['last-event-id'];
  if (last === undefined || last === '') return {};
  return { after: typeof last === 'string' && /^\d{1,15}$/.test(last) ? Number(last) : last };
}

/** A page of an allowed origin may read our answers; all others are kept out by the guard. */
function allowOrigin({ headers }: IncomingMessage, response: ServerResponse): void {
  if (headers.origin === undefined) return;
  response.setHeader('access-control-allow-origin', headers.origin);
  response.setHeader(
    'access-control-expose-headers',
    'x-maos-position, x-trace-id, ratelimit, ratelimit-policy, retry-after',
  );
  response.setHeader('vary', 'origin');
}

/** A preflight carries no token, so it is told nothing but what an allowed origin may send. */
function answerPreflight(door: Door, request: IncomingMessage, response: ServerResponse): void {
  door.guard.admit(request.headers);
  if (request.headers.origin === undefined)
    throw new HttpError(405, 'invalid', 'OPTIONS is for preflights of browsers.', '/openapi.json lists the routes.');
  allowOrigin(request, response);
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers':
      'authorization, content-type, idempotency-key, last-event-id, traceparent, x-trace-id',
    'access-control-max-age': '600',
  });
  response.end();
}

/** What the HTTP parser refuses, in our form. */
function parserError(error: NodeJS.ErrnoException, limits: Limits): HttpError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new HttpError(
      431,
      'invalid',
      `The headers are larger than ${limits.headerBytes} bytes, or more than ${limits.headerCount}.`,
      'Send fewer and smaller headers.',
    );
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new HttpError(
      408,
      'invalid',
      `The request was not complete after ${limits.requestMs} ms.`,
      'Send it at once.',
    );
  }
  return new HttpError(400, 'invalid', 'This is not an HTTP request.', 'Send HTTP/1.1.');
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE' || error.code === 'EACCES';
      const fix = { fix: 'Set server.port to another port, or to 0 for a free one.' };
      reject(
        taken ? new AppError('unavailable', `Port ${port} on ${host} cannot be opened (${error.code}).`, fix) : error,
      );
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** Ends streams and sockets, lets open answers finish, and cuts what is left after the grace. */
async function closeServer(server: Server, followers: Followers, upgrader: Upgrader, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  followers.close();
  upgrader.close();
  let cancelSweep: Cancel = () => undefined;
  // A kept connection becomes idle when its answer is out; node:http closes only those that are idle when asked.
  const sweep = (): void => {
    server.closeIdleConnections();
    cancelSweep = clock.after(sweepMs, sweep);
  };
  sweep();
  const cancelCut = clock.after(closeGraceMs, () => {
    upgrader.cut();
    server.closeAllConnections();
  });
  await closed;
  cancelSweep();
  cancelCut();
}
