import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { projectOps } from '../projects/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { placesIn } from './places.ts';
import { type LiveServer, Site } from './site.fixture.ts';

let site: Site;
beforeEach(() => (site = new Site({ files: many })));
afterEach(() => site.destroy());

const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`d${n % 10}/f${n}.txt`, 'old\n'.repeat(20)]));

/** A run of tasks that need each other in a row. */
function row(...commands: string[]): string {
  const tasks = commands.map((command, index) => ({
    id: `t${index}`,
    command,
    ...(index === 0 ? {} : { needs: [`t${index - 1}`] }),
  }));
  return JSON.stringify({ name: 'row', tasks });
}

/** A run of one task. */
function single(command: string, checks: readonly string[] = []): string {
  return JSON.stringify({ name: 'one', tasks: [{ id: 'only', command, checks }] });
}

function create(live: LiveServer, plan: string): Promise<{ name: string; id: string }> {
  return live.call(runOps.create, { plan, cwd: site.repository });
}

function ended(live: LiveServer, run: string): Promise<{ state: string; reason: string | null }> {
  return site.until(
    `the end of ${run}`,
    () => live.call(runOps.get, { run }),
    (found) => found.state !== 'running' && found.report !== null,
  );
}

async function intact(live: LiveServer): Promise<void> {
  expect(await live.call(watchOps.verify, {})).toMatchObject({ intact: true, breaks: [] });
  const { findings } = await live.call(watchOps.doctor, {});
  expect(findings.filter((found) => found.severity === 'problem' && found.area !== 'disk')).toEqual([]);
}

function worktrees(): string[] {
  return site
    .git('worktree', 'list', '--porcelain')
    .split('\n')
    .filter((line) => line.startsWith('worktree '));
}

it('run.create: the run is there as a whole or not at all; repeated with its key it is there once, and carried out', async () => {
  const rounds = 5;
  for (let round = 0; round < rounds; round += 1) {
    const live = await site.start();
    const wanted = { plan: row('echo a > a.txt', 'echo b > b.txt', 'test -f a.txt'), cwd: site.repository };
    const answer = live.client.call(runOps.create, wanted, { key: `round-${round}` }).catch(() => undefined);
    await delay(round * 15);
    await live.kill();
    const first = await answer;
    const next = await site.start();
    const again = await next.client.call(runOps.create, wanted, { key: `round-${round}` });
    if (first !== undefined) expect(again.id).toBe(first.id);
    await next.kill();
  }
  const live = await site.start();
  const { runs } = await live.call(runOps.list, {});
  expect(runs).toHaveLength(rounds);
  for (const { name } of runs) {
    expect(await ended(live, name)).toMatchObject({ state: 'succeeded' });
    const { steps } = await live.call(runOps.get, { run: name });
    expect(steps.map((step) => [step.id, step.state, step.needs])).toEqual([
      ['t0', 'done', []],
      ['t1', 'done', ['t0']],
      ['t2', 'done', ['t1']],
    ]);
  }
  expect((await live.call(projectOps.list, {})).projects).toHaveLength(1);
  await site.until('the clean up', worktrees, (all) => all.length === 1);
  await intact(live);
});

it('check commands: what runs is ended, and they are run again from the start on the same commit', async () => {
  let live = await site.start();
  const flag = join(site.root, 'flag');
  // The first time it hangs; what is left of it would be seen as a process.
  const check = `if [ ! -e ${flag} ]; then echo $$ > ${flag}; sleep 1000; fi; test -f new.txt`;
  const { name } = await create(live, single('echo new > new.txt', [check]));
  await site.until('the check', () => existsSync(flag), Boolean);
  await live.kill();
  expect(site.processes().some(({ command }) => command.includes('sleep 1000'))).toBe(true);
  live = await site.start();
  expect(site.processes().some(({ command }) => command.includes('sleep 1000'))).toBe(false);
  expect(await ended(live, name)).toMatchObject({ state: 'succeeded' });
  const records = site.records();
  expect(records.filter((record) => record.type === 'session.requested')).toHaveLength(1);
  expect(records.filter((record) => record.type === 'step.checked')).toHaveLength(1);
  await site.until('the clean up', worktrees, (all) => all.length === 1);
  expect(readdirSync(placesIn(site.home).checks)).toEqual([]);
  await intact(live);
});

it('the removal of a workspace whose work has landed is finished by the next server', async () => {
  let live = await site.start();
  for (let round = 0; round < 8; round += 1) {
    const { name } = await create(live, single(`echo ${round} > new-${round}.txt`));
    await ended(live, name);
    await delay(round * 15);
    await live.kill();
    live = await site.start();
    await site.until(
      'the removal',
      () => live.call(workspaceOps.list, { state: ['requested', 'ready', 'failed', 'trashed'] }),
      ({ workspaces }) => workspaces.length === 0,
    );
    expect(worktrees()).toHaveLength(1);
    const { trash } = placesIn(site.home);
    expect(existsSync(trash) ? readdirSync(trash) : []).toEqual([]);
    expect(site.git('show', `maos/${name}:new-${round}.txt`)).toBe(String(round));
  }
  await intact(live);
});

