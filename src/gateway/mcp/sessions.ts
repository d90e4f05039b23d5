/**
 * Connections of clients that speak 2025-11-25: they shake hands once and name a session in every request after that.
 *
 * S1  A session says nothing about who calls: each request is authenticated by itself, and a session answers only to the
 *     actor that began it.
 * S2  A session is a cache. Its id holds what the client said of itself at the handshake, so one that a restart or the limit
 *     has ended is made again when its client comes back; only one that the client itself ended is gone.
 */
import { randomUUID } from 'node:crypto';
import {
  type AuthInfo,
  isInitializeRequest,
  type Server,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import * as z from 'zod';
import { actorName } from '../../kernel/actor.ts';
import type { Asker } from './surface.ts';

interface Session {
  readonly owner: string;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  readonly server: Server;
  /** What it was told to watch: how to stop, by URI. */
  readonly watched: Map<string, () => void>;
}

export interface SessionsOptions {
  /** A server whose client may watch resources. */
  readonly build: (watching: Watching) => Server;
  readonly limit: number;
  readonly keepAliveMs: number;
}

/** What a session watches. */
export interface Watching {
  readonly watched: Map<string, () => void>;
  readonly changed: (uri: string) => void;
}

/** One request with what the door found out about it. */
export interface Incoming {
  readonly request: Request;
  readonly body: unknown;
  readonly auth: AuthInfo;
  readonly asker: Asker;
}

const told = z.object({
  v: z.string().max(40),
  c: z.record(z.string(), z.unknown()),
  i: z.object({ name: z.string(), version: z.string() }),
});
const remembered = 1_000;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #open = new Map<string, Session>();
  readonly #ended = new Set<string>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  async handle(incoming: Incoming): Promise<Response> {
    const { request, body, auth, asker } = incoming;
    const id = request.headers.get('mcp-session-id');
    if (id === null) {
      if (!isInitializeRequest(body)) return refused(400, -32000, 'Bad Request: Mcp-Session-Id header is required');
      const { protocolVersion, capabilities, clientInfo } = body.params;
      const session = await this.#make(asker, sessionId(protocolVersion, capabilities, clientInfo));
      return session.transport.handleRequest(request, { parsedBody: body, authInfo: auth });
    }
    const session = this.#find(id) ?? (await this.#revive(id, incoming));
    if (session === undefined || session.owner !== actorName(asker.caller.actor))
      return refused(404, -32001, 'Session not found');
    if (request.method === 'DELETE') this.#remember(id);
    return session.transport.handleRequest(request, { parsedBody: body, authInfo: auth });
  }

  async close(): Promise<void> {
    const sessions = [...this.#open.keys()];
    await Promise.all(sessions.map((id) => this.#end(id)));
  }

  /** Used last is last to go. */
  #find(id: string): Session | undefined {
    const session = this.#open.get(id);
    if (session === undefined) return undefined;
    this.#open.delete(id);
    this.#open.set(id, session);
    return session;
  }

  async #make({ caller }: Asker, id: string): Promise<Session> {
    const { keepAliveMs, limit, build } = this.#options;
    const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: () => id, keepAliveMs });
    const watched = new Map<string, () => void>();
    const changed = (uri: string): void => void server.sendResourceUpdated({ uri }).catch(() => undefined);
    const server = build({ watched, changed });
    const session = { owner: actorName(caller.actor), transport, server, watched };
    this.#open.set(id, session);
    server.onclose = () => void this.#end(id);
    await server.connect(transport);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= limit) break;
      await this.#end(oldest);
    }
    return session;
  }

  /** Shakes hands in the name of a client that did so with a server before this one. */
  async #revive(id: string, { request, auth, asker }: Incoming): Promise<Session | undefined> {
    const said = this.#ended.has(id) ? undefined : readId(id);
    if (said === undefined) return undefined;
    const session = await this.#make(asker, id);
    const send = async (parsedBody: unknown): Promise<void> => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const again = new Request(request.url, { method: 'POST', headers: { ...headers, 'mcp-session-id': id } });
      const answer = await session.transport.handleRequest(again, { parsedBody, authInfo: auth });
      await answer.text();
    };
    const params = { protocolVersion: said.v, capabilities: said.c, clientInfo: said.i };
    await send({ jsonrpc: '2.0', id: 'again', method: 'initialize', params });
    await send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return session;
  }

  #remember(id: string): void {
    this.#ended.add(id);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= remembered) break;
      this.#ended.delete(oldest);
    }
  }

  async #end(id: string): Promise<void> {
    const session = this.#open.get(id);
    if (session === undefined) return;
    this.#open.delete(id);
    for (const stop of session.watched.values()) stop();
    await session.server.close();
  }
}

function sessionId(version: string, capabilities: object, client: { name: string; version: string }): string {
  const known = Object.entries(capabilities).filter(([name]) => ['elicitation', 'sampling', 'roots'].includes(name));
  const i = { name: client.name.slice(0, 50), version: client.version.slice(0, 50) };
  const said = JSON.stringify({ v: version, c: Object.fromEntries(known), i });
  return `${Buffer.from(said).toString('base64url')}.${randomUUID()}`;
}

function readId(id: string): z.output<typeof told> | undefined {
  if (id.length > 2_000) return undefined;
  try {
    return told.safeParse(JSON.parse(Buffer.from(id.split('.')[0] ?? '', 'base64url').toString())).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function refused(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status });
}
