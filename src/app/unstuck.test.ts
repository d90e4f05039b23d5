import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { type Task, taskOps } from '../tasks/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { type Merge, workspaceOps } from '../workspaces/contract.ts';
import { Inside, planOf, stepOf, untilLanded, untilThere } from './inside.fixture.ts';
import { placesIn } from './places.ts';
import { Site } from './site.fixture.ts';

let site: Site;
let inside: Inside;

beforeEach(async () => {
  site = new Site({ files: { 'a.txt': 'start\n' } });
  inside = await Inside.start(site, { listens: true });
});

afterEach(async () => {
  await inside.close();
  await site.destroy();
});

/** A file beside the repository. */
const at = (name: string): string => join(site.root, name);
const open = (name: string): void => writeFileSync(at(name), '');
const marks = (name: string, count: number): Promise<string[]> =>
  site.until(
    `${count} lines in ${name}`,
    () => inside.lines(name),
    ({ length }) => length >= count,
  );

async function mergesOf(run: RunDetail, id: string): Promise<Merge[]> {
  return (await inside.maos(workspaceOps.merges, { task: stepOf(run, id).task })).merges;
}

describe('a task whose claim is lost', () => {
  it('is worked on again, once whoever worked on it before has ended', async () => {
    const command = `echo $$ >> ${at('pids')}; test -e ${at('go')} || sleep 60; echo done > done.txt`;
    const run = await inside.begin(planOf('lost', [{ id: 'work', command }]));
    const [pid] = await marks('pids', 1);
    open('go');
    const { task } = stepOf(run, 'work');
    const { fence } = await inside.user(taskOps.get, { task });
    await inside.maos(taskOps.release, { task, fence, reason: 'nobody answers for it' });

    const ended = await inside.settled(run.id);
    expect(ended.state).toBe('succeeded');
    expect(site.git('show', `${run.branch}:done.txt`)).toBe('done');
    const { agent, generation, attempt } = stepOf(ended, 'work');
    expect({ generation, attempt }).toEqual({ generation: 2, attempt: 2 });
    const { sessions } = await inside.user(agentOps.sessions, { agent: agent ?? '' });
    expect(sessions.map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'succeeded' },
      { kind: 'failed', reason: 'killed', message: 'the claim of its task was lost' },
    ]);
    const [second, first] = sessions;
    expect(first?.endedAt).toBeLessThanOrEqual(second?.startedAt ?? 0);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });
});