describe('maos rm of a run that failed with work that is nowhere else', () => {
  it('keeps the work in the folder or under a rescue ref at every moment, and the same call finishes it', async () => {
    let live = await site.start();
    let interrupted = 0;
    for (let round = 0; round < 8; round += 1) {
      const { name } = await create(live, single(`echo precious-${round} > precious.txt; exit 1`));
      expect(await ended(live, name)).toMatchObject({ state: 'failed' });
      const refusal = await live.call(runOps.remove, { run: name }).catch((error: unknown) => error);
      const token = refusal instanceof AppError ? refusal.details?.['token'] : undefined;
      if (typeof token !== 'string') throw new Error(`It should be refused with a token: ${String(refusal)}`);
      const { workspaces } = await live.call(workspaceOps.list, { state: ['ready'] });
      const [workspace] = workspaces;
      const removal = live.call(runOps.remove, { run: name, token }).then(
        () => true,
        () => false,
      );
      await delay(round * 30);
      await live.kill();
      if (!(await removal)) interrupted += 1;
      expect(heldSomewhere(workspace?.path ?? '', `precious-${round}`)).toBe(true);
      live = await site.start();
      await live.call(runOps.remove, { run: name, token });
      const after = await live.call(workspaceOps.get, { workspace: workspace?.id ?? '' });
      expect(after).toMatchObject({ state: 'trashed' });
      expect(site.git('show', `${after.rescue ?? ''}:precious.txt`)).toBe(`precious-${round}`);
      expect(worktrees()).toHaveLength(1);
    }
    expect(interrupted).toBeGreaterThan(0);
    await intact(live);
  });
});

/** Whether the text stands in the workspace's own folder, or in a rescue of it. */
function heldSomewhere(path: string, text: string): boolean {
  const file = join(path, 'precious.txt');
  if (existsSync(file) && readFileSync(file, 'utf8').trim() === text) return true;
  return site
    .git('for-each-ref', '--format=%(refname)', 'refs/maos/rescue')
    .split('\n')
    .some((ref) => ref !== '' && site.git('show', `${ref}:precious.txt`) === text);
}

it('maos merge: the user’s branch and checkout are the old or the new ones after the next start, and it can be undone', async () => {
  let live = await site.start();
  let between = 0;
  for (let round = 0; round < 8; round += 1) {
    const { name } = await create(
      live,
      single(`for f in d*/*; do echo ${round} >> $f; done; echo x > added-${round}.txt`),
    );
    expect(await ended(live, name)).toMatchObject({ state: 'succeeded' });
    const before = site.git('rev-parse', 'main');
    const wanted = site.git('rev-parse', `maos/${name}`);
    const merging = live.call(runOps.merge, { run: name }).then(
      () => true,
      () => false,
    );
    await delay(round * 20);
    await live.kill();
    if (!(await merging)) between += 1;
    live = await site.start();
    expect(site.git('status', '--porcelain')).toBe('');
    expect([before, wanted]).toContain(site.git('rev-parse', 'main'));
    await live.call(runOps.merge, { run: name });
    expect(site.git('rev-parse', 'main')).toBe(wanted);
    expect(site.git('status', '--porcelain')).toBe('');
    expect(await live.call(runOps.undo, { run: name })).toMatchObject({ branch: 'main', to: before });
    expect(site.git('rev-parse', 'main')).toBe(before);
    expect(existsSync(join(site.repository, `added-${round}.txt`))).toBe(false);
  }
  expect(between).toBeGreaterThan(0);
  await intact(live);
});

it('admin.rebuild: the views are the same afterwards, whenever it is killed', async () => {
  let live = await site.start();
  for (let batch = 0; batch < 20; batch += 1) {
    await live.call(taskOps.batch, {
      tasks: Array.from({ length: 500 }, (_, n) => ({ title: `${batch}-${n}`, queue: 'shelf' })),
    });
  }
  const { name } = await create(live, single('echo a > a.txt'));
  await ended(live, name);
  await site.until('the clean up', worktrees, (all) => all.length === 1);
  const before = viewsOf();
  for (let round = 0; round < 8; round += 1) {
    const rebuilding = live.call(watchOps.rebuild, {}).catch(() => undefined);
    await delay(round * 25);
    await live.kill();
    await rebuilding;
    live = await site.start();
    expect(viewsOf()).toEqual(before);
  }
  await live.call(watchOps.rebuild, {});
  expect(viewsOf()).toEqual(before);
  await intact(live);
});

/** All rows of all views, as one text a table. */
function viewsOf(): Record<string, string> {
  const tables = site
    .rows<{ tables: string }>('SELECT tables FROM view_state')
    .flatMap((row): string[] => JSON.parse(row.tables));
  return Object.fromEntries(
    tables.toSorted().map((table) => [table, JSON.stringify(site.rows(`SELECT * FROM ${table} ORDER BY 1, 2`))]),
  );
}
