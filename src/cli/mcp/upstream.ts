import type { IncomingMessage } from 'node:http';
import { Agent, https, request as httpRequest } from '../../kernel/http.ts';
import { tlsOptions, type Trust } from '../../kernel/trust.ts';
import { linesOf } from './lines.ts';

/** The server as this process sees it now. */
export interface Target {
  readonly url: string;
  readonly token: string;
  readonly trust?: Trust;
}

export interface Sending {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/**
 * What a server answered: its messages come one by one, from JSON or from an event stream. They stay the bytes that they were: who
 * passes on what it does not read needs no memory for it.
 */
export interface Answer {
  readonly status: number;
  readonly session: string | undefined;
  readonly messages: AsyncIterable<Buffer>;
}

const agent = new Agent({ keepAlive: true });

/** One HTTP exchange with the door `/mcp`. Rejects when the connection breaks, also in the middle of the messages. */
export async function exchange(target: Target, path: string, sending: Sending): Promise<Answer> {
  const { url, token, trust } = target;
  const { method, headers, body, signal } = sending;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const secure = url.startsWith('https:');
    const sent = (secure ? https().request : httpRequest)(
      `${url}${path}`,
      {
        method,
        // Node keeps one for each certificate that is trusted.
        ...(secure ? tlsOptions(trust) : { agent }),
        signal,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json, text/event-stream',
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(body);
  });
  const session = response.headers['mcp-session-id'];
  return {
    status: response.statusCode ?? 0,
    session: typeof session === 'string' ? session : undefined,
    messages: response.headers['content-type']?.startsWith('text/event-stream') ? events(response) : json(response),
  };
}

async function* json(response: IncomingMessage): AsyncGenerator<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const [only] = chunks;
  if (only !== undefined) yield chunks.length === 1 ? only : Buffer.concat(chunks);
}

const data = Buffer.from('data:');

/** The data of server-sent events; our server sends each message as one line. */
async function* events(response: IncomingMessage): AsyncGenerator<Buffer> {
  for await (const line of linesOf(response)) {
    if (line.length > data.length + 1 && line.subarray(0, data.length).equals(data)) yield line.subarray(data.length);
  }
}