describe('a run that is stopped while its merges stand in the queue', () => {
  /** Two tasks whose merges wait in the queue until `go`: their check passes alone, and waits when it sees `first`. */
  const queued = async (...ids: string[]): Promise<RunDetail> => {
    const check = `test ! -e first.txt || { touch ${at('checking')}; ${untilThere(at('go'))}; }`;
    const begun = `until test "$(cat ${at('worked')} 2>/dev/null | wc -l)" -ge ${ids.length}; do sleep 0.02; done`;
    const run = await inside.begin(
      planOf('stop', [
        { id: 'first', command: `${begun}; echo first > first.txt` },
        ...ids.map((id) => ({
          id,
          command: `echo ${id} >> ${at('worked')}; ${untilLanded('first.txt')}; echo ${id} > ${id}.txt`,
          checks: [check],
        })),
        { id: 'last', needs: ids, command: `cat ${ids.map((id) => `${id}.txt`).join(' ')} > last.txt` },
      ]),
    );
    const inQueue = (): Promise<Merge[]> =>
      inside.maos(workspaceOps.merges, { state: ['queued'] }).then(({ merges }) => merges);
    await site.until('the merges in the queue', inQueue, ({ length }) => length === ids.length);
    await site.until('the check of one', () => existsSync(at('checking')), Boolean);
    const counts = () => inside.user(runOps.get, { run: run.id }).then((now) => now.counts);
    await site.until('the end of the first', counts, ({ done }) => done === 1);
    return run;
  };

  it('lands them when it is resumed, each once, and makes nothing again', async () => {
    const run = await queued('second', 'third');
    const stopped = await inside.user(runOps.stop, { run: run.name, reason: 'lunch' });
    expect(stopped).toMatchObject({ state: 'cancelled', counts: { done: 1, cancelled: 3 } });
    const after = inside.head;
    await inside.user(runOps.resume, { run: run.name });
    open('go');

    const ended = await inside.settled(run.id, after);
    expect(ended).toMatchObject({ state: 'succeeded', counts: { done: 4 } });
    expect(site.git('show', `${run.branch}:last.txt`)).toBe('second\nthird');
    expect(inside.lines('worked').toSorted()).toEqual(['second', 'third']);
    const [second, third] = [await mergesOf(ended, 'second'), await mergesOf(ended, 'third')];
    for (const merges of [second, third]) {
      expect(merges.map(({ state }) => state)).toEqual(['landed', 'withdrawn']);
      expect(new Set(merges.map(({ commit }) => commit)).size).toBe(1);
    }
    const trailers = site.git('log', '--format=%(trailers:key=MAOS-Merge,valueonly)', run.branch).split('\n');
    const landed = [second, third].map((merges) => merges[0]?.id ?? '').toSorted();
    expect(trailers.filter((line) => line !== '').toSorted()).toEqual(landed);
  });

  const ends: readonly (readonly [string, (run: RunDetail) => Promise<unknown>, string])[] = [
    ['its run is not resumed', ({ name }) => inside.user(runOps.stop, { run: name }), 'stopped by a person'],
    [
      'only its task is cancelled',
      (run) => inside.user(taskOps.cancel, { task: stepOf(run, 'second').task }),
      'its task was cancelled',
    ],
  ];
  it.each(ends)('lands nothing when %s', async (_what, end, reason) => {
    const run = await queued('second');
    await end(run);
    const state = () => mergesOf(run, 'second');
    await site.until('the merge to be withdrawn', state, ([merge]) => merge?.state === 'withdrawn', 10_000);
    const head = site.git('rev-parse', run.branch);
    open('go');
    const folder = join(placesIn(site.home).worktrees, run.project);
    const checks = (): string[] => readdirSync(folder).filter((name) => name.startsWith('check_'));
    await site.until('the end of the check', checks, ({ length }) => length === 0);
    // What the merge queue still has in hand is finished first.
    await inside.close();
    expect(site.git('rev-parse', run.branch)).toBe(head);
    expect(site.git('ls-tree', '--name-only', run.branch).split('\n')).toEqual(['a.txt', 'first.txt']);
    const merges = site.rows<Pick<Merge, 'state' | 'reason'>>(`SELECT state, reason FROM merge ORDER BY rowid`);
    expect(merges).toEqual([
      { state: 'landed', reason: null },
      { state: 'withdrawn', reason },
    ]);
  });
});

