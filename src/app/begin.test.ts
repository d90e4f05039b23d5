import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { createClient } from '../gateway/client.ts';
import { exec } from '../kernel/exec.ts';
import { watchOps } from '../watch/contract.ts';
import { type RunDetail, runDetail, runOps } from '../workflows/contract.ts';
import { Local } from './local.fixture.ts';

let local: Local;
beforeEach(async () => {
  local = await new Local().init();
});
afterEach(() => local.destroy());

const plan = 'name: same\ntasks:\n  - {id: one, command: echo one > one.txt}\n';

describe('runs that begin in the same moment', { timeout: 60_000 }, () => {
  it('of two homes on one repository, have each a branch of their own', async () => {
    const homes = await Promise.all([local.start('first'), local.start('second')]);
    const cwd = local.repository;
    const many = await Promise.all(
      [1, 2, 3].flatMap(() => homes.map(({ call }) => call(runOps.create, { plan, cwd }))),
    );
    const names = many.map(({ branch }) => branch).toSorted();
    expect(new Set(names).size).toBe(6);
    expect(await local.branches('maos/same-')).toEqual(names);
    for (const [index, { id }] of many.entries())
      expect(await homes[index % 2]?.settled(id, 0)).toMatchObject({ state: 'succeeded' });
  });

  it('of one home on two repositories, have names of their own, and no branch is left over', async () => {
    const { call } = await local.start();
    const other = join(local.root, 'other');
    await exec('git', ['clone', '-q', local.repository, other]);
    const pairs = await Promise.all(
      [1, 2, 3].flatMap(() => [local.repository, other].map((cwd) => call(runOps.create, { plan, cwd }))),
    );
    expect(new Set(pairs.map(({ name }) => name)).size).toBe(6);
    const own = pairs.filter(({ repository }) => repository === local.repository).map(({ branch }) => branch);
    expect(await local.branches('maos/same-')).toEqual(own.toSorted());
  });
});

it('a branch that nobody recorded is passed over, and so is a name below which there is a branch', async () => {
  const { call } = await local.start();
  await local.git('branch', 'maos/same-1');
  await local.git('branch', 'maos/same-4/mine');
  expect((await call(runOps.create, { plan, cwd: local.repository })).branch).toBe('maos/same-5');
});

it('a branch that nobody recorded and that holds nothing is told by the doctor, and left alone', async () => {
  const { call } = await local.start();
  const run = await call(runOps.create, { plan, cwd: local.repository });
  await local.git('branch', 'maos/same-7', run.base);
  await local.git('branch', 'maos/same-mine', run.base);
  await local.git('checkout', '-q', '-b', 'maos/same-8');
  await local.git('commit', '-q', '--allow-empty', '-m', 'own work');
  const { findings } = await call(watchOps.doctor, { repair: true });
  const told = findings.filter(({ message }) => message.includes('maos/'));
  expect(told).toMatchObject([
    { area: 'git', severity: 'notice', fix: expect.stringContaining('branch -d maos/same-7'), repaired: false },
  ]);
  expect(await local.branches('maos/same-')).toEqual([run.branch, 'maos/same-7', 'maos/same-8', 'maos/same-mine']);
});

it('a folder that is not said from the root, which would mean another one to the server, is refused', async () => {
  const { server } = await local.start();
  const asked = server.registry.call('run.create', { plan, cwd: 'repository' }, { caller: localCaller });
  await expect(asked).rejects.toMatchObject({ code: 'invalid', issues: [{ path: 'cwd' }] });
});

it('a branch that is in the way of all of MAOS is told at once, and nothing is recorded', async () => {
  const { call } = await local.start();
  await local.git('branch', 'maos');
  await expect(call(runOps.create, { plan, cwd: local.repository })).rejects.toMatchObject({
    code: 'conflict',
    fix: expect.stringContaining('git branch -m maos'),
  });
  expect((await call(runOps.list, {})).runs).toEqual([]);
});

it('a branch that was deleted by hand before anything landed is made again', async () => {
  const home = await local.start();
  const failed = await home.carryOut(`name: held\ntasks:\n  - {id: one, command: 'test -f ${local.root}/go'}\n`);
  await local.git('branch', '-D', failed.branch);
  await home.server.close();
  writeFileSync(join(local.root, 'go'), '');
  const next = await local.start();
  const after = next.server.engine.feed.head;
  await next.call(runOps.resume, { run: failed.name });
  expect((await next.settled(failed.id, after)).state).toBe('succeeded');
  expect(await local.git('rev-parse', failed.branch)).toBe(failed.base);
});

describe('the same idempotency key', () => {
  it('gives the same run, also when the repository has moved on since', async () => {
    const home = await local.start();
    const input = { plan, cwd: local.repository };
    const create = async (): Promise<RunDetail> =>
      runDetail().parse(
        await home.server.registry.call(runOps.create.name, input, { caller: localCaller, key: 'once' }),
      );
    const first = await create();
    await home.settled(first.id, 0);
    await local.git('commit', '-q', '--allow-empty', '-m', 'moved on');
    expect((await create()).id).toBe(first.id);
    expect(await local.branches('maos/same-')).toEqual([first.branch]);
    expect((await home.call(runOps.list, {})).runs).toHaveLength(1);
  });

  it('gives one run to calls of the same moment', async () => {
    const home = await local.start();
    const input = { plan, cwd: local.repository };
    const all = await Promise.all(
      [1, 2, 3, 4].map(() =>
        home.server.registry.call(runOps.create.name, input, { caller: localCaller, key: 'once' }),
      ),
    );
    const [run, ...others] = new Set(all.map((answer) => runDetail().parse(answer).branch));
    expect(others).toEqual([]);
    expect(await local.branches('maos/same-')).toEqual([run]);
  });

  it('gives one run over REST, and another key another one', async () => {
    const { server } = await local.start('home', { listens: true });
    const client = createClient({ url: server.url ?? '', token: server.token });
    try {
      const input = { plan, cwd: local.repository };
      const create = (key: string) => client.call(runOps.create, input, { key });
      const [a, b] = [randomUUID(), randomUUID()];
      const first = await create(a);
      expect((await create(a)).id).toBe(first.id);
      expect((await create(b)).name).toBe('same-2');
      expect(await local.branches('maos/same-')).toEqual(['maos/same-1', 'maos/same-2']);
    } finally {
      client.close();
    }
  });
});
