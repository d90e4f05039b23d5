import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { invalid } from '../kernel/error.ts';
import { HttpError } from './problem.ts';
import { parseJson } from './json.ts';

/** The JSON object in a request's body; undefined when there is no body. Refuses every other content. */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
): Promise<Record<string, unknown> | undefined> {
  const { headers } = request;
  const chunked = headers['transfer-encoding'] !== undefined;
  const length = Number(headers['content-length'] ?? 0);
  if (!chunked && length === 0) return undefined;
  if (request.method === 'GET' || request.method === 'HEAD') {
    throw new HttpError(
      400,
      'invalid',
      `A ${request.method} request takes no body.`,
      'Put the input into the query string.',
      close,
    );
  }
  refuseType(headers['content-type'], headers['content-encoding']);
  if (length > discardFactor * limit) throw tooLarge(limit);
  if (/100-continue/i.test(headers.expect ?? '')) response.writeContinue();
  const bytes = await collect(request, limit);
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw invalid('The body is not UTF-8.', { fix: 'Encode the JSON as UTF-8.' });
  const value = parseJson(bytes.toString(), 'The body');
  if (isRecord(value)) return value;
  throw invalid('The body is not a JSON object.', { fix: 'Send the input as {"field": value, …}.' });
}

const close = { connection: 'close' };
/** How much more than the limit is read and thrown away, so that the client gets the answer instead of a broken pipe. */
const discardFactor = 4;

function refuseType(type: string | undefined, encoding: string | undefined): void {
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpError(
      415,
      'invalid',
      `The body has the encoding "${encoding}".`,
      'Send it without a content-encoding.',
      close,
    );
  }
  if (/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type ?? '')) return;
  const what =
    type === undefined ? 'The body has no content type' : `The body has the content type "${type.slice(0, 100)}"`;
  throw new HttpError(415, 'invalid', `${what}.`, 'Send it as "Content-Type: application/json".', close);
}

function tooLarge(limit: number): HttpError {
  return new HttpError(
    413,
    'invalid',
    `The body is larger than ${limit} bytes.`,
    'Send less at once, or a path to a file instead of its text.',
    close,
  );
}

function collect(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else chunks = [];
      if (size > discardFactor * limit) {
        request.pause();
        reject(tooLarge(limit));
      }
    });
    request.once('end', () => {
      const [only] = chunks;
      if (size > limit) reject(tooLarge(limit));
      else resolve(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks));
    });
    request.once('error', reject);
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