describe('a merge that was withdrawn', () => {
  it('is queued again when its run is resumed, and its work is not made again', async () => {
    const command = `echo edit >> ${at('worked')}; ${untilThere(at('go'))}; echo edited > a.txt`;
    const run = await inside.begin(planOf('desk', [{ id: 'edit', command }]));
    await marks('worked', 1);
    const desk = at('desk');
    site.git('worktree', 'add', '--quiet', desk, run.branch);
    writeFileSync(join(desk, 'a.txt'), 'mine\n');
    open('go');

    const waiting = await inside.settled(run.id);
    expect(waiting.state).toBe('waiting');
    expect(waiting.reason).toContain(`${run.branch} is checked out with changes of its own`);
    expect(waiting.reason).toContain(`maos resume ${run.name} queues it again`);
    expect(readFileSync(join(desk, 'a.txt'), 'utf8')).toBe('mine\n');

    site.gitAt(desk, 'checkout', '--quiet', '--', 'a.txt');
    const ended = await inside.resume(run);
    expect(ended.state).toBe('succeeded');
    expect(readFileSync(join(desk, 'a.txt'), 'utf8')).toBe('edited\n');
    expect(inside.lines('worked')).toEqual(['edit']);
    const merges = await mergesOf(ended, 'edit');
    expect(merges.map(({ state }) => state)).toEqual(['landed', 'withdrawn']);
    expect(new Set(merges.map(({ commit }) => commit)).size).toBe(1);
  });

  it('lands when its run is resumed, also when somebody has deleted the branch, and with it all that landed there', async () => {
    const run = await inside.begin(
      planOf('axe', [
        { id: 'first', command: 'echo first > first.txt' },
        {
          id: 'second',
          needs: ['first'],
          command: `echo second >> ${at('worked')}; ${untilThere(at('go'))}; echo second > second.txt`,
        },
      ]),
    );
    await marks('worked', 1);
    site.git('branch', '--quiet', '-D', run.branch);
    open('go');
    const waiting = await inside.settled(run.id);
    expect(waiting).toMatchObject({ state: 'waiting', reason: expect.stringContaining(`${run.branch} is gone`) });

    expect((await inside.resume(run)).state).toBe('succeeded');
    expect(site.git('ls-tree', '--name-only', run.branch).split('\n')).toEqual(['a.txt', 'first.txt', 'second.txt']);
    expect(inside.lines('worked')).toEqual(['second']);
  });
});

describe('what a task puts in the place of its output file', () => {
  const tricks = [
    ['a pipe', 'mkfifo "$MAOS_OUTPUT"'],
    ['a link', 'ln -s "$MAOS_REPOSITORY/a.txt" "$MAOS_OUTPUT"'],
    ['a folder', 'mkdir "$MAOS_OUTPUT"'],
  ] as const;
  it.each(tricks)('ends the attempt and holds up nothing, be it %s', async (_what, trick) => {
    const command = `rm -f "$MAOS_OUTPUT"; ${trick}; echo made > made.txt`;
    const run = await inside.carryOut(
      planOf('trick', [
        { id: 'trick', command, outputs: ['n'] },
        { id: 'other', command: 'echo other > other.txt' },
      ]),
    );
    expect(run).toMatchObject({ state: 'failed', counts: { failed: 1, done: 1 } });
    const { state, reason } = stepOf(run, 'trick');
    expect(state).toBe('failed');
    expect(reason).toContain('$MAOS_OUTPUT is not a regular file any more.');
    expect(site.git('ls-tree', '--name-only', run.branch).split('\n')).toEqual(['a.txt', 'other.txt']);
  });
});

describe('a task that is cancelled while its workspace is made', () => {
  it('leaves the workspace free, and nothing works in it', async () => {
    writeFileSync(join(site.repository, '.gitattributes'), 'held filter=gate\n');
    writeFileSync(join(site.repository, 'held'), 'held\n');
    site.git('add', '--all');
    site.git('commit', '--quiet', '--message=A file that takes its time');
    site.git('config', 'filter.gate.smudge', `touch ${at('filling')}; ${untilThere(at('go'))}; cat`);
    const run = await inside.begin(planOf('made', [{ id: 'never', command: `echo never >> ${at('worked')}` }]));
    await site.until('the filling of the workspace', () => existsSync(at('filling')), Boolean);
    const { task } = stepOf(run, 'never');
    await inside.user(taskOps.cancel, { task });
    expect((await inside.settled(run.id)).state).toBe('cancelled');
    const made = () => inside.user(workspaceOps.list, { key: `task:${task}:` });
    expect((await made()).workspaces).toMatchObject([{ state: 'requested', holder: task }]);

    open('go');
    const { workspaces } = await site.until(
      'the workspace made and free',
      made,
      ({ workspaces: [one] }) => one?.state === 'ready' && one.holder === null,
      10_000,
    );
    expect((await inside.user(runOps.remove, { run: run.name })).workspaces).toEqual(workspaces.map(({ id }) => id));
    expect(inside.lines('worked')).toEqual([]);
  });
});

