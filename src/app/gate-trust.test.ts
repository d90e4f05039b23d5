import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentEvents, agentOps } from '../agents/contract.ts';
import { agentScopes, personScopes } from '../auth/roles.ts';
import { type Caller, localCaller } from '../kernel/caller.ts';
import { type Approval, approvalOps } from '../policy/approvals/contract.ts';
import { secretOps } from '../secrets/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

const rules = `rules:
  - { id: outside, match: { kind: bash, path: { outside: workspace, access: delete } }, decision: ask, risk: high }
  - { id: others, match: { tool: 'mcp__x__*' }, decision: ask }
`;

let local: Local;
let home: LocalHome;
let agent: string;
beforeAll(async () => {
  local = await new Local().init();
  mkdirSync(join(local.root, 'home'), { mode: 0o700 });
  writeFileSync(join(local.root, 'home/policy.yaml'), rules);
  home = await local.start();
  agent = (await home.call(agentOps.create, { runtime: 'command' })).id;
  await home.call(agentOps.start, { agent, argv: ['sleep', '600'], cwd: local.repository });
});
afterAll(async () => {
  // What an agent asks is closed with its end, so it has to live as long as the tests do.
  await home.call(agentOps.stop, { agent });
  await home.sees(({ type }) => type === agentEvents.ended.type);
  await local.destroy();
});

const session = (id: string): Caller => ({
  ...{ actor: { kind: 'agent', id }, scopes: agentScopes('worker'), role: 'worker' },
  ...{ teams: null, credential: `session ${id}/1` },
});
const ada: Caller = {
  actor: { kind: 'user', id: 'ada' },
  scopes: personScopes('coordinator'),
  teams: null,
  credential: 'key_1',
};

let calls = 0;
const gate = async (caller: Caller, tool: string, input: object, more: object = {}) => {
  calls += 1;
  const asked = { tool, input, call: `call ${calls}`, cwd: local.repository, ...more };
  return approvalOps.gate.output.parse(await home.server.registry.call('approval.gate', asked, { caller }));
};
const entryOf = async (caller: Caller, tool: string, input: object, more: object = {}): Promise<Approval> => {
  const { effect, approval } = await gate(caller, tool, input, more);
  expect(effect).toBe('wait');
  return home.call(approvalOps.get, { approval: approval ?? '' });
};

describe('who asks the gate', () => {
  it('is whom the token says; only the owner of the machine speaks for an agent, and for one that is there', async () => {
    const remove = { command: 'rm -rf /srv/elsewhere' };
    expect(await entryOf(session(agent), 'Bash', remove, { agent })).toMatchObject({ actor: `agent:${agent}`, agent });
    expect(await entryOf(localCaller, 'Bash', remove, { agent })).toMatchObject({ actor: `agent:${agent}`, agent });
    expect(await entryOf(ada, 'Bash', remove)).toMatchObject({ actor: 'user:ada', agent: null });
    for (const caller of [ada, session('agent_other')])
      await expect(gate(caller, 'Bash', remove, { agent })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(gate(localCaller, 'Bash', remove, { agent: 'agent_nobody' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('does not read with whose token other hooks ask', async () => {
    const file = { file_path: join(local.root, 'home/hooks/agent_other.1/identity.json') };
    expect(await gate(session(agent), 'Read', file)).toMatchObject({ effect: 'block', rule: 'maos.secrets' });
  });

  it('has no say in where an agent works', async () => {
    const { effect } = await gate(session(agent), 'Bash', { command: 'rm -rf /srv/elsewhere' }, { workspace: '/' });
    expect(effect).toBe('wait');
  });
});

describe('what is shown to whoever answers', () => {
  it('has no secret in it, and then nobody can say "always"', async () => {
    await home.call(secretOps.set, { name: 'API_KEY', value: 'the-secret-value' });
    const entry = await entryOf(session(agent), 'Bash', { command: 'KEY=the-secret-value rm -rf /srv/elsewhere' });
    expect(entry).toMatchObject({
      hidden: 'secrets in it are not shown',
      what: { command: 'KEY=*** rm -rf /srv/elsewhere' },
    });
    expect(JSON.stringify(home.records().filter(({ stream }) => stream === entry.id))).not.toContain('secret-value');
    const always = home.call(approvalOps.approve, { approvals: [entry.id], always: true });
    await expect(always).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('more than it shows'),
    });
  });

  it('is the input of a tool that nobody knows; an "always" is about that input alone', async () => {
    const entry = await entryOf(session(agent), 'mcp__x__send', { to: 'all' });
    expect(entry).toMatchObject({ what: { tool: 'mcp__x__send', input: '{"to":"all"}' }, hidden: null });
    await home.call(approvalOps.approve, { approvals: [entry.id], always: true });
    expect((await gate(session(agent), 'mcp__x__send', { to: 'all' })).effect).toBe('allow');
    expect((await gate(session(agent), 'mcp__x__send', { to: 'one' })).effect).toBe('wait');
  });

  it('is no "always" where the end is cut off', async () => {
    const long = { to: 'x'.repeat(200_000) };
    expect(await entryOf(session(agent), 'mcp__x__send', long)).toMatchObject({ hidden: 'the end of it is cut off' });
  });

  it('is answered by people: their programs do not call the tools that answer', async () => {
    const { effect, reason } = await gate(localCaller, 'mcp__maos__approval_approve', { approvals: ['x'] });
    expect({ effect, reason }).toMatchObject({ effect: 'block', reason: expect.stringContaining('maos inbox') });
    expect((await gate(localCaller, 'mcp__maos__approval_list', {})).effect).toBe('allow');
  });
});
