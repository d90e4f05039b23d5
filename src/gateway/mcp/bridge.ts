import type { IncomingMessage, ServerResponse } from 'node:http';
import { drained } from '../drained.ts';

/** A request of node:http in the form that the SDK takes. Its body was read before, by the door's own rules. */
export function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value === 'string') headers.set(name, value);
    else for (const one of value ?? []) headers.append(name, one);
  }
  const { method = 'GET', url = '/' } = request;
  return new Request(`http://${request.headers.host ?? 'localhost'}${url}`, { method, headers, signal });
}

/** Aborted when nobody waits for the answer any more. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  else {
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
  }
  return gone.signal;
}

/** Sends what the SDK answered. A client that takes nothing for long is cut off. */
export async function sendWeb(
  answer: Response,
  response: ServerResponse,
  stalledMs: number,
  ended: AbortSignal,
): Promise<void> {
  const headers = {
    'cache-control': 'no-store',
    ...Object.fromEntries(answer.headers),
    'x-content-type-options': 'nosniff',
  };
  if (answer.body !== null && answer.headers.get('content-type')?.startsWith('text/event-stream') === true) {
    response.writeHead(answer.status, headers);
    // The client of a stream that says nothing yet must see that it is open.
    response.flushHeaders();
    response.socket?.setTimeout(stalledMs);
    return stream(answer.body, response, ended);
  }
  const bytes = Buffer.from(await answer.arrayBuffer());
  response.writeHead(answer.status, { ...headers, 'content-length': bytes.length });
  response.end(bytes);
  if (response.socket !== null && response.socket.writableLength > 0) response.socket.setTimeout(stalledMs);
}

/** Nothing is read ahead of a slow client. */
async function stream(body: ReadableStream<Uint8Array>, response: ServerResponse, ended: AbortSignal): Promise<void> {
  const reader = body.getReader();
  // What is cancelled after its end, or has failed, has nobody to tell.
  const leave = (): void => void reader.cancel().catch(() => undefined);
  response.once('close', leave);
  ended.addEventListener('abort', leave, { once: true });
  if (ended.aborted) leave();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || response.destroyed || ended.aborted) break;
      if (!response.write(value)) await drained(response, ended);
    }
  } finally {
    response.off('close', leave);
    ended.removeEventListener('abort', leave);
    leave();
    response.end();
  }
}
