/** Requests and answers of the OAuth endpoints: small bodies in, JSON, pages and redirects out. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Fault } from './fault.ts';

const mostBytes = 16 * 1024;
/** How much more is read and thrown away, so that the client gets the answer instead of a broken pipe. */
const discarded = 16 * mostBytes;

/** Parameters of which each is there once. */
export type Fields = ReadonlyMap<string, string>;

/** The query of a request; refuses a parameter that comes twice (RFC 6749, 3.1). */
export function queryOf(request: IncomingMessage): Fields {
  const url = request.url ?? '';
  const mark = url.indexOf('?');
  return fieldsOf(mark === -1 ? '' : url.slice(mark + 1));
}

/** The form in a body. */
export async function formOf(request: IncomingMessage): Promise<Fields> {
  return fieldsOf(await bodyOf(request, 'application/x-www-form-urlencoded'));
}

export async function jsonOf(request: IncomingMessage): Promise<unknown> {
  try {
    const value: unknown = JSON.parse(await bodyOf(request, 'application/json'));
    return value;
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('invalid_request', 'The body is not JSON.');
  }
}

function fieldsOf(text: string): Fields {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (fields.has(name))
      throw new Fault('invalid_request', `The parameter ${JSON.stringify(name.slice(0, 50))} is there twice.`);
    // A parameter without a value counts as left out (RFC 6749, 3.1).
    if (value !== '') fields.set(name, value);
  }
  return fields;
}

async function bodyOf(request: IncomingMessage, type: string): Promise<string> {
  const given = request.headers['content-type'] ?? '';
  if (given.split(';', 1)[0]?.trim().toLowerCase() !== type)
    throw new Fault('invalid_request', `The body is not ${type}.`, 415);
  if (request.headers['content-encoding'] !== undefined)
    throw new Fault('invalid_request', 'The body has a content-encoding.', 415);
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const tooLarge = (): Fault => new Fault('invalid_request', `The body is larger than ${mostBytes} bytes.`, 413);
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= mostBytes) chunks.push(chunk);
      else chunks.length = 0;
      if (size > discarded) {
        request.pause();
        reject(tooLarge());
      }
    });
    request.once('end', () => (size > mostBytes ? reject(tooLarge()) : resolve(Buffer.concat(chunks))));
    request.once('error', reject);
  });
  if (!isUtf8(bytes)) throw new Fault('invalid_request', 'The body is not UTF-8.');
  return bytes.toString();
}

/** A cookie of the request. */
export function cookieOf({ headers }: IncomingMessage, name: string): string | undefined {
  for (const part of (headers.cookie ?? '').split(';')) {
    const [key = '', value] = part.trim().split('=', 2);
    if (key === name) return value;
  }
  return undefined;
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'cache-control': 'no-store',
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

export function sendPage(
  response: ServerResponse,
  status: number,
  page: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(page) });
  response.end(page);
}

/** To a page of ours, or with an answer to a client: always with 303, so that no form is sent on (RFC 9700, 4.12). */
export function sendOn(
  response: ServerResponse,
  location: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(303, {
    ...headers,
    location,
    'content-length': 0,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
  });
  response.end();
}

/** A fault as programs read it (RFC 6749, 5.2). */
export function sendFault(response: ServerResponse, fault: Fault): void {
  const { code, message, status, retryAfterSeconds } = fault;
  sendJson(
    response,
    status,
    { error: code, error_description: described(message) },
    {
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
      ...(status === 413 ? { connection: 'close' } : {}),
    },
  );
}

/** The characters that an error_description may have. */
export function described(message: string): string {
  return message
    .replaceAll('"', "'")
    .replaceAll('’', "'")
    .replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
}
