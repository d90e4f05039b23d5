import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { personScopes, type Role } from '../auth/roles.ts';
import type { Caller } from '../kernel/caller.ts';
import type { Call } from '../kernel/handler.ts';
import { projectOps } from '../projects/contract.ts';
import { secretOps } from '../secrets/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
let home: LocalHome;
beforeEach(async () => {
  local = await new Local().init();
  home = await local.start('home', { extra: { DEPLOY_KEY: 'read-on-the-server-4711' } });
});
afterEach(() => local.destroy());

const as = (role: Role, teams: readonly string[] | null): Call => {
  const actor = { kind: 'user', id: `${role}-${String(teams)}` } as const;
  const caller: Caller = { actor, scopes: personScopes(role), teams, credential: 'login_x' };
  return home.server.registry.as(caller);
};

/** A plan whose tasks each hand on what they were given. */
const plan = (...given: string[]): string =>
  `name: team\ntasks:\n${given
    .map(
      (from, index) =>
        `  - {id: t${index}, command: 'test "$KEY" = "$EXPECTED" && echo "it is $KEY" && echo x > f${index}', env: {KEY: ${from}}, retries: 0}\n`,
    )
    .join('')}`.replaceAll('KEY: {', 'EXPECTED: expected, KEY: {');

/** Carries it out for a team, in a repository of that team. */
async function carriedOut(call: Call, text: string): Promise<RunDetail> {
  const after = home.server.engine.feed.head;
  const { id } = await call(runOps.create, { plan: text, cwd: local.repository });
  return home.settled(id, after);
}

describe('a secret of a team', () => {
  it('is given to what is done for that team, and is not there for another, which may have one of the same name', async () => {
    await home.call(projectOps.add, { path: local.repository, team: 'red' });
    await home.call(secretOps.set, { name: 'MINE', value: 'expected', team: 'red' });
    await home.call(secretOps.set, { name: 'THEIRS', value: 'expected', team: 'blue' });
    await home.call(secretOps.set, { name: 'BOTH', value: 'expected', team: 'red' });
    await home.call(secretOps.set, { name: 'BOTH', value: 'of the others', team: 'blue' });
    await home.call(secretOps.set, { name: 'NOBODYS', value: 'expected' });
    await home.call(secretOps.set, { name: 'LENT', value: 'expected', team: 'blue' });
    await home.call(secretOps.share, { name: 'LENT', with: ['green', 'red'] });
    const names = ['MINE', 'BOTH', 'LENT', 'THEIRS', 'NOBODYS', 'NEVER_SET'];
    const run = await carriedOut(as('coordinator', ['red']), plan(...names.map((name) => `{secret: ${name}}`)));
    expect(run.steps.map(({ state }) => state)).toEqual(['done', 'done', 'done', 'failed', 'failed', 'failed']);
    // Absent, another team's, and nobody's give the same answer.
    const reasons = run.steps.slice(3).map(({ reason }, index) => reason?.replaceAll(names[3 + index] ?? '', 'NAME'));
    expect(new Set(reasons).size).toBe(1);
    expect(reasons[0]).toContain('No secret matches "NAME"');
    await home.call(secretOps.share, { name: 'LENT', with: [] });
    const again = await carriedOut(as('coordinator', ['red']), plan('{secret: LENT}'));
    expect(again.steps.map(({ state }) => state)).toEqual(['failed']);
  });

  it('of no team is given to what belongs to none', async () => {
    await home.call(secretOps.set, { name: 'NOBODYS', value: 'expected' });
    await home.call(secretOps.set, { name: 'THEIRS', value: 'expected', team: 'blue' });
    const run = await carriedOut(home.call, plan('{secret: NOBODYS}', '{secret: THEIRS}'));
    expect(run.steps.map(({ state }) => state)).toEqual(['done', 'failed']);
  });

  it('is seen, set and removed by its team alone', async () => {
    const [red, blue] = [as('admin', ['red']), as('admin', ['blue'])];
    const mine = await red(secretOps.set, { name: 'TOKEN', value: 'of red' });
    expect(mine).toMatchObject({ team: 'red', values: 1 });
    expect(await blue(secretOps.set, { name: 'TOKEN', value: 'of blue' })).toMatchObject({ team: 'blue', values: 1 });
    await home.call(secretOps.set, { name: 'TOKEN', value: 'of nobody' });
    expect((await red(secretOps.list, {})).secrets.map(({ team }) => team)).toEqual(['red']);
    expect((await home.call(secretOps.list, {})).secrets.map(({ team }) => team)).toEqual([null, 'blue', 'red']);
    await expect(red(secretOps.set, { name: 'TOKEN', value: 'x', team: 'blue' })).rejects.toMatchObject({
      code: 'invalid',
    });
    await expect(blue(secretOps.remove, { name: mine.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(blue(secretOps.share, { name: mine.id, with: ['blue'] })).rejects.toMatchObject({ code: 'not_found' });
    await expect(home.call(secretOps.remove, { name: 'TOKEN' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await red(secretOps.remove, { name: 'TOKEN' })).toMatchObject({ id: mine.id });
    await expect(red(secretOps.remove, { name: 'TOKEN' })).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the server’s own environment', () => {
  it.each([
    ['a coordinator of a team', 'coordinator', ['red']],
    ['an administrator of a team', 'admin', ['red']],
    ['a coordinator of no team', 'coordinator', null],
  ] as const)('is shut to %s, in plans and in sessions', async (_who, role, teams) => {
    const call = as(role, teams);
    const before = home.server.engine.feed.head;
    const create = call(runOps.create, { plan: plan('{from: DEPLOY_KEY}'), cwd: local.repository });
    await expect(create).rejects.toMatchObject({ code: 'forbidden', fix: expect.stringContaining('secret link') });
    const agent = await call(agentOps.create, { runtime: 'command' });
    const start = { agent: agent.id, argv: ['env'], cwd: local.root, passEnv: { KEY: 'DEPLOY_KEY' } };
    await expect(call(agentOps.start, start)).rejects.toMatchObject({ code: 'forbidden' });
    const types = home.records().filter(({ position }) => position > before);
    expect(types.some(({ type }) => type.startsWith('run.') || type.startsWith('session.'))).toBe(false);
    await expect(
      as(role, ['red'])(secretOps.link, { name: 'KEY', variable: 'DEPLOY_KEY', team: 'red' }),
    ).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('is opened for a team by a secret that somebody who is bound to none has made of a variable', async () => {
    await home.call(projectOps.add, { path: local.repository, team: 'red' });
    const link = { name: 'KEY', variable: 'DEPLOY_KEY', team: 'red' };
    expect(await home.call(secretOps.link, link)).toMatchObject({ from: 'DEPLOY_KEY', values: 0 });
    await home.call(secretOps.link, { name: 'GONE', variable: 'NOT_THERE', team: 'red' });
    const text = plan('{secret: KEY}', '{secret: GONE}').replaceAll('EXPECTED: expected', 'EXPECTED: x');
    const run = await carriedOut(
      as('coordinator', ['red']),
      text.replaceAll('test "$KEY" = "$EXPECTED"', 'test -n "$KEY"'),
    );
    expect(run.steps.map(({ state }) => state)).toEqual(['done', 'failed']);
    expect(run.steps[1]?.reason).toContain('export NOT_THERE=');
    const { text: shown } = await home.call(agentOps.logs, { agent: `${run.name}/t0` });
    expect(shown).toBe('it is ***\n');
  });
});
