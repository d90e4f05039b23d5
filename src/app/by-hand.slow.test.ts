import { createHash } from 'node:crypto';
import {
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { projectOps } from '../projects/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { type Finding, watchOps } from '../watch/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { placesIn } from './places.ts';
import { type LiveServer, Site } from './site.fixture.ts';

let site: Site;
beforeEach(() => (site = new Site()));
afterEach(() => site.destroy());

/** Two tasks in a row; the second one works until the file `go` is there, and fails when `fail` is there. */
function plan(extra: object = {}): string {
  const [go, fail, at] = ['go', 'fail', 'at'].map((name) => join(site.root, name));
  const wait = `pwd > ${at}; while [ ! -e ${go} ]; do sleep 0.02; done; [ ! -e ${fail} ] && echo b > b.txt`;
  return JSON.stringify({
    name: 'two',
    tasks: [
      { id: 'first', command: 'echo a > a.txt' },
      { id: 'second', command: wait, needs: ['first'], ...extra },
    ],
  });
}

function flag(name: 'go' | 'fail'): void {
  writeFileSync(join(site.root, name), '');
}

/** The folder that the second task works in, once it does. */
async function workplace(): Promise<string> {
  const file = join(site.root, 'at');
  const text = await site.until(
    'the second task',
    () => (existsSync(file) ? readFileSync(file, 'utf8') : ''),
    (found) => found.endsWith('\n'),
  );
  return text.trim();
}

function over(live: LiveServer, run = 'two-1'): Promise<RunDetail> {
  return site.until(
    'the end of the run',
    () => live.call(runOps.get, { run }),
    (found) => found.state !== 'running',
  );
}

async function problems(live: LiveServer, repair = false): Promise<Finding[]> {
  const { findings } = await live.call(watchOps.doctor, { repair });
  return findings.filter((found) => found.severity === 'problem' && found.area !== 'disk');
}

/** Waits until the log gets no record for a second; fails when it never comes to rest. */
async function rest(live: LiveServer): Promise<void> {
  let before = -1;
  for (let look = 0; look < 15; look += 1) {
    const { position } = await live.call(watchOps.status, {});
    if (position === before) return;
    before = position;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  throw new Error(`The log never rests: ${JSON.stringify(site.records().slice(-10))}`);
}

describe('a repository that was moved', () => {
  it('while no server ran: doctor explains, project move and doctor --repair mend it, and the run is carried on', async () => {
    const live = await site.start();
    flag('go');
    flag('fail');
    await live.call(runOps.create, { plan: plan(), cwd: site.repository });
    expect(await over(live)).toMatchObject({ state: 'failed' });
    await live.stop();
    const moved = join(site.root, 'moved');
    renameSync(site.repository, moved);

    const told = await site.maos(['doctor'], site.root);
    expect(told.code).toBe(1);
    expect(told.stdout).toContain(`is not at ${site.repository}`);
    const command = /maos project move (\S+) NEW-FOLDER/.exec(told.stdout)?.[1] ?? '';
    expect(await site.maos(['project', 'move', command, moved], site.root)).toMatchObject({ code: 0 });
    const repaired = await site.maos(['doctor', '--repair'], site.root);
    expect(repaired.stdout).toContain('(repaired)');
    expect(await site.maos(['doctor'], site.root)).toMatchObject({ code: 0 });
    rmSync(join(site.root, 'fail'));
    const resumed = await site.maos(['resume', 'two-1'], moved);
    expect(resumed).toMatchObject({ code: 0 });
    expect(site.gitAt(moved, 'ls-tree', '--name-only', 'maos/two-1').split('\n')).toEqual([
      'README.md',
      'a.txt',
      'b.txt',
    ]);
  });

  it('under a running server: the run waits without haste, says why, and goes on by itself once it is told', async () => {
    const live = await site.start();
    await live.call(runOps.create, { plan: plan(), cwd: site.repository });
    await workplace();
    const moved = join(site.root, 'moved');
    renameSync(site.repository, moved);
    flag('go');
    await site.until(
      'the complaint',
      () => live.call(watchOps.status, {}),
      ({ failing }) => failing.length > 0,
    );
    await rest(live);
    const [project] = (await live.call(projectOps.list, {})).projects;
    expect((await problems(live)).map((found) => found.fix).join()).toContain(`maos project move ${project?.id ?? ''}`);
    await live.call(projectOps.move, { project: project?.id ?? '', path: moved });
    await problems(live, true);
    const end = await over(live);
    expect(end.steps.map((step) => [step.id, step.state, step.reason])).toEqual([
      ['first', 'done', null],
      ['second', 'done', null],
    ]);
    expect(site.gitAt(moved, 'ls-tree', '--name-only', 'maos/two-1').split('\n')).toEqual([
      'README.md',
      'a.txt',
      'b.txt',
    ]);
    // What came too early is tried again by and by.
    await site.until(
      'the end of all complaints',
      () => live.call(watchOps.status, {}),
      ({ failing }) => failing.length === 0,
    );
  });
});

describe('a worktree that was deleted', () => {
  it('while its task works: the task fails and says so, and resume does it anew', async () => {
    const live = await site.start();
    await live.call(runOps.create, { plan: plan(), cwd: site.repository });
    const place = await workplace();
    rmSync(place, { recursive: true, force: true });
    flag('go');
    const failed = await over(live);
    expect(failed).toMatchObject({ state: 'failed' });
    await rest(live);
    expect((await problems(live)).map((found) => found.message).join()).toContain(`${place} has vanished`);
    await problems(live, true);
    expect(await problems(live)).toEqual([]);
    await live.call(runOps.resume, { run: 'two-1' });
    expect(await over(live)).toMatchObject({ state: 'succeeded' });
  });

  it('while its task works, which does not notice: the result is missed, not made up', async () => {
    const live = await site.start();
    const [go, at] = [join(site.root, 'go'), join(site.root, 'at')];
    const command = `pwd > ${at}; while [ ! -e ${go} ]; do sleep 0.02; done; true`;
    await live.call(runOps.create, {
      plan: JSON.stringify({ name: 'two', tasks: [{ id: 'blind', command }] }),
      cwd: site.repository,
    });
    const place = await workplace();
    rmSync(place, { recursive: true, force: true });
    flag('go');
    const failed = await over(live);
    expect(failed.steps[0]).toMatchObject({ state: 'failed' });
    expect(failed.steps[0]?.reason).toContain(place);
    await rest(live);
  });

  it('between two attempts: doctor makes it again, and so does the next attempt', async () => {
    const live = await site.start();
    flag('go');
    flag('fail');
    await live.call(runOps.create, { plan: plan(), cwd: site.repository });
    expect(await over(live)).toMatchObject({ state: 'failed' });
    const place = await workplace();
    rmSync(place, { recursive: true, force: true });
    expect((await problems(live)).map((found) => found.message).join()).toContain(`${place} has vanished`);
    await problems(live, true);
    expect(existsSync(join(place, 'a.txt'))).toBe(true);
    expect(await problems(live)).toEqual([]);
    rmSync(place, { recursive: true, force: true });
    rmSync(join(site.root, 'fail'));
    await live.call(runOps.resume, { run: 'two-1' });
    expect(await over(live)).toMatchObject({ state: 'succeeded' });
    await site.until(
      'the clean up',
      () => live.call(workspaceOps.list, { state: ['requested', 'ready', 'failed', 'trashed'] }),
      ({ workspaces }) => workspaces.length === 0,
    );
    expect(await problems(live)).toEqual([]);
  });

  it('that several tasks share: the next of them fails and says so, or works in a new one', async () => {
    const live = await site.start();
    const [go, at] = [join(site.root, 'go'), join(site.root, 'at')];
    const tasks = [
      { id: 'one', workspace: 'shared', command: `pwd > ${at}; echo 1 > one.txt` },
      { id: 'wait', needs: ['one'], command: `while [ ! -e ${go} ]; do sleep 0.02; done` },
      { id: 'two', workspace: 'shared', needs: ['wait'], command: 'echo 2 > two.txt' },
    ];
    await live.call(runOps.create, { plan: JSON.stringify({ name: 'two', tasks }), cwd: site.repository });
    const place = await workplace();
    await site.until(
      'the first task',
      () => live.call(runOps.get, { run: 'two-1' }),
      ({ steps }) => steps[0]?.state === 'done',
    );
    rmSync(place, { recursive: true, force: true });
    flag('go');
    const end = await over(live);
    if (end.state === 'succeeded') return;
    expect(end.steps[2]?.reason).toContain(place);
    await rest(live);
    await problems(live, true);
    await live.call(runOps.resume, { run: 'two-1' });
    expect(await over(live)).toMatchObject({ state: 'succeeded' });
  });
});

it('a transcript folder that was deleted under a running agent: the session is judged by its exit, once', async () => {
  const live = await site.start();
  await live.call(runOps.create, { plan: plan(), cwd: site.repository });
  await workplace();
  rmSync(placesIn(site.home).transcripts, { recursive: true, force: true });
  flag('go');
  const end = await over(live);
  expect(['succeeded', 'failed']).toContain(end.state);
  await rest(live);
  expect((await live.call(agentOps.list, { live: true })).agents).toEqual([]);
  if (end.state === 'failed') {
    await live.call(runOps.resume, { run: 'two-1' });
    expect(await over(live)).toMatchObject({ state: 'succeeded' });
  }
});

describe('a damaged database', () => {
  async function filled(): Promise<string> {
    const live = await site.start();
    await live.call(taskOps.batch, { tasks: Array.from({ length: 400 }, (_, n) => ({ title: `task ${n}` })) });
    await live.stop();
    return placesIn(site.home).database;
  }

  function fingerprint(path: string): string {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  }

  it.each([
    ['a page in its middle', (path: string) => overwrite(path, Math.floor(statSync(path).size / 2), 'x'.repeat(4_096))],
    ['its first bytes', (path: string) => overwrite(path, 0, 'not a database at all')],
    ['all of it', (path: string) => writeFileSync(path, '')],
  ])('%s: every command refuses it with what to do, and the file stays as it is', async (_what, damage) => {
    const path = await filled();
    damage(path);
    const before = fingerprint(path);
    for (const args of [['status'], ['up'], ['run', 'do something useful'], ['doctor']]) {
      const { code, stderr } = await site.maos(args);
      expect(code, args.join(' ')).not.toBe(0);
      expect(stderr, args.join(' ')).toContain(path);
      expect(stderr, args.join(' ')).toMatch(/maos restore/);
    }
    expect(fingerprint(path)).toBe(before);
  });

  it('that was deleted is not taken for a new installation', async () => {
    const path = await filled();
    const live = await site.start();
    await live.call(runOps.create, { plan: plan(), cwd: site.repository });
    flag('go');
    await over(live);
    await live.stop();
    for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
    const { code, stderr } = await site.maos(['status']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('not a new installation');
    expect(existsSync(path)).toBe(false);
  });
});

function overwrite(path: string, at: number, text: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, text, at);
  closeSync(file);
}
