import { afterEach, beforeEach, expect, it } from 'vitest';
import { personScopes } from '../auth/roles.ts';
import type { Caller } from '../kernel/caller.ts';
import type { Call } from '../kernel/handler.ts';
import { projectOps } from '../projects/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
let home: LocalHome;
beforeEach(async () => {
  local = await new Local().init();
  home = await local.start();
});
afterEach(() => local.destroy());

const plan = 'name: team\ntasks:\n  - {id: one, command: echo one > one.txt}\n';
const of = (team: string): Call => {
  const actor = { kind: 'user', id: `of-${team}` } as const;
  const caller: Caller = { actor, scopes: personScopes('coordinator'), teams: [team], credential: 'login_x' };
  return home.server.registry.as(caller);
};

it('a team cannot run a plan in the repository of another, though it knows the folder', async () => {
  await home.call(projectOps.add, { path: local.repository, team: 'blue' });
  const create = of('red')(runOps.create, { plan, cwd: local.repository });
  await expect(create).rejects.toMatchObject({ code: 'not_found' });
  await expect(of('red')(projectOps.add, { path: local.repository })).rejects.toMatchObject({ code: 'not_found' });
  expect(home.records().filter(({ type }) => type.startsWith('run.') || type.startsWith('step.'))).toEqual([]);
  expect(await local.branches()).toEqual([]);
});

it('a team carries out a run in its own repository, which it may make known itself, and nobody else sees it', async () => {
  const after = home.server.engine.feed.head;
  const red = of('red');
  const { id } = await red(runOps.create, { plan, cwd: local.repository });
  await home.settled(id, after);
  const run = await red(runOps.get, { run: id });
  expect(run).toMatchObject({ state: 'succeeded', name: 'team-1' });
  expect((await red(projectOps.list, {})).projects).toMatchObject([{ id: run.project, team: 'red' }]);
  expect((await red(runOps.merge, { run: 'team-1' })).branch).toBe('main');
  const blue = of('blue');
  for (const op of [runOps.get, runOps.report, runOps.merge, runOps.diff] as const)
    await expect(
      home.server.registry.call(
        op.name,
        { run: id },
        { caller: { actor: { kind: 'user', id: 'x' }, scopes: ['*'], teams: ['blue'], credential: 'key_x' } },
      ),
    ).rejects.toMatchObject({ code: 'not_found' });
  expect((await blue(runOps.list, {})).runs).toEqual([]);
  expect((await blue(projectOps.list, {})).projects).toEqual([]);
});
