import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waits } from '../gateway.fixture.ts';
import { conformanceSurface } from './conformance.fixture.ts';
import { McpTestServer } from './server.fixture.ts';

const revisions = ['2026-07-28', '2025-11-25'] as const;
type Revision = (typeof revisions)[number];

let server: McpTestServer;
const clients: Client[] = [];
beforeEach(async () => {
  server = new McpTestServer();
  await server.serve();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await server.remove();
});

async function connect(revision: Revision, query = '?toolset=all'): Promise<Client> {
  const mode = revision === '2025-11-25' ? ('legacy' as const) : { pin: revision };
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${server.url}/mcp${query}`), {
      requestInit: { headers: { authorization: `Bearer ${server.token}` } },
    }),
  );
  clients.push(client);
  return client;
}

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: { elicitation: {} }, clientInfo: { name: 't', version: '1' } },
};
const accept = { accept: 'application/json, text/event-stream' };

describe.each(revisions)('a client of %s', (revision) => {
  it('sees every open operation as a tool, described by its contract', async () => {
    const { tools } = await (await connect(revision)).listTools();
    const names = tools.map(({ name }) => name);
    expect(names).toContain('note_create');
    expect(names).toEqual(names.toSorted());
    const create = tools.find(({ name }) => name === 'note_create');
    expect(create).toMatchObject({
      title: 'Create note',
      description: expect.stringContaining('Create a note.'),
      inputSchema: { type: 'object', required: expect.arrayContaining(['title']), additionalProperties: false },
      outputSchema: { type: 'object' },
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
    });
    expect(tools.find(({ name }) => name === 'note_get')?.annotations).toMatchObject({ readOnlyHint: true });
    expect(tools.find(({ name }) => name === 'note_drop')?.annotations).toMatchObject({ destructiveHint: true });
  });

  it('calls a tool and gets its output structured and as text', async () => {
    const client = await connect(revision);
    const made = await client.callTool({ name: 'note_create', arguments: { title: 'Hello' } });
    expect(made.structuredContent).toMatchObject({ title: 'Hello', kind: 'idea' });
    expect(made.content).toEqual([{ type: 'text', text: JSON.stringify(made.structuredContent) }]);
  });

  it('is told a refusal as an error of the tool: code, what was wrong, what to do', async () => {
    const client = await connect(revision);
    const refused = await client.callTool({ name: 'note_create', arguments: { titel: 'Hello' } });
    expect(refused).toMatchObject({ isError: true, structuredContent: { error: { code: 'invalid' } } });
    expect(JSON.stringify(refused.content)).toMatch(/invalid: .*title.*fix: /);
    const missing = await client.callTool({ name: 'note_get', arguments: { note: 'note_nope' } });
    expect(missing).toMatchObject({ isError: true, structuredContent: { error: { code: 'not_found' } } });
  });

  it('is told nothing of the inside of a defect', async () => {
    const client = await connect(revision);
    const failed = await client.callTool({ name: 'note_fail', arguments: {} });
    expect(failed.isError).toBe(true);
    expect(JSON.stringify(failed)).not.toContain('secret');
    expect(String(server.failures)).toContain('secret');
  });

  it('is told which tool was meant', async () => {
    const client = await connect(revision);
    await expect(client.callTool({ name: 'note_creat', arguments: {} })).rejects.toThrow('Did you mean "note_create"?');
  });

  it('cancels what it no longer wants', async () => {
    const client = await connect(revision);
    const { started, aborted } = { ...waits };
    const stop = new AbortController();
    const waiting = client.callTool({ name: 'note_wait', arguments: {} }, { signal: stop.signal }).catch(String);
    await expect.poll(() => waits.started).toBe(started + 1);
    stop.abort();
    await waiting;
    await expect.poll(() => waits.aborted).toBe(aborted + 1);
  });

  it('repeats a call under its key, and it is carried out once', async () => {
    const client = await connect(revision);
    const call = { name: 'note_create', arguments: { title: 'Once' }, _meta: { 'maos/idempotency-key': 'k1' } };
    const [one, two] = [await client.callTool(call), await client.callTool(call)];
    expect(two.structuredContent).toEqual(one.structuredContent);
    const { structuredContent } = await client.callTool({ name: 'note_list', arguments: {} });
    expect(structuredContent).toMatchObject({ notes: [{ title: 'Once' }] });
  });

  it('is refused a toolset that there is not', async () => {
    const client = await connect(revision, '?toolset=wroker');
    await expect(client.listTools()).rejects.toThrow('Did you mean "worker"?');
  });

  it('fills in a prompt, and is told which argument is missing', async () => {
    const client = await connect(revision);
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(['plan_run', 'review_run', 'resolve_conflict']);
    const { messages } = await client.getPrompt({ name: 'review_run', arguments: { run: 'site-1' } });
    expect(JSON.stringify(messages)).toContain('Review the run site-1');
    await expect(client.getPrompt({ name: 'review_run' })).rejects.toThrow('needs the argument');
  });
});

describe('the door', () => {
  it.each([
    ['no token', { authorization: '' }, 401],
    ['a wrong token', { authorization: 'Bearer nope' }, 401],
    ['the page of another site', { origin: 'http://evil.example' }, 403],
  ])('refuses %s', async (_what, headers, status) => {
    const answer = await server.request('POST', '/mcp', { body: initialize, headers: { ...accept, ...headers } });
    expect(answer.status).toBe(status);
  });

  it.each([
    ['what is not JSON', '{"jsonrpc":', 400],
    ['what is nested too deep', `${'['.repeat(100)}${']'.repeat(100)}`, 400],
    ['what is too large', JSON.stringify({ ...initialize, filler: 'x'.repeat(1_100_000) }), 413],
  ])('answers %s in the form of JSON-RPC', async (_what, body, status) => {
    const answer = await server.request('POST', '/mcp', { body, headers: accept });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ jsonrpc: '2.0', error: { code: expect.any(Number) } });
  });
});

describe('a session of 2025-11-25', () => {
  const open = async (): Promise<string> => {
    const { headers } = await server.request('POST', '/mcp', { body: initialize, headers: accept });
    return headers.get('mcp-session-id') ?? '';
  };
  const list = (id: string) =>
    server.request('POST', '/mcp', {
      body: { jsonrpc: '2.0', id: 2, method: 'tools/list' },
      headers: { ...accept, 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' },
    });

  it('lives through a restart of the server', async () => {
    const id = await open();
    await server.stop();
    await server.serve();
    const answer = await list(id);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('tools');
  });

  it('is gone when its client has ended it', async () => {
    const id = await open();
    const ended = await server.request('DELETE', '/mcp', { headers: { ...accept, 'mcp-session-id': id } });
    expect(ended.status).toBe(200);
    expect((await list(id)).status).toBe(404);
  });

  it.each(['', 'nonsense', 'e30.x', `${'x'.repeat(3_000)}`])('is not made from the id "%.10s"', async (id) => {
    expect((await list(id)).status).toBe(404);
  });

  it('makes room for others and is made again', async () => {
    await server.stop();
    await server.serve({ limits: { followers: 2 } });
    const ids = [await open(), await open(), await open()];
    for (const id of ids) expect((await list(id)).status).toBe(200);
  });

  it('is told of what it watches, and no more once it has stopped', async () => {
    await server.stop();
    await server.serve({
      surface: { ...conformanceSurface(), streams: async (_asker, uri) => [uri.split('/').at(-1) ?? ''] },
    });
    const { body } = await server.request('POST', '/api/v1/notes', { body: { title: 'Watched' } });
    const uri = `test://${String(body['id'])}`;
    const client = await connect('2025-11-25');
    const told: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri));
    await client.subscribeResource({ uri });
    const rename = (title: string) =>
      server.request('POST', `/api/v1/notes/${String(body['id'])}/rename`, { body: { title } });
    await rename('Changed');
    await expect.poll(() => told).toEqual([uri]);
    await client.unsubscribeResource({ uri });
    await rename('Again');
    await client.ping();
    expect(told).toEqual([uri]);
  });
});

describe('a stream of 2026-07-28', () => {
  it('is told of what it watches', async () => {
    await server.stop();
    await server.serve({
      surface: { ...conformanceSurface(), streams: async (_asker, uri) => [uri.split('/').at(-1) ?? ''] },
    });
    const { body } = await server.request('POST', '/api/v1/notes', { body: { title: 'Watched' } });
    const uri = `test://${String(body['id'])}`;
    const client = await connect('2026-07-28');
    const told: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri));
    const stream = await client.listen({ resourceSubscriptions: [uri] });
    await server.request('POST', `/api/v1/notes/${String(body['id'])}/rename`, { body: { title: 'Changed' } });
    await expect.poll(() => told).toEqual([uri]);
    await stream.close();
  });
});
