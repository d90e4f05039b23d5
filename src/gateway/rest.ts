import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../kernel/caller.ts';
import { AppError, invalid } from '../kernel/error.ts';
import { readBody } from './body.ts';
import type { Door, Lease } from './door.ts';
import { mergeInput } from './input.ts';
import { endedCredential } from './leases.ts';
import { HttpError, problem } from './problem.ts';
import type { CallOptions } from './registry.ts';
import type { Router } from './routes.ts';

/** The path and the query string of a request, not decoded. */
export function targetOf(request: IncomingMessage): { readonly path: string; readonly query: string } {
  const url = request.url ?? '';
  if (!url.startsWith('/'))
    throw new HttpError(400, 'invalid', 'The request names no path.', 'Begin the request target with "/".');
  const mark = url.indexOf('?');
  return mark === -1 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

/** Carries out the operation that a request names and answers with its output. */
export async function answerOperation(
  door: Door,
  router: Router,
  request: IncomingMessage,
  response: ServerResponse,
  caller: Caller,
): Promise<void> {
  const { path, query } = targetOf(request);
  const { route, params } = router.find(request.method ?? '', path);
  const trace = traceOf(request);
  const key = keyOf(request);
  const { bodyBytes, openBodyBytes } = door.limits;
  const body = await readBody(request, response, route.operation.open === true ? openBodyBytes : bodyBytes);
  const input = mergeInput(route, params, query, body);
  const options = new RestCall(response, caller, door.lease(caller), trace, key);
  const output = await door.registry.call(route.operation.name, input, options);
  // What was done is told to whoever did it, also when it has ended their login; what is read is not.
  if (options.ended && route.operation.effect === 'read') throw endedCredential();
  const rates = door.rates(caller);
  sendJson(door, response, 200, output ?? null, trace === undefined ? rates : { ...rates, 'x-trace-id': trace });
}

/**
 * What comes with a call over REST. Its signal is made only for an operation that asks for it: most are over before
 * anyone could leave, and a signal for each request costs a third of the throughput.
 */
class RestCall implements CallOptions {
  readonly caller: Caller;
  readonly trace?: string;
  readonly key?: string;
  readonly #response: ServerResponse;
  readonly #lease: Lease;
  /** Whether the credential has ended since, of a call that asked for its signal. */
  ended = false;

  constructor(
    response: ServerResponse,
    caller: Caller,
    lease: Lease,
    trace: string | undefined,
    key: string | undefined,
  ) {
    this.#response = response;
    this.#lease = lease;
    this.caller = caller;
    if (trace !== undefined) this.trace = trace;
    if (key !== undefined) this.key = key;
  }

  /** Aborted when the response is over, and so when its client has gone; and when the credential has ended. */
  get signal(): AbortSignal {
    const gone = new AbortController();
    if (this.#response.destroyed) gone.abort();
    else {
      const release = this.#lease(() => {
        this.ended = true;
        gone.abort();
      });
      this.#response.once('close', () => {
        release();
        gone.abort();
      });
    }
    return gone.signal;
  }
}

/** Answers with JSON. A client that takes a long answer too slowly is cut off. */
export function sendJson(
  door: Door,
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-maos-position': String(door.feed.head),
  });
  response.end(text);
  // node:http destroys a socket whose timeout passes, and sets another timeout once the response is out.
  if (response.socket !== null && response.socket.writableLength > 0) response.socket.setTimeout(door.limits.stalledMs);
}

/** Answers with an error, if there is still someone to answer. */
export function sendProblem(door: Door, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const { status, headers: usual, error: data } = problem(error);
  const headers = status === 401 ? { ...usual, 'www-authenticate': door.challenge(request) } : usual;
  if (!(error instanceof AppError)) {
    const header = request.headers['x-trace-id'];
    door.onFailure(error, {
      operation: `${request.method} ${request.url}`,
      trace: typeof header === 'string' ? header : undefined,
    });
  }
  if (response.destroyed || response.writableEnded) return;
  if (response.headersSent) response.destroy();
  else sendJson(door, response, status, { error: data }, headers);
}

/** Groups all that one request leads to: the id of a W3C `traceparent`, or a plain `X-Trace-Id`. */
function traceOf({ headers }: IncomingMessage): string | undefined {
  const parent = headers['traceparent'];
  const w3c =
    typeof parent === 'string' ? /^00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(parent)?.[1] : undefined;
  // The standard says that a traceparent which cannot be read is ignored.
  return w3c ?? plainHeader(headers['x-trace-id'], 'X-Trace-Id');
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  return plainHeader(headers['idempotency-key'], 'Idempotency-Key');
}

function plainHeader(value: string | string[] | undefined, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^[\x21-\x7e]{1,200}$/.test(value)) return value;
  throw invalid(`The header ${name} is not 1 to 200 visible ASCII characters.`, { fix: 'Use an id such as a UUID.' });
}
