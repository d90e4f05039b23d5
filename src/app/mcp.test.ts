import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientCapabilities, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentScopes, type Role } from '../auth/roles.ts';
import { fieldsOfInput } from '../gateway/fields.ts';
import { aliases } from '../gateway/mcp/alias.ts';
import { runWait } from '../gateway/mcp/runs.ts';
import { toolName, Tools } from '../gateway/mcp/tools.ts';
import { toolsets } from '../gateway/mcp/toolset.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { policyOps } from '../policy/contract.ts';
import { Inside, planOf, untilThere } from './inside.fixture.ts';
import { operations } from './operations.ts';
import { Site } from './site.fixture.ts';

const tools = new Tools(operations, [runWait]);
const listOf = (scopes: readonly string[], toolset: string | null = null) =>
  tools.list({ caller: { actor: { kind: 'agent', id: 'agent_1' }, scopes, teams: null, credential: null }, toolset });
const kilobytes = (value: unknown): number => JSON.stringify(value).length / 1024;

describe('what is shown', () => {
  it('to a worker is under 8 KB', () => {
    const list = listOf(agentScopes('worker'));
    expect(list.map(({ name }) => name)).toEqual(expect.arrayContaining(['task_claim', 'task_complete', 'run_diff']));
    expect(kilobytes({ tools: list })).toBeLessThan(8);
  });

  it.each<[Role, number]>([
    ['coordinator', 32],
    ['monitor', 16],
    ['merger', 16],
    ['notifier', 16],
    ['viewer', 16],
  ])('to a %s is at most %d KB of prompt; what a tool answers is told besides', (role, most) => {
    const list = listOf(agentScopes(role));
    expect(list.length).toBeGreaterThan(4);
    const prompt = list.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
    expect(kilobytes(prompt)).toBeLessThan(most);
    expect(list.filter(({ outputSchema }) => outputSchema === undefined).map(({ name }) => name)).toEqual(
      list.some(({ name }) => name === 'run_wait') ? ['run_wait'] : [],
    );
  });

  it('is only what the caller may use, whatever it asks for', () => {
    const names = listOf(agentScopes('worker'), 'all').map(({ name }) => name);
    const forbidden = operations.filter(({ scope }) => scope === 'admin:write' || scope === 'run:write');
    for (const { name } of forbidden) expect(names).not.toContain(toolName(name));
  });

  it('is never what MAOS reports to itself, nor what handles a secret', () => {
    const names = listOf(['*'], 'all').map(({ name }) => name);
    for (const { name, internal, open, secrets } of operations) {
      const hidden = internal === true || open === true || secrets !== undefined;
      expect(names.includes(toolName(name)), name).toBe(!hidden);
    }
  });

  it('can be read by every client: plain names, and an object with properties at the root of each schema', () => {
    for (const { name, inputSchema, description = '' } of listOf(['*'], 'all')) {
      expect(name).toMatch(/^[a-z][a-z0-9_]{0,47}$/);
      expect(Object.keys(inputSchema), name).not.toEqual(expect.arrayContaining(['anyOf']));
      expect(inputSchema, name).toMatchObject({ type: 'object', properties: expect.any(Object) });
      expect(description.length, name).toBeGreaterThan(10);
    }
  });

  it('has no selection of what there is not', () => {
    const nouns = new Set(operations.map(({ name }) => name.split('.')[0]));
    const names = new Set(operations.map(({ name }) => name));
    const unknown = Object.values(toolsets)
      .flatMap((set) => set.operations)
      .filter((one) => one !== '*' && !names.has(one) && !(one.endsWith('.*') && nouns.has(one.slice(0, -2))));
    expect(unknown).toEqual([]);
  });

  it('has an operation behind every other name, with every field that it translates to', () => {
    for (const [name, { operation, fields = {} }] of Object.entries(aliases)) {
      const found = operations.find((one) => one.name === operation);
      expect(found, name).toBeDefined();
      const known = found === undefined ? [] : fieldsOfInput(found).map((field) => field.name);
      for (const field of new Set(Object.values(fields))) expect(known, `${name}: ${field}`).toContain(field);
    }
  });
});