describe('after a failure', () => {
  it('a task that a person vouched for is worked on again, not accepted again', async () => {
    const command = `echo try >> ${at('tries')}; echo x > x.txt; test ! -e ${at('right')} || echo n=1 > "$MAOS_OUTPUT"`;
    const run = await inside.carryOut(planOf('vouch', [{ id: 'count', command, outputs: ['n'] }]));
    expect(stepOf(run, 'count')).toMatchObject({ state: 'failed', reason: expect.stringContaining('its output "n"') });
    const after = inside.head;
    await inside.user(runOps.accept, { run: run.name, task: 'count' });
    expect((await inside.settled(run.id, after)).state).toBe('failed');
    expect(inside.lines('tries')).toEqual(['try']);

    open('right');
    const ended = await inside.resume(run);
    expect(stepOf(ended, 'count')).toMatchObject({ state: 'done', outputs: { n: '1' } });
    expect(inside.lines('tries')).toEqual(['try', 'try']);
  });

  it('a result of the earlier run that did not fit is made again, not offered again', async () => {
    const plan = (two: string, concurrency: number): string =>
      planOf(
        'fit',
        [
          {
            id: 'one',
            priority: 10,
            retries: { max: 1, backoff: '1ms' },
            command: `echo try >> ${at('tries')}; if grep -q new two.txt; then echo x > also.txt; fi; echo one > one.txt`,
            checks: ['! grep -q new two.txt || test -e also.txt'],
          },
          { id: 'two', priority: 90, command: two },
        ],
        { concurrency },
      );
    const earlier = await inside.carryOut(plan(`${untilLanded('one.txt')}; echo old > two.txt`, 2));
    expect(earlier.state).toBe('succeeded');
    const run = await inside.carryOut(plan('echo new > two.txt', 1), { continues: earlier.name });
    expect(run.state).toBe('succeeded');
    expect((await mergesOf(run, 'one')).map(({ state }) => state)).toEqual(['landed', 'rejected']);
    expect(stepOf(run, 'one').reused).toBe(false);
    expect(inside.lines('tries')).toEqual(['try', 'try']);
    expect(site.git('show', `${run.branch}:also.txt`)).toBe('x');
  });
});

describe('a run that waits for a person', () => {
  it('ends when the task it waits for is cancelled', async () => {
    const run = await inside.carryOut(
      planOf('wait', [
        { id: 'first', command: `${untilThere(at('begun'))}; echo first > a.txt; echo first > first.txt` },
        {
          id: 'second',
          command: `touch ${at('begun')}; ${untilLanded('first.txt')}; echo second > a.txt`,
          onConflict: 'wait',
        },
        { id: 'third', needs: ['second'], command: 'echo third > third.txt' },
      ]),
    );
    expect(run.state).toBe('waiting');
    const { task, workspace } = stepOf(run, 'second');
    const after = inside.head;
    await inside.user(taskOps.cancel, { task, reason: 'not needed' });

    const ended = await inside.settled(run.id, after);
    expect(ended).toMatchObject({ state: 'cancelled', reason: 'second cancelled: not needed' });
    expect(ended.counts).toEqual({ done: 1, cancelled: 1, blocked: 1 });
    const place = () => inside.user(workspaceOps.get, { workspace: workspace ?? '' });
    await site.until('its workspace to be free', place, ({ holder }) => holder === null, 10_000);
  });
});

