import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { agentEvents, agentOps } from '../agents/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
beforeEach(async () => {
  local = await new Local().init();
});
afterEach(() => local.destroy());

async function account(home: LocalHome, token: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${home.server.url ?? ''}/api/v1/account`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: response.status, text: await response.text() };
}

/** An agent that says who MAOS takes it for, and goes on until it is told to end. */
async function startAgent(home: LocalHome, name: string): Promise<{ agent: string; token: string }> {
  const file = (suffix: string): string => join(local.root, `${name}.${suffix}`);
  const script = `const fs = require('node:fs');
    fs.writeFileSync('${file('token')}', process.env.MAOS_TOKEN + ' ' + process.env.MAOS_URL);
    fetch(process.env.MAOS_URL + '/api/v1/account', { headers: { authorization: 'Bearer ' + process.env.MAOS_TOKEN } })
      .then((answer) => answer.text()).then((text) => fs.writeFileSync('${file('account')}', text));
    const wait = () => fs.existsSync('${file('end')}') ? process.exit(0) : setTimeout(wait, 20);
    wait();`;
  const { id } = await home.call(agentOps.create, { name, runtime: 'command' });
  await home.call(agentOps.start, { agent: id, argv: [process.execPath, '-e', script], cwd: local.repository });
  await expect.poll(() => existsSync(file('account')), { timeout: 15_000 }).toBe(true);
  const [token = '', url] = readFileSync(file('token'), 'utf8').split(' ');
  expect(url).toBe(home.server.url);
  return { agent: id, token };
}

it('an agent calls MAOS as itself, over a restart of the server, until its session ends', async () => {
  const first = await local.start('home', { listens: true });
  const { agent, token } = await startAgent(first, 'one');
  expect(token).toMatch(/^maosa_[\w-]{43}$/);
  const said: unknown = JSON.parse(readFileSync(join(local.root, 'one.account'), 'utf8'));
  expect(said).toMatchObject({ actor: `agent:${agent}`, teams: [''], credential: `session ${agent}/1` });
  expect((await account(first, `${token}x`)).status).toBe(401);
  await first.server.close();
  const second = await local.start('home', { listens: true });
  expect(JSON.parse((await account(second, token)).text)).toEqual(said);
  const after = second.server.engine.feed.head;
  writeFileSync(join(local.root, 'one.end'), '');
  await second.sees(({ type, stream }) => type === agentEvents.ended.type && stream === agent, after);
  expect((await account(second, token)).status).toBe(401);
  await second.server.close();
  expect(local.database()).toContain('agent.token_issued');
  expect(local.database()).not.toContain(token);
});

it('an agent is given nothing when nobody listens', async () => {
  const home = await local.start();
  const run = await home.carryOut(
    `name: alone\ntasks:\n  - {id: one, command: 'test -z "$MAOS_TOKEN$MAOS_URL" && echo yes > one.txt'}\n`,
  );
  expect(run.state).toBe('succeeded');
});
