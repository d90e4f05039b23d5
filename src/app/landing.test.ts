import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectOps } from '../projects/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { Inside, planOf, stepOf, untilLanded, untilThere } from './inside.fixture.ts';
import { placesIn } from './places.ts';
import { Site } from './site.fixture.ts';

let site: Site;
let inside: Inside;

beforeEach(async () => {
  site = new Site({ files: { 'a.txt': 'start\n' } });
  mkdirSync(site.home);
  // Whatever the umask is.
  chmodSync(site.home, 0o755);
  inside = await Inside.start(site);
});

afterEach(async () => {
  await inside.close();
  await site.destroy();
});

/** A file or folder beside the repository. */
const at = (name: string): string => join(site.root, name);
const branches = (): string[] => site.git('for-each-ref', '--format=%(refname:short)', 'refs/heads').split('\n');

describe('a home folder that others could enter', () => {
  it('is closed to them when a server starts in it, and so is the token', () => {
    expect(statSync(site.home).mode & 0o777).toBe(0o700);
    expect(statSync(placesIn(site.home).token).mode & 0o777).toBe(0o600);
  });
});

describe('a branch of MAOS', () => {
  let project: string;
  let commit: string;
  beforeEach(async () => {
    ({ id: project } = await inside.user(projectOps.add, { path: site.repository }));
    commit = site.git('rev-parse', 'main');
  });
  const drop = (branch: string) => inside.maos(workspaceOps.dropBranch, { project, branch });

  it('is not deleted under a checkout, and the refusal says where that is', async () => {
    const desk = at('desk');
    site.git('worktree', 'add', '--quiet', '-b', 'maos/x-1', desk);
    await expect(drop('maos/x-1')).rejects.toMatchObject({
      code: 'conflict',
      message: `maos/x-1 is checked out at ${desk}.`,
      fix: expect.stringContaining('git switch'),
    });
    expect(branches()).toEqual(['main', 'maos/x-1']);
    expect(site.gitAt(desk, 'symbolic-ref', '--short', 'HEAD')).toBe('maos/x-1');

    site.gitAt(desk, 'switch', '--quiet', '--detach');
    expect(await drop('maos/x-1')).toEqual({ rescue: null });
    expect(branches()).toEqual(['main']);
  });

  it('is not deleted under the user’s own checkout', async () => {
    site.git('switch', '--quiet', '-c', 'maos/x-1');
    await expect(drop('maos/x-1')).rejects.toMatchObject({
      code: 'conflict',
      message: `maos/x-1 is checked out at ${site.repository}.`,
    });
    expect(branches()).toEqual(['main', 'maos/x-1']);
  });

  it('is deleted when the folder of its checkout is gone', async () => {
    site.git('worktree', 'add', '--quiet', '-b', 'maos/x-1', at('desk'));
    rmSync(at('desk'), { recursive: true });
    await drop('maos/x-1');
    expect(branches()).toEqual(['main']);
  });

  it('that is to be fresh takes no branch over, not even one at the same commit', async () => {
    const fresh = () => inside.maos(workspaceOps.ensureBranch, { project, branch: 'maos/x-1', commit, fresh: true });
    expect(await fresh()).toEqual({ head: commit });
    const taken = (head: string) => ({
      code: 'conflict',
      message: `The branch "maos/x-1" exists already, at ${head.slice(0, 12)}.`,
      details: { branch: 'maos/x-1', head },
    });
    await expect(fresh()).rejects.toMatchObject(taken(commit));

    writeFileSync(join(site.repository, 'a.txt'), 'further\n');
    site.git('commit', '--quiet', '--all', '--message=Further');
    const head = site.git('rev-parse', 'main');
    site.git('branch', '--force', 'maos/x-1', 'main');
    await expect(fresh()).rejects.toMatchObject(taken(head));
    expect(site.git('rev-parse', 'maos/x-1')).toBe(head);
    const ensured = await inside.maos(workspaceOps.ensureBranch, { project, branch: 'maos/x-1', commit });
    expect(ensured).toEqual({ head });
  });

  it('that several want to be fresh is made for one of them', async () => {
    const wanted = { project, branch: 'maos/x-1', commit, fresh: true };
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, () => inside.maos(workspaceOps.ensureBranch, wanted)),
    );
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(all.filter(({ status }) => status === 'rejected')).toMatchObject(
      Array.from({ length: 4 }, () => ({ reason: { code: 'conflict' } })),
    );
  });

  it('that is to be fresh says which branch is in the way of its name', async () => {
    site.git('branch', 'maos/x-1');
    const wanted = { project, branch: 'maos/x-1/inner', commit, fresh: true };
    await expect(inside.maos(workspaceOps.ensureBranch, wanted)).rejects.toMatchObject({
      message: expect.stringContaining('maos/x-1'),
    });
    expect(branches()).toEqual(['main', 'maos/x-1']);
  });
});

describe('a project that was removed', () => {
  it('comes back under its id, with what was done in it', async () => {
    const plan = planOf('kept', [{ id: 'one', command: `echo one >> ${at('worked')}; echo one > one.txt` }]);
    const run = await inside.carryOut(plan);
    const removed = await inside.user(projectOps.remove, { project: site.repository });
    expect(removed.id).toBe(run.project);
    expect((await inside.user(projectOps.list, {})).projects).toEqual([]);
    expect((await inside.user(runOps.get, { run: run.name })).project).toBe(removed.id);
    expect(site.git('show', `${run.branch}:one.txt`)).toBe('one');

    const added = await inside.user(projectOps.add, { path: site.repository });
    expect(added).toMatchObject({ id: removed.id, path: site.repository });
    expect((await inside.user(projectOps.list, {})).projects).toEqual([added]);
    // A run of another project cannot be continued: that it works shows that it is the same one.
    const next = await inside.carryOut(plan, { continues: run.name });
    expect(next).toMatchObject({ name: 'kept-2', project: removed.id, state: 'succeeded', counts: { done: 1 } });
    expect(stepOf(next, 'one').reused).toBe(true);
    expect(inside.lines('worked')).toEqual(['one']);
  });

  it('is another one when another repository is added', async () => {
    const first = await inside.user(projectOps.add, { path: site.repository });
    await inside.user(projectOps.remove, { project: first.id });
    site.git('clone', '--quiet', site.repository, at('clone'));
    expect((await inside.user(projectOps.add, { path: at('clone') })).id).not.toBe(first.id);
  });
});