describe('another try in a shared workspace', () => {
  it('is judged by all that it would land, also what the try before has left', async () => {
    const first = `touch ${at('second')}; echo x > outside.txt`;
    const later = `test ! -e ${at('clean')} || rm -f outside.txt; mkdir -p src; echo a > src/a.txt`;
    const run = await inside.carryOut(
      planOf('share', [
        {
          id: 'edit',
          workspace: 'desk',
          expects: ['src/**'],
          retries: { max: 1, backoff: '1ms' },
          command: `if test ! -e ${at('second')}; then ${first}; else ${later}; fi`,
        },
      ]),
    );
    expect(stepOf(run, 'edit')).toMatchObject({
      state: 'failed',
      attempt: 2,
      reason: expect.stringContaining('It changed files that it was not expected to: outside.txt.'),
    });
    expect(site.git('rev-parse', run.branch)).toBe(run.base);

    open('clean');
    const ended = await inside.resume(run);
    expect(ended.state).toBe('succeeded');
    expect(site.git('diff', '--name-only', run.base, run.branch)).toBe('src/a.txt');
  });
});

describe('a person at the door', () => {
  /** A run whose one task works until `go`. */
  const working = async (more: Readonly<Record<string, unknown>> = {}): Promise<{ run: RunDetail; held: Task }> => {
    const command = `echo $$ >> ${at('pids')}; ${untilThere(at('go'))}; echo done > done.txt`;
    const run = await inside.begin(planOf('door', [{ id: 'work', command, ...more }]));
    await marks('pids', 1);
    return { run, held: await inside.user(taskOps.get, { task: stepOf(run, 'work').task }) };
  };

  it('may not report what only MAOS itself can know', async () => {
    const { run, held } = await working();
    const { client, head } = inside;
    const { id: task, fence: attempt } = held;
    const { project, base, branch } = run;
    const { agent } = stepOf(await inside.user(runOps.get, { run: run.name }), 'work');
    const reports = [
      client.call(runOps.advance, { task, attempt, move: { kind: 'landed', commit: base } }),
      client.call(runOps.dispatch, { limit: 1 }),
      client.call(runOps.note, { run: run.id, note: { kind: 'removed' } }),
      client.call(taskOps.tick, {}),
      client.call(workspaceOps.queueMerge, { project, branch: 'main', commit: base, task, title: 'mine', checks: [] }),
      client.call(workspaceOps.dropBranch, { project, branch }),
      client.call(agentOps.reportEnded, {
        agent: agent ?? '',
        generation: 1,
        offset: 0,
        exit: 'exit 0',
        outcome: { kind: 'succeeded', result: '', structured: null },
        usage: null,
      }),
    ];
    const answers = await Promise.allSettled(reports);
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'forbidden', fix: /\S/ } });
    const mine = site.records().filter(({ position, actor }) => position > head && actor.startsWith('user:'));
    expect(mine).toEqual([]);
    open('go');
    expect((await inside.settled(run.id)).state).toBe('succeeded');
  });

  const claimEnds: readonly (readonly [string, (held: Task) => Promise<unknown>])[] = [
    ['complete', ({ id: task, fence }) => inside.client.call(taskOps.complete, { task, fence, result: 'mine' })],
    [
      'fail',
      ({ id: task, fence }) => inside.client.call(taskOps.fail, { task, fence, error: { class: 'x', message: 'x' } }),
    ],
    ['release', ({ id: task, fence }) => inside.client.call(taskOps.release, { task, fence })],
    ['wait', ({ id: task, fence }) => inside.client.call(taskOps.wait, { task, fence, for: 'me', reason: 'lunch' })],
    ['heartbeat', ({ id: task, fence }) => inside.client.call(taskOps.heartbeat, { claims: [{ task, fence }] })],
    [
      'depend',
      async ({ id: task, fence }) => {
        const { id } = await inside.client.call(taskOps.create, { title: 'another' });
        return inside.client.call(taskOps.depend, { task, fence, needs: [id] });
      },
    ],
  ];
  it('may not end the claim of a task that a run carries out, and is told what to do instead', async () => {
    const { run, held } = await working();
    for (const [verb, end] of claimEnds)
      await expect(end(held), verb).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining(`Task ${held.id} belongs to a run`),
        fix: expect.stringContaining('maos task cancel'),
      });
    const { state, fence } = await inside.user(taskOps.get, { task: held.id });
    expect({ state, fence }).toEqual({ state: 'claimed', fence: held.fence });
    open('go');
    expect((await inside.settled(run.id)).state).toBe('succeeded');
  });

  it('may cancel it, which ends its process and the run, and queue it again, which carries the run on', async () => {
    const { run, held } = await working();
    const [pid] = inside.lines('pids');
    const { client } = inside;
    expect(await client.call(taskOps.cancel, { task: held.id, reason: 'too slow' })).toMatchObject({
      state: 'cancelled',
    });
    expect(await inside.settled(run.id)).toMatchObject({ state: 'cancelled', reason: 'work cancelled: too slow' });
    await site.until(
      'the end of its process',
      () => existsSync(`/proc/${pid}`),
      (there) => !there,
      10_000,
    );
    await expect(client.call(taskOps.cancel, { task: held.id })).rejects.toMatchObject({ code: 'conflict' });

    const after = inside.head;
    open('go');
    expect(await client.call(taskOps.retry, { task: held.id })).toMatchObject({ state: 'queued' });
    expect((await inside.settled(run.id, after)).state).toBe('succeeded');
    expect(site.git('show', `${run.branch}:done.txt`)).toBe('done');
  });

  it('may say which of its tasks comes first, but not who carries one out', async () => {
    const { client } = inside;
    const order = (id: string) => ({ id, command: `echo ${id} >> ${at('order')}` });
    const hold = { id: 'hold', priority: 90, command: `echo x >> ${at('pids')}; ${untilThere(at('go'))}` };
    const run = await inside.begin(planOf('order', [hold, order('early'), order('late')], { concurrency: 1 }));
    await marks('pids', 1);
    const [held, , late] = run.steps;
    for (const step of [held, late])
      await expect(client.call(taskOps.assign, { task: step?.task ?? '', assignee: 'me' })).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('belongs to a run'),
        fix: expect.stringContaining('--priority'),
      });
    await client.call(taskOps.update, { task: late?.task ?? '', priority: 80 });
    open('go');
    expect((await inside.settled(run.id)).state).toBe('succeeded');
    expect(inside.lines('order')).toEqual(['late', 'early']);
  });
});