describe('a client of MAOS', () => {
  const site = new Site();
  let inside: Inside;
  const clients: Client[] = [];

  async function connect(mode: 'legacy' | 'modern', capabilities: ClientCapabilities = {}): Promise<Client> {
    const client = new Client(
      { name: 'test', version: '1' },
      {
        versionNegotiation: { mode: mode === 'legacy' ? 'legacy' : { pin: '2026-07-28' } },
        capabilities,
      },
    );
    const { url, token } = inside.server;
    const headers = { authorization: `Bearer ${token}` };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
    clients.push(client);
    return client;
  }

  beforeAll(async () => {
    inside = await Inside.start(site, { listens: true });
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
    await inside.close();
    await site.destroy();
  });

  const plan = (name: string): string =>
    planOf(name, [{ id: 'write', command: `${untilThere(`${site.root}/${name}`)}; echo done > ${name}.txt` }]);
  const go = (name: string): void => writeFileSync(join(site.root, name), '');
  const create = (name: string) => ({ name: 'run_create', arguments: { plan: plan(name), cwd: site.repository } });

  it.each(['legacy', 'modern'] as const)(
    'starts a run, waits for it with progress, and reads what it made (%s)',
    async (mode) => {
      const client = await connect(mode);
      const name = `waited-${mode}`;
      const { structuredContent: made } = await client.callTool(create(name));
      expect(made).toMatchObject({ state: 'running' });
      const told: (string | undefined)[] = [];
      const waiting = client.callTool(
        { name: 'run_wait', arguments: { run: `${name}-1` } },
        { onprogress: ({ message }) => void told.push(message) },
      );
      await expect.poll(() => told.length).toBeGreaterThan(0);
      go(name);
      const { structuredContent: done } = await waiting;
      expect(done).toMatchObject({ name: `${name}-1`, state: 'succeeded' });
      expect(told[0]).toBe(`${name}-1: 0 of 1 tasks done`);

      const { resources } = await client.listResources();
      const uris = resources.filter((one) => one.name.startsWith(name)).map(({ uri }) => uri);
      const texts = await Promise.all(uris.map(async (uri) => (await client.readResource({ uri })).contents));
      expect(JSON.stringify(texts)).toContain(`+done`);
      expect(JSON.stringify(texts)).toContain(`# ${name}-1`);
      await expect(client.readResource({ uri: 'maos://run/run_nope/report' })).rejects.toThrow('run_nope');
      await expect(client.readResource({ uri: 'file:///etc/passwd' })).rejects.toThrow('passwd');
    },
  );

  it('reads the transcript of a session, and completes the names of runs', async () => {
    const client = await connect('legacy');
    const { resources } = await client.listResources();
    const transcript = resources.find(({ uri }) => uri.endsWith('/transcript'));
    expect(transcript).toBeDefined();
    const { contents } = await client.readResource({ uri: transcript?.uri ?? '' });
    expect(contents).toMatchObject([{ mimeType: 'text/plain' }]);
    const ref = { type: 'ref/resource' as const, uri: 'maos://run/{run}/report' };
    const { completion } = await client.complete({ ref, argument: { name: 'run', value: 'waited' } });
    expect(completion.values.toSorted()).toEqual(['waited-legacy-1', 'waited-modern-1']);
  });

  it('that takes tasks is handed the run as one: it is durable, tells its end, and can be cancelled', async () => {
    const headers = { authorization: `Bearer ${inside.server.token}`, 'content-type': 'application/json' };
    const send = async (method: string, params: Record<string, unknown>, name: string) => {
      const meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
      };
      const answer = await fetch(`${inside.server.url}/mcp`, {
        method: 'POST',
        headers: {
          ...headers,
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': method,
          'mcp-name': name,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
      });
      const body: { result: Record<string, unknown> } = JSON.parse(await answer.text());
      return body.result;
    };
    const task = await send('tools/call', create('handed'), 'run_create');
    const taskId = String(task['taskId']);
    expect(task).toMatchObject({ resultType: 'task', status: 'working', taskId: expect.stringMatching(/^run_/) });
    expect(await send('tasks/get', { taskId }, taskId)).toMatchObject({ status: 'working' });
    go('handed');
    await inside.settled(taskId);
    expect(await send('tasks/get', { taskId }, taskId)).toMatchObject({
      status: 'completed',
      result: { structuredContent: { state: 'succeeded' } },
    });

    const other = String((await send('tools/call', create('cancelled'), 'run_create'))['taskId']);
    await send('tasks/cancel', { taskId: other }, other);
    expect(await send('tasks/get', { taskId: other }, other)).toMatchObject({ status: 'cancelled' });
  });

  it.each(['legacy', 'modern'] as const)(
    'that can ask its user puts what waits for an approval to them, and carries out the answer (%s)',
    async (mode) => {
      const name = `asking-${mode}`;
      const { id: run } = await inside.begin(plan(name));
      const what = { kind: 'bash' as const, argv: ['rm', '-rf', '/tmp/elsewhere'], cwd: site.repository };
      const asked = (subject: string) =>
        inside.maos(approvalOps.ask, {
          ...{
            subject: `${name} ${subject}`,
            actor: 'agent:agent_1',
            run,
            what,
            rule: null,
            reason: 'It removes files.',
          },
          risk: 'high',
        });
      const [first, second] = [await asked('first'), await asked('second')];
      const questions: string[] = [];
      const client = await connect(mode, { elicitation: {} });
      client.setRequestHandler('elicitation/create', ({ params }) => {
        questions.push(params.message);
        const decision = params.message.includes(first.id) ? 'approve' : 'deny';
        go(name);
        return { action: 'accept', content: { decision } };
      });
      const { structuredContent } = await client.callTool({ name: 'run_wait', arguments: { run } });
      expect(structuredContent).toMatchObject({ state: 'succeeded' });
      expect(questions.join()).toContain('agent:agent_1 wants (high risk)');
      expect(questions.join()).toContain('rm -rf /tmp/elsewhere');
      const state = async (approval: string) => (await inside.user(approvalOps.get, { approval })).state;
      expect([await state(first.id), await state(second.id)]).toEqual(['approved', 'denied']);
    },
  );

  describe('where a rule asks about an operation', () => {
    const rule = {
      id: 'tasks-cost',
      match: { kind: 'operation' as const, operation: 'task.create' },
      decision: 'ask' as const,
    };
    beforeAll(() => inside.user(policyOps.set, { rules: [rule] }));
    afterAll(() => inside.user(policyOps.set, { remove: [rule.id] }));
    const entryOf = async (title: string) => {
      const { approvals } = await inside.user(approvalOps.list, {});
      const found = approvals.find(({ what }) => what.command?.includes(title));
      if (found === undefined) throw new Error(`Nobody was asked about ${title}.`);
      return found;
    };
    const asking = async (mode: 'legacy' | 'modern', decision: string | null) => {
      const questions: string[] = [];
      const client = await connect(mode, { elicitation: {} });
      client.setRequestHandler('elicitation/create', ({ params }) => {
        questions.push(params.message);
        return decision === null
          ? { action: 'decline' }
          : { action: 'accept', content: { decision, reason: 'Too dear.' } };
      });
      return { client, questions };
    };

    it.each(['legacy', 'modern'] as const)('asks the person there, and does what they answer (%s)', async (mode) => {
      const title = `asked ${mode}`;
      const create = { name: 'task_create', arguments: { title } };
      const declined = await asking(mode, null);
      expect(await declined.client.callTool(create)).toMatchObject({ isError: true });
      expect(await entryOf(title)).toMatchObject({ state: 'open' });
      const { client, questions } = await asking(mode, 'approve');
      expect((await client.callTool(create)).structuredContent).toMatchObject({ title });
      expect(questions.join()).toContain(`user:local wants (medium risk):\ntask.create {`);
      expect(await entryOf(title)).toMatchObject({ state: 'approved', agreed: ['user:local'] });
      const refusing = await asking(mode, 'deny');
      const refused = await refusing.client.callTool({ name: 'task_create', arguments: { title: `no ${mode}` } });
      expect(JSON.stringify(refused)).toContain('Too dear.');
      expect(refused).toMatchObject({ isError: true });
    });

    it('lets no model answer in the name of a person: they are asked, or nobody is', async () => {
      const title = 'answered by a model';
      const client = await connect('modern');
      expect(await client.callTool({ name: 'task_create', arguments: { title } })).toMatchObject({ isError: true });
      const { id } = await entryOf(title);
      for (const name of ['approval_approve', 'approval_deny']) {
        const answer = await client.callTool({ name, arguments: { approvals: [id] } });
        expect(answer).toMatchObject({ isError: true });
        expect(JSON.stringify(answer)).toContain('maos inbox');
      }
      expect(await entryOf(title)).toMatchObject({ state: 'open' });
      const approve = { name: 'approval_approve', arguments: { approvals: [id] } };
      const other = await asking('modern', 'deny');
      expect((await other.client.callTool(approve)).structuredContent).toMatchObject({
        approvals: [{ state: 'denied' }],
      });
      expect(other.questions).toHaveLength(1);
    });
  });

  it('answers to the names of other fleets', async () => {
    const client = await connect('legacy');
    const { structuredContent: made } = await client.callTool({ name: 'workitem_create', arguments: { title: 'Old' } });
    const id = String(Object(made).id);
    const { structuredContent: retold } = await client.callTool({
      name: 'workitem_update',
      arguments: { workItemId: id, title: 'New' },
    });
    expect(retold).toMatchObject({ id, title: 'New' });
  });
});
