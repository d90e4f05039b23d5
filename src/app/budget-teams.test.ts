import { afterEach, beforeEach, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { personScopes, type Role } from '../auth/roles.ts';
import { budgetEvents, budgetOps } from '../budgets/contract.ts';
import type { Caller } from '../kernel/caller.ts';
import type { Call } from '../kernel/handler.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { projectOps } from '../projects/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
let home: LocalHome;
beforeEach(async () => {
  local = await new Local().init();
  home = await local.start();
});
afterEach(() => local.destroy());

const as = (role: Role, team: string): Call => {
  const actor = { kind: 'user', id: `${role}-${team}` } as const;
  const caller: Caller = { actor, scopes: personScopes(role), teams: [team], credential: 'login_x' };
  return home.server.registry.as(caller);
};

it('a project’s budget is its team’s; the fleet’s, and what it asks, is for those who are bound to no team', async () => {
  const { id: project } = await home.call(projectOps.add, { path: local.repository, team: 'red' });
  const [red, blue] = [as('admin', 'red'), as('admin', 'blue')];
  const ours = await red(budgetOps.set, { project, tokens: 5, atLimit: 'ask' });
  const fleet = await home.call(budgetOps.set, { tokens: 5, atLimit: 'ask' });
  await expect(red(budgetOps.set, { usd: 1 })).rejects.toMatchObject({ code: 'invalid' });
  for (const [call, budget] of [
    [red, fleet.id],
    [blue, fleet.id],
    [blue, ours.id],
  ] as const) {
    await expect(call(budgetOps.get, { budget })).rejects.toMatchObject({ code: 'not_found' });
    await expect(call(budgetOps.set, { budget, tokens: 9 })).rejects.toMatchObject({ code: 'not_found' });
    await expect(call(budgetOps.remove, { budget })).rejects.toMatchObject({ code: 'not_found' });
  }
  await expect(blue(budgetOps.set, { project, tokens: 9 })).rejects.toMatchObject({ code: 'not_found' });
  expect((await red(budgetOps.list, {})).budgets.map(({ id }) => id)).toEqual([ours.id]);
  expect((await blue(budgetOps.list, {})).budgets).toEqual([]);
  // Nobody but administrators raises a budget: no agent is one.
  await expect(as('coordinator', 'red')(budgetOps.set, { budget: ours.id, tokens: 9 })).rejects.toMatchObject({
    code: 'forbidden',
  });

  const agent = await red(agentOps.create, { runtime: 'fake', project });
  const script = '```yaml\n- usage: { input: 9, cost: 0.5 }\n- result: done\n```\n';
  await red(agentOps.start, { agent: agent.id, prompt: script, cwd: local.root });
  let asked = 0;
  await home.sees(({ type }) => {
    if (type === budgetEvents.asked.type) asked += 1;
    return asked === 2;
  });
  const all = (await home.call(approvalOps.list, {})).approvals;
  const seen = (await as('coordinator', 'red')(approvalOps.list, {})).approvals;
  expect(all).toHaveLength(2);
  expect(seen.map(({ reason }) => reason)).toEqual([expect.stringContaining('project repository’s budget')]);
  expect((await as('coordinator', 'blue')(approvalOps.list, {})).approvals).toEqual([]);
  const [fleets] = all.filter(({ id }) => id !== seen[0]?.id);
  await expect(red(approvalOps.approve, { approvals: [fleets?.id ?? ''] })).rejects.toMatchObject({
    code: 'not_found',
  });
  await as('coordinator', 'red')(approvalOps.approve, { approvals: [seen[0]?.id ?? ''] });
  await home.sees(({ type, stream }) => type === budgetEvents.allowed.type && stream === ours.id);
  expect(await red(budgetOps.get, { budget: ours.id })).toMatchObject({ allowed: { tokens: 5 }, over: null });
});
