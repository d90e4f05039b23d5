import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { agentEvents, agentOps } from '../agents/contract.ts';
import type { Gate } from '../agents/runtime.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { toolGate } from './gates.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
let home: LocalHome;
let gate: Gate;
let agent: string;
beforeAll(async () => {
  local = await new Local().init();
  home = await local.start('home', { listens: true });
  const file = (name: string): string => join(local.root, name);
  const script = `printf %s "$MAOS_TOKEN" > '${file('new')}'; mv '${file('new')}' '${file('token')}'
    while [ -e '${file('token')}' ] && [ ! -e '${file('end')}' ]; do sleep 0.05; done`;
  agent = (await home.call(agentOps.create, { runtime: 'command' })).id;
  await home.call(agentOps.start, { agent, argv: ['sh', '-c', script], cwd: local.repository });
  await vi.waitFor(() => expect(existsSync(file('token'))).toBe(true), { timeout: 15_000 });
  const make = toolGate(join(local.root, 'home'));
  gate = make({ agent, generation: 1 }, { MAOS_TOKEN: readFileSync(file('token'), 'utf8') });
});
afterAll(() => local.destroy());

/** Runs the hook as Claude does, in an environment in which everything is set that could lead it astray. */
async function hook(command: string): Promise<{ code: unknown; out: string }> {
  const evil = join(local.root, 'evil');
  writeFileSync(evil, 'process.exit(0)\n');
  const [program = '', ...args] = gate.argv;
  const child = spawn(program, args, {
    cwd: local.repository,
    env: {
      ...{ PATH: local.root, NODE_OPTIONS: `--require ${evil}`, BASH_ENV: evil, ENV: evil, SHELLOPTS: 'noexec' },
      ...{
        'BASH_FUNC_printf%%': '() { exit 0; }',
        MAOS_HOME: '/nowhere',
        MAOS_TOKEN: 'none',
        MAOS_AGENT: 'agent_other',
      },
    },
  });
  child.stdin.end(
    JSON.stringify({ tool_name: 'Bash', tool_input: { command }, tool_use_id: command, cwd: local.repository }),
  );
  const ended = new Promise<unknown>((resolve) => child.once('close', resolve));
  return { out: await text(child.stdout), code: await ended };
}

it('asks for its agent whatever its environment says, and is silent only when nothing forbids the call', async () => {
  expect(await hook('git status')).toEqual({ code: 0, out: '' });
  expect(JSON.parse((await hook('mkfs.ext4 nothing.img')).out)).toMatchObject({
    hookSpecificOutput: { permissionDecision: 'deny', permissionDecisionReason: expect.stringContaining('disk') },
  });
  const asked = hook('git push --force');
  const open = async () => (await home.call(approvalOps.list, { state: ['open'] })).approvals;
  await expect.poll(open, { timeout: 15_000 }).toMatchObject([{ actor: `agent:${agent}` }]);
  const [entry] = await open();
  await home.call(approvalOps.approve, { approvals: [entry?.id ?? ''] });
  expect(JSON.parse((await asked).out)).toMatchObject({ hookSpecificOutput: { permissionDecision: 'allow' } });
});

it('refuses when it does not know for whom it asks; what it needs goes with the session', async () => {
  rmSync(join(gate.folder, 'identity.json'));
  expect(JSON.parse((await hook('git status')).out)).toMatchObject({
    hookSpecificOutput: { permissionDecision: 'deny' },
  });
  const after = home.server.engine.feed.head;
  writeFileSync(join(local.root, 'end'), '');
  await home.sees(({ type }) => type === agentEvents.ended.type, after);
  await expect.poll(() => existsSync(gate.folder)).toBe(false);
});

it.each([
  [{ args: ['--safe-mode'] }, '--safe-mode'],
  [{ env: { CLAUDE_CODE_SIMPLE: '1' } }, 'CLAUDE_CODE_SIMPLE'],
])('no agent is started whose definition would open the gate: %j', async (definition, named) => {
  const { id } = await home.call(agentOps.create, { runtime: 'claude', ...definition });
  const after = home.server.engine.feed.head;
  await home.call(agentOps.start, { agent: id, prompt: 'Do it.', cwd: local.repository });
  const ended = await home.sees(({ type, stream }) => type === agentEvents.ended.type && stream === id, after);
  expect(ended.data).toMatchObject({ outcome: { reason: 'not_started', message: expect.stringContaining(named) } });
});
