import type { Agent, IncomingMessage } from 'node:http';
import { AppError } from '../kernel/error.ts';
import { tlsOptions, type Trust } from '../kernel/trust.ts';

export interface WireRequest {
  readonly method: string;
  /** Path and query string, encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface WireResponse {
  readonly status: number;
  text(): Promise<string>;
  /** The body as it comes. */
  chunks(): AsyncIterable<string>;
}

/** How a client reaches the server. */
export interface Transport {
  send(request: WireRequest): Promise<WireResponse>;
  close(): void;
}

const mostTries = 4;

/** node:http with kept connections. A process that makes one call starts as fast with it as with fetch. */
export function nodeTransport(url: string, trust?: Trust): Transport {
  const { hostname, port, protocol } = new URL(url);
  let agent: Agent | undefined;
  const send = async (request: WireRequest): Promise<WireResponse> => {
    const plain = await import('../kernel/http.ts');
    const http = protocol === 'https:' ? plain.https() : plain;
    agent ??= new http.Agent({ keepAlive: true, maxSockets: 64, scheduling: 'lifo', ...tlsOptions(trust) });
    const { method, path, body, signal } = request;
    const headers = {
      ...request.headers,
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    };
    const host = hostname.replace(/^\[|\]$/g, '');
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const wire = http.request(
        { agent, host, port, method, path, headers, ...(signal === undefined ? {} : { signal }) },
        resolve,
      );
      wire.once('error', reject);
      wire.end(body);
    });
    response.setEncoding('utf8');
    return {
      status: response.statusCode ?? 0,
      chunks: () => response,
      async text() {
        let text = '';
        for await (const chunk of response) text += String(chunk);
        return text;
      },
    };
  };
  return { send: (request) => unreachable(url, () => retried(request, send)), close: () => agent?.destroy() };
}

/** The platform's fetch, or one like it: for browsers and for tests. */
export function fetchTransport(url: string, fetch: typeof globalThis.fetch): Transport {
  const send = async ({ method, path, headers, body, signal }: WireRequest): Promise<WireResponse> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...headers },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    return {
      status: response.status,
      text: () => response.text(),
      async *chunks() {
        const decoder = new TextDecoder();
        for await (const chunk of response.body ?? []) yield decoder.decode(chunk, { stream: true });
      },
    };
  };
  return { send: (request) => unreachable(url, () => retried(request, send)), close: () => undefined };
}

/**
 * Kept connections may have been closed by a server that was started again. Only what changes nothing, or carries a key,
 * is sent again: of anything else nobody knows whether it was carried out.
 */
async function retried(
  request: WireRequest,
  send: (request: WireRequest) => Promise<WireResponse>,
): Promise<WireResponse> {
  const repeatable = request.method === 'GET' || 'idempotency-key' in request.headers;
  for (let tries = 1; ; tries += 1) {
    try {
      return await send(request);
    } catch (error) {
      if (!repeatable || tries === mostTries || !isCut(error)) throw error;
    }
  }
}

async function unreachable(url: string, send: () => Promise<WireResponse>): Promise<WireResponse> {
  try {
    return await send();
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !/^(?:E[A-Z]+|UND_ERR.*)$/.test(code) || code === 'ABORT_ERR') throw error;
    throw new AppError('unavailable', `No MAOS server answers at ${url} (${code}).`, { fix: 'Start it: maos up.' });
  }
}

function isCut(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error) ?? '');
}

/** The system's code of an error; fetch keeps it in the cause. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}
