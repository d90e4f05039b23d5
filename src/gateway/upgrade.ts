import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { AppError } from '../kernel/error.ts';
import { STATUS_CODES } from '../kernel/http.ts';
import type { Door } from './door.ts';
import type { Followers } from './live.ts';
import { HttpError, problem } from './problem.ts';
import { targetOf } from './rest.ts';
import { refuseTwice } from './single.ts';

/** Where WebSocket connections are made. */
export const livePath = '/api/v1/live';
/** The subprotocol to offer beside `bearer.<token>`: a browser insists that the server chooses one of those offered. */
const subprotocol = 'maos.v1';
const frameLimit = 1024 * 1024;
const goingAway = 1001;

/** Turns upgrade requests into WebSocket connections. The WebSocket code is loaded at the first of them. */
export class Upgrader {
  readonly #door: Door;
  readonly #followers: Followers;
  #server: WebSocketServer | undefined;

  constructor(door: Door, followers: Followers) {
    this.#door = door;
    this.#followers = followers;
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Whatever goes wrong with the connection also closes it.
    socket.on('error', () => socket.destroy());
    try {
      refuseTwice(request);
      const caller = this.#door.guard.authenticate(request.headers, targetOf(request).path);
      this.#door.admitted(request.socket);
      if (targetOf(request).path !== livePath)
        throw new HttpError(404, 'not_found', 'There is no WebSocket here.', `Connect to ${livePath}.`);
      const [{ WebSocketServer }, { LiveSocket }] = await Promise.all([import('ws'), import('./socket.ts')]);
      this.#server ??= new WebSocketServer({
        noServer: true,
        maxPayload: frameLimit,
        perMessageDeflate: false,
        handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : ([...offered][0] ?? false)),
      });
      if (this.#server.clients.size >= this.#door.limits.sockets) {
        throw new AppError('exhausted', `${this.#door.limits.sockets} WebSockets are open already.`, {
          fix: 'Close one of them.',
        });
      }
      this.#server.handleUpgrade(
        request,
        socket,
        head,
        (ws) => new LiveSocket(ws, this.#door, this.#followers, caller),
      );
    } catch (error) {
      if (!(error instanceof AppError)) this.#door.onFailure(error, { operation: `GET ${livePath}`, trace: undefined });
      refuse(socket, error);
    }
  }

  /** Tells every client that the server goes, and cuts the connections a moment later. */
  close(): void {
    if (this.#server === undefined) return;
    for (const client of this.#server.clients) client.close(goingAway, 'The server is stopping.');
  }

  cut(): void {
    for (const client of this.#server?.clients ?? []) client.terminate();
  }
}

/** Answers on a bare connection: for upgrades, and for requests that the HTTP parser refuses. */
export function refuse(socket: Duplex, error: unknown): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, error: data } = problem(error);
  const body = JSON.stringify({ error: data });
  const lines = Object.entries({
    ...headers,
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
  ].join('\r\n');
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy());
}