describe('a merge', () => {
  const mergesOf = async (run: RunDetail, id: string) =>
    (await inside.user(workspaceOps.merges, { task: stepOf(run, id).task })).merges;
  const begun = (name: string): Promise<string[]> =>
    site.until(
      'its agent',
      () => inside.lines(name),
      ({ length }) => length > 0,
    );

  it('that was withdrawn says why: in the list of merges, at its task, and at its run', async () => {
    const command = `echo x >> ${at('begun')}; ${untilThere(at('go'))}; echo edited > a.txt`;
    const run = await inside.begin(planOf('why', [{ id: 'edit', command }]));
    await begun('begun');
    site.git('worktree', 'add', '--quiet', at('desk'), run.branch);
    writeFileSync(join(at('desk'), 'a.txt'), 'mine\n');
    writeFileSync(at('go'), '');
    const waiting = await inside.settled(run.id);
    const [merge] = await mergesOf(waiting, 'edit');
    expect(merge).toMatchObject({
      state: 'withdrawn',
      landed: null,
      reason: `${run.branch} is checked out with changes of its own (dirty); commit or stash them.`,
    });
    const { state, reason } = stepOf(waiting, 'edit');
    expect(state).toBe('waiting');
    expect(reason).toContain(merge?.reason);
    expect(waiting.reason).toContain(merge?.reason);
    expect((await inside.user(runOps.report, { run: run.name })).markdown).toContain(merge?.reason);
  });

  it('that was withdrawn with its run says what the person said who stopped it', async () => {
    const check = `test ! -e first.txt || { echo x >> ${at('checking')}; ${untilThere(at('go'))}; }`;
    const run = await inside.begin(
      planOf('said', [
        { id: 'first', command: `${untilThere(at('begun'))}; echo first > first.txt` },
        {
          id: 'second',
          command: `touch ${at('begun')}; ${untilLanded('first.txt')}; echo > second.txt`,
          checks: [check],
        },
      ]),
    );
    await begun('checking');
    await inside.user(runOps.stop, { run: run.name, reason: 'lunch' });
    expect(await mergesOf(run, 'second')).toMatchObject([{ state: 'withdrawn', reason: 'lunch' }]);
    expect(await mergesOf(run, 'first')).toMatchObject([{ state: 'landed', reason: null }]);
    expect((await inside.user(runOps.get, { run: run.name })).reason).toBe('lunch');
  });

  it('names its task and its run in the history that it makes', async () => {
    const run = await inside.carryOut(
      planOf('words', [
        { id: 'first', title: 'Write the first', command: `${untilThere(at('begun'))}; echo first > first.txt` },
        {
          id: 'second',
          title: 'Write the second',
          command: `touch ${at('begun')}; ${untilLanded('first.txt')}; echo > second.txt`,
        },
      ]),
    );
    const [merge] = await mergesOf(run, 'second');
    expect(site.git('log', '-1', '--format=%B', run.branch)).toBe(`Merge Write the second\n\nMAOS-Merge: ${merge?.id}`);
    expect(site.git('log', '-1', '--format=%B', merge?.commit ?? '')).toBe(
      `Write the second\n\nMAOS-Run: ${run.name}\nMAOS-Task: second`,
    );
    writeFileSync(join(site.repository, 'a.txt'), 'meanwhile\n');
    site.git('commit', '--quiet', '--all', '--message=Meanwhile');
    expect(await inside.user(runOps.merge, { run: run.name })).toMatchObject({ kind: 'merged' });
    expect(site.git('log', '-1', '--format=%s', 'main')).toBe(`Merge ${run.branch}`);
    expect(readFileSync(join(site.repository, 'first.txt'), 'utf8')).toBe('first\n');
  });
});

describe('a check that prints more than is kept', () => {
  const noise = 'echo the beginning; seq 10000; echo the end >&2; exit 3';

  it('shows the end of it as evidence, whichever stream it came by', async () => {
    const run = await inside.carryOut(planOf('loud', [{ id: 'edit', command: 'echo x > x.txt', checks: [noise] }]));
    const { state, evidence } = stepOf(run, 'edit');
    expect(state).toBe('failed');
    expect(evidence).toMatchObject([{ command: noise, passed: false, exit: 'exit 3' }]);
    const output = evidence[0]?.output ?? '';
    expect(output).toMatch(/^…[^]*\n9999\n10000\nthe end\n$/);
    expect(output).not.toContain('the beginning');
    expect(Buffer.byteLength(output)).toBe(16_000 + Buffer.byteLength('…'));
  });

  it('shows all of it when that is little', async () => {
    const quiet = 'echo the beginning; echo the end >&2; exit 3';
    const run = await inside.carryOut(planOf('quiet', [{ id: 'edit', command: 'echo x > x.txt', checks: [quiet] }]));
    expect(stepOf(run, 'edit').evidence[0]?.output).toBe('the beginning\nthe end\n');
  });
});
