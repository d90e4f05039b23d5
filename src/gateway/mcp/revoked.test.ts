/** What is open when a credential ends: over REST, the WebSocket and MCP in both revisions. */
import { once } from 'node:events';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Caller } from '../../kernel/caller.ts';
import { waits } from '../gateway.fixture.ts';
import { conformanceSurface } from './conformance.fixture.ts';
import { McpTestServer } from './server.fixture.ts';

const ada: Caller = { actor: { kind: 'user', id: 'ada' }, scopes: ['*'], teams: null, credential: 'key_ada' };
const authorization = 'Bearer of-ada';

let server: McpTestServer;
/** What the credential gives; undefined: it has ended. */
let given: Caller | undefined;
beforeEach(async () => {
  given = ada;
  server = new McpTestServer();
  // No heartbeat falls into a test: what ends at once does so by a record.
  await serve();
});
afterEach(() => server.remove());

const serve = (options: Parameters<McpTestServer['serve']>[0] = {}): Promise<void> =>
  server.serve({
    limits: { heartbeatMs: 600_000 },
    credentials: {
      callerOf: (token) => (token === 'of-ada' ? given : undefined),
      renew: () => given,
      concerns: ({ type }) => type === 'note.created',
    },
    ...options,
  });

/** As when a key is revoked: what it gives is over, and a record tells. */
async function change(to: Caller | undefined): Promise<void> {
  given = to;
  await server.request('POST', '/api/v1/notes', { body: { title: 'Of this nobody is told.' } });
}

const accept = { accept: 'application/json, text/event-stream' };
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
};

/** A connection that has shaken hands. */
async function connect(revision: string): Promise<Client> {
  const mode = revision === '2025-11-25' ? ('legacy' as const) : { pin: revision };
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
  const url = new URL(`${server.url}/mcp?toolset=all`);
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization } } }));
  return client;
}

describe('when a credential ends', () => {
  it('a long call over REST is refused', async () => {
    const { started, aborted } = { ...waits };
    const answer = server.request('POST', '/api/v1/notes/wait', { body: {}, headers: { authorization } });
    await expect.poll(() => waits.started).toBe(started + 1);
    await change(undefined);
    expect(await answer).toMatchObject({ status: 401, body: { error: { code: 'unauthenticated' } } });
    expect(waits.aborted).toBe(aborted + 1);
  });

  it('a WebSocket is closed, though it does nothing, and what it has called is aborted', async () => {
    const { started, aborted } = { ...waits };
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/live`, { headers: { authorization } });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'call', id: 'a', operation: 'note.wait', input: {} }));
    await expect.poll(() => waits.started).toBe(started + 1);
    const closed = once(socket, 'close');
    await change({ ...ada, scopes: ['note:read', 'note:write'] });
    await change(undefined);
    expect((await closed)[0]).toBe(1008);
    await expect.poll(() => waits.aborted).toBe(aborted + 1);
  });

  it.each(['2026-07-28', '2025-11-25'])('a tool that takes long is aborted (%s)', async (revision) => {
    const { started, aborted } = { ...waits };
    const client = await connect(revision);
    const call = client.callTool({ name: 'note_wait', arguments: {} }).catch(String);
    await expect.poll(() => waits.started).toBe(started + 1);
    await change(undefined);
    await expect.poll(() => waits.aborted).toBe(aborted + 1);
    await client.close();
    await call;
  });

  it('what gives less than before ends too, and the next call gets what it gives now', async () => {
    const { aborted, started } = { ...waits };
    const client = await connect('2026-07-28');
    const call = client.callTool({ name: 'note_wait', arguments: {} }).catch(String);
    await expect.poll(() => waits.started).toBe(started + 1);
    await change({ ...ada, scopes: ['note:read'] });
    await expect.poll(() => waits.aborted).toBe(aborted + 1);
    await call;
    const refused = await client.callTool({ name: 'note_create', arguments: { title: 'x' } });
    expect(refused).toMatchObject({ isError: true, structuredContent: { error: { code: 'forbidden' } } });
    await client.close();
  });

  it('the stream of a session (2025-11-25) ends', async () => {
    const headers = { ...accept, authorization };
    const begun = await server.request('POST', '/mcp', { body: initialize, headers });
    const session = {
      'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
      'mcp-protocol-version': '2025-11-25',
    };
    await server.request('POST', '/mcp', {
      body: { jsonrpc: '2.0', method: 'notifications/initialized' },
      headers: { ...headers, ...session },
    });
    const stream = await fetch(`${server.url}/mcp`, { headers: { ...headers, ...session } });
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    await change(undefined);
    await stream.text();
    const again = await fetch(`${server.url}/mcp`, { headers: { ...headers, ...session } });
    expect(again.status).toBe(401);
  });

  it('a resource is watched no longer: neither by a stream of 2026-07-28 nor for a session of 2025-11-25', async () => {
    await server.stop();
    await serve({
      surface: { ...conformanceSurface(), streams: async (_asker, uri) => [uri.split('/').at(-1) ?? ''] },
    });
    const { body } = await server.request('POST', '/api/v1/notes', { body: { title: 'Watched' } });
    const note = String(body['id']);
    const told: string[] = [];
    const [older, newer] = [await connect('2025-11-25'), await connect('2026-07-28')];
    for (const client of [older, newer])
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri));
    await older.subscribeResource({ uri: `test://older/${note}` });
    await newer.listen({ resourceSubscriptions: [`test://newer/${note}`] });
    const rename = () => server.request('POST', `/api/v1/notes/${note}/rename`, { body: { title: `${told.length}` } });
    await rename();
    await expect.poll(() => told.toSorted()).toEqual([`test://newer/${note}`, `test://older/${note}`]);
    await change(undefined);
    await expect.poll(() => server.feed?.waiting).toBe(0);
    await Promise.all([older.close(), newer.close()]);
  });
});