describe('a run that was removed', () => {
  it('is only history: nothing carries it on or lands it, and every refusal says so', async () => {
    const run = await inside.carryOut(
      planOf('gone', [
        { id: 'good', command: 'echo good > good.txt' },
        { id: 'bad', command: 'exit 1' },
      ]),
    );
    expect(run.state).toBe('failed');
    await inside.user(runOps.merge, { run: run.name });
    await inside.user(runOps.remove, { run: run.name });
    // Whoever takes its name for a branch of their own keeps it.
    site.git('branch', run.branch);
    const { client, head } = inside;
    const name = { run: run.name };
    const attempts: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['resume', () => client.call(runOps.resume, name)],
      ['merge', () => client.call(runOps.merge, name)],
      ['accept', () => client.call(runOps.accept, { ...name, task: 'bad' })],
      ['rollback', () => client.call(runOps.rollback, { ...name, task: 'good' })],
      ['diff', () => client.call(runOps.diff, name)],
      ['task.retry', () => client.call(taskOps.retry, { task: stepOf(run, 'bad').task })],
    ];
    for (const [what, attempt] of attempts)
      await expect(attempt(), what).rejects.toMatchObject({
        code: 'conflict',
        message: `${run.name} was removed: its branch and its worktrees are gone.`,
        fix: expect.stringContaining('maos run'),
      });
    expect((await client.call(runOps.list, {})).runs).toEqual([]);
    expect((await client.call(runOps.report, name)).markdown).toContain(`# ${run.name}: failed`);
    expect(await client.call(runOps.remove, name)).toEqual({ run: run.name, workspaces: [], rescued: [] });
    expect(site.git('branch', '--list', run.branch)).toContain(run.branch);
    expect(site.records().filter(({ position, actor }) => position > head && actor.startsWith('user:'))).toEqual([]);
  });
});
