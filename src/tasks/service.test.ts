import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InputOf } from '../kernel/operation.ts';
import { type Task, taskOps as ops } from './contract.ts';
import { openTestCore, type TestCore } from './core.fixture.ts';
import { Leases } from './leases.ts';
import { taskHandlers } from './service.ts';
import { taskView } from './views.ts';

let core: TestCore;
let leases: Leases;

beforeEach(() => {
  leases = new Leases();
  core = openTestCore([taskView], taskHandlers({ leases }));
});
afterEach(() => core.close());

const create = (title: string, more: Partial<InputOf<typeof ops.create>> = {}): Task =>
  core.call(ops.create, { title, ...more });
const get = (task: Task | string): Task => core.call(ops.get, { task: typeof task === 'string' ? task : task.id });
const claimNext = (more: Partial<InputOf<typeof ops.claim>> = {}): Task | null =>
  core.call(ops.claim, { worker: 'ann', ...more }).task;
const claim = (more: Partial<InputOf<typeof ops.claim>> = {}): Task => {
  const task = claimNext(more);
  if (task === null) throw new Error('Nothing to claim.');
  return task;
};
const complete = ({ id, fence }: Task, result?: unknown): Task => core.call(ops.complete, { task: id, fence, result });
const fail = ({ id, fence }: Task, more: Partial<InputOf<typeof ops.fail>> = {}): Task =>
  core.call(ops.fail, { task: id, fence, error: { class: 'exit', message: 'code 1' }, ...more });
const finish = (task: Task): Task => complete(claim({ task: task.id }));
const states = (...tasks: Task[]): string[] => tasks.map((task) => get(task).state);

describe('lifecycle', () => {
  it('creates, claims and completes; what each call says is what is stored', () => {
    const task = create('Sum', { payload: { a: [1, 2] }, labels: ['x'], description: 'All of it' });
    expect(task).toMatchObject({ state: 'queued', attempt: 0, fence: 0, priority: 50, queue: 'default', kind: 'task' });
    expect(get(task)).toEqual(task);
    core.clock.advance(5);
    const claimed = claim();
    expect(claimed).toMatchObject({ id: task.id, state: 'claimed', claimedBy: 'ann', attempt: 1, fence: 1 });
    expect(claimed.since).toBe(core.clock.now());
    expect(get(task)).toEqual(claimed);
    const done = complete(claimed, { sum: 3 });
    expect(done).toMatchObject({ state: 'done', result: { sum: 3 }, claimedBy: null });
    expect(get(task)).toEqual(done);
    expect(claimNext()).toBeNull();
  });

  it('claims by priority, then by age', () => {
    const titles = [
      ['old', 50],
      ['low', 10],
      ['high', 90],
      ['new', 50],
    ] as const;
    for (const [title, priority] of titles) create(title, { priority });
    expect([claim(), claim(), claim(), claim()].map(({ title }) => title)).toEqual(['high', 'old', 'new', 'low']);
  });

  it('claims from a queue, of some kinds, and what is assigned to the worker', () => {
    create('other queue', { queue: 'slow' });
    create('review', { kind: 'review', priority: 90 });
    create('mine', { assignee: 'ann', priority: 60 });
    create("bob's", { assignee: 'bob', priority: 99 });
    create('test', { kind: 'test' });
    expect(claim({ queue: 'slow' }).title).toBe('other queue');
    expect(claimNext({ kinds: ['deploy'] })).toBeNull();
    expect(claim({ kinds: ['test', 'review'] }).title).toBe('review');
    expect(claim().title).toBe('mine');
    expect(claim({ kinds: ['task', 'test'] }).title).toBe('test');
    expect(claimNext()).toBeNull();
    expect(claim({ worker: 'bob', kinds: ['task'] }).title).toBe("bob's");
  });

  it('claims one named task, once', () => {
    const task = create('This one');
    create('Not this', { priority: 99 });
    const bobs = create("Bob's", { assignee: 'bob' });
    const claimed = claim({ task: task.id });
    expect(claimed.id).toBe(task.id);
    const again = core.refusal(ops.claim, { worker: 'ann', task: task.id });
    expect(again).toMatchObject({ code: 'conflict', message: `Task ${task.id} is claimed and cannot become claimed.` });
    expect(core.refusal(ops.claim, { worker: 'ann', task: bobs.id }).message).toContain('assigned to bob, not to ann');
    core.call(ops.release, { task: task.id, fence: claimed.fence });
    expect(claim({ task: task.id })).toMatchObject({ fence: 2, attempt: 2 });
  });

  it('refuses an old fence everywhere', () => {
    const task = create('Once');
    const old = claim();
    core.call(ops.release, { task: task.id, fence: old.fence, reason: 'lunch' });
    expect(get(task)).toMatchObject({ state: 'queued', reason: 'lunch' });
    expect(core.refusal(ops.complete, { task: task.id, fence: old.fence }).message).toContain(
      'is queued and cannot become done',
    );
    const held = claim({ worker: 'bob' });
    const stale = { task: task.id, fence: old.fence };
    for (const refused of [
      core.refusal(ops.complete, stale),
      core.refusal(ops.fail, { ...stale, error: { class: 'exit', message: '' } }),
      core.refusal(ops.release, stale),
      core.refusal(ops.wait, { ...stale, for: 'person', reason: '?' }),
    ]) {
      expect(refused).toMatchObject({
        code: 'conflict',
        message: `The claim of task ${task.id} was lost: its fence is 2, not 1.`,
      });
    }
    const claims = [stale, { task: task.id, fence: held.fence }, { task: 'task_unknown', fence: 1 }];
    expect(core.call(ops.heartbeat, { claims })).toEqual({ lost: [task.id, 'task_unknown'] });
    complete(held);
    expect(core.call(ops.heartbeat, { claims: [{ task: task.id, fence: held.fence }] }).lost).toEqual([task.id]);
  });

  it('waits for a person and goes on', () => {
    create('Ask');
    const claimed = claim();
    const waiting = core.call(ops.wait, { task: claimed.id, fence: claimed.fence, for: 'approval', reason: 'rm -rf' });
    expect(waiting).toMatchObject({ state: 'waiting', reason: 'approval: rm -rf', claimedBy: null });
    expect(get(claimed)).toEqual(waiting);
    expect(core.call(ops.explain, { task: claimed.id }).because[0]?.message).toContain('approval: rm -rf');
    expect(core.call(ops.retry, { task: claimed.id })).toMatchObject({
      state: 'queued',
      reason: 'what it waited for was done',
    });
    // What only waited for an approval was not tried.
    expect([claimed.attempt, waiting.attempt, claim().attempt]).toEqual([1, 0, 1]);
  });

  it('cancels, and a late completion is refused', () => {
    create('Stop');
    const claimed = claim();
    const cancelled = core.call(ops.cancel, { task: claimed.id, reason: 'changed my mind' });
    expect(cancelled).toEqual(get(claimed));
    expect(cancelled).toMatchObject({ state: 'cancelled', reason: 'changed my mind' });
    expect(core.refusal(ops.complete, { task: claimed.id, fence: claimed.fence })).toMatchObject({
      message: `Task ${claimed.id} is cancelled and cannot become done.`,
      fix: expect.stringContaining('Stop working on it'),
    });
    expect(leases.nextAt()).toBeNull();
  });
});

describe('changes', () => {
  it('updates words and priority; an ended task stays as it was', () => {
    const task = create('Draft', { payload: { a: 1 } });
    const updated = core.call(ops.update, {
      task: task.id,
      title: 'Final',
      priority: 80,
      labels: ['l'],
      payload: { b: 2 },
    });
    expect(updated).toEqual({ ...task, title: 'Final', priority: 80, labels: ['l'], payload: { b: 2 } });
    finish(task);
    expect(core.refusal(ops.update, { task: task.id, title: 'Late' })).toMatchObject({ code: 'conflict' });
  });

  it('assigns, but not over the head of whoever works on it', () => {
    const task = create('Whose');
    expect(core.call(ops.assign, { task: task.id, assignee: 'bob' })).toEqual({ ...task, assignee: 'bob' });
    expect(get(task).assignee).toBe('bob');
    claim({ worker: 'bob' });
    expect(core.call(ops.assign, { task: task.id, assignee: 'bob' }).assignee).toBe('bob');
    expect(core.refusal(ops.assign, { task: task.id, assignee: 'ann' }).message).toContain('is claimed by bob');
  });
});

describe('needs', () => {
  it('blocks until all are done', () => {
    const [a, b] = [create('a'), create('b')];
    const c = create('c', { needs: [a.id, b.id, a.id] });
    expect(c).toMatchObject({ state: 'blocked', needs: [a.id, b.id], reason: 'some of its needs are not done' });
    finish(a);
    expect(states(c)).toEqual(['blocked']);
    finish(b);
    expect(get(c)).toMatchObject({ state: 'queued', reason: 'its needs are done' });
    expect(create('d', { needs: [a.id, b.id] }).state).toBe('queued');
  });

  it('respects the time once the needs are done', () => {
    const a = create('a');
    const later = core.clock.now() + 1_000;
    const b = create('b', { needs: [a.id], notBefore: later });
    const c = create('c', { notBefore: later });
    expect([b.state, c.state]).toEqual(['blocked', 'delayed']);
    finish(a);
    expect(get(b)).toMatchObject({ state: 'delayed', notBefore: later });
    expect(core.call(ops.explain, { task: c.id }).because[0]?.message).toContain(new Date(later).toISOString());
    core.clock.advance(1_000);
    expect(core.call(ops.tick, {})).toMatchObject({ promoted: 2, nextAt: null });
    expect(states(b, c)).toEqual(['queued', 'queued']);
  });

  it('does not queue what was cancelled, and blocks it again when it is retried too early', () => {
    const a = create('a');
    const b = create('b', { needs: [a.id] });
    const c = create('c', { needs: [a.id] });
    core.call(ops.cancel, { task: b.id });
    core.call(ops.cancel, { task: c.id });
    expect(core.call(ops.retry, { task: c.id }).state).toBe('blocked');
    finish(a);
    expect(states(b, c)).toEqual(['cancelled', 'queued']);
    expect(core.call(ops.retry, { task: b.id }).state).toBe('queued');
    expect(core.refusal(ops.retry, { task: b.id }).message).toContain('is queued and cannot become queued');
  });

  it('says who is to blame, however far away', () => {
    const root = create('Root');
    const middle = create('Middle', { needs: [root.id] });
    const other = create('Other');
    const leaf = create('Leaf', { needs: [middle.id, other.id] });
    fail(claim({ task: root.id }), { retry: false });
    expect(states(middle, leaf)).toEqual(['blocked', 'blocked']);
    const { because } = core.call(ops.explain, { task: leaf.id });
    expect(because.map(({ task, state }) => [task, state])).toEqual([
      [root.id, 'failed'],
      [other.id, 'queued'],
    ]);
    expect(because[0]?.message).toBe(
      `It needs "Root" (${leaf.id} → ${middle.id} → ${root.id}). It failed (exit: code 1). Queue it again with maos task retry.`,
    );
    core.call(ops.retry, { task: root.id });
    finish(root);
    expect(states(middle)).toEqual(['queued']);
  });

  it('can be found while a task is worked on; the attempt does not count', () => {
    const task = create('Whole');
    const user = create('User', { needs: [task.id] });
    const claimed = claim({ task: task.id });
    const part = create('Part');
    const held = { task: task.id, fence: claimed.fence };
    expect(core.refusal(ops.depend, { ...held, needs: [user.id] })).toMatchObject({ code: 'invalid' });
    expect(core.refusal(ops.depend, { ...held, needs: [task.id] })).toMatchObject({ code: 'invalid' });
    expect(core.refusal(ops.depend, { task: task.id, fence: 0, needs: [part.id] })).toMatchObject({ code: 'conflict' });
    const blocked = core.call(ops.depend, { ...held, needs: [part.id] });
    expect(blocked).toMatchObject({ state: 'blocked', needs: [part.id], claimedBy: null });
    expect(leases.nextAt()).toBeNull();
    finish(part);
    expect(get(task)).toMatchObject({ state: 'queued', reason: 'its needs are done' });
    const again = claim({ task: task.id });
    expect(core.call(ops.depend, { task: task.id, fence: again.fence, needs: [part.id] }).state).toBe('queued');
    expect(fail(claim({ task: task.id }), { free: true }).state).toBe('delayed');
  });

  it('refuses an unknown need and an unknown parent', () => {
    expect(core.refusal(ops.create, { title: 'x', needs: ['nope'] })).toMatchObject({
      code: 'not_found',
      message: 'No task matches "nope".',
    });
    expect(core.refusal(ops.create, { title: 'x', parent: 'nope' }).code).toBe('not_found');
    expect(core.call(ops.list, {}).tasks).toEqual([]);
  });
});

describe('batch', () => {
  it('adds a graph by refs, in any order', () => {
    const before = create('before');
    const { tasks } = core.call(ops.batch, {
      tasks: [
        { ref: 'ship', title: 'Ship', needs: ['test', before.id] },
        { ref: 'test', title: 'Test', needs: ['build'] },
        { ref: 'build', title: 'Build' },
        { title: 'Alone' },
      ],
    });
    expect(tasks.map(({ ref }) => ref)).toEqual(['ship', 'test', 'build', null]);
    const [ship = '', test = '', build = ''] = tasks.map(({ id }) => id);
    expect(get(ship)).toMatchObject({ state: 'blocked', needs: [test, before.id] });
    for (const id of [build, test]) finish(get(id));
    expect(get(ship).state).toBe('blocked');
    finish(before);
    expect(get(ship).state).toBe('queued');
  });

  it('names a cycle and adds nothing', () => {
    const tasks = [
      { ref: 'a', title: 'a', needs: ['b'] },
      { ref: 'b', title: 'b', needs: ['c'] },
      { ref: 'c', title: 'c', needs: ['d', 'b'] },
      { ref: 'd', title: 'd' },
    ];
    expect(core.refusal(ops.batch, { tasks })).toMatchObject({
      code: 'conflict',
      message: 'The needs form a cycle (each needs the next): b → c → b.',
    });
    expect(core.refusal(ops.batch, { tasks: [{ ref: 'a', title: 'a', needs: ['a'] }] }).message).toContain('a → a');
    expect(core.call(ops.list, {}).tasks).toEqual([]);
  });

  it('says where an unknown need or a ref that is used twice stands', () => {
    const unknown = core.refusal(ops.batch, { tasks: [{ title: 'a' }, { title: 'b', needs: ['c'] }] });
    expect(unknown).toMatchObject({ code: 'not_found', message: expect.stringContaining('tasks.1.needs') });
    expect(core.call(ops.list, {}).tasks).toEqual([]);
    const twice = core.refusal(ops.batch, {
      tasks: [
        { ref: 'a', title: 'a' },
        { ref: 'a', title: 'b' },
      ],
    });
    expect(twice).toMatchObject({ code: 'invalid', message: 'Two tasks of the batch have the ref "a".' });
  });

  it('takes a chain of 2,000', () => {
    const tasks = Array.from({ length: 2_000 }, (_, index) => ({
      ref: `${index}`,
      title: 't',
      needs: index === 0 ? [] : [`${index - 1}`],
    }));
    const added = core.call(ops.batch, { tasks }).tasks;
    const { because } = core.call(ops.explain, { task: added.at(-1)?.id ?? '' });
    expect(because).toEqual([{ task: added[0]?.id, state: 'queued', message: expect.stringContaining('→ … →') }]);
  });
});

describe('failures', () => {
  const retries = { max: 2, backoffMs: 1_000, factor: 2 };

  it('rests longer each time, then becomes a dead letter; a retry by hand counts anew', () => {
    const task = create('Flaky', { retries });
    for (const base of [1_000, 2_000]) {
      const delayed = fail(claim());
      expect(delayed).toEqual(get(task));
      expect(delayed).toMatchObject({
        state: 'delayed',
        reason: 'exit: code 1',
        error: { class: 'exit', message: 'code 1' },
      });
      const rest = (delayed.notBefore ?? 0) - core.clock.now();
      expect(Math.abs(rest - base)).toBeLessThanOrEqual(base * 0.2);
      expect(core.call(ops.tick, {}).nextAt).toBe(delayed.notBefore);
      core.clock.advance(rest);
      expect(core.call(ops.tick, {}).promoted).toBe(1);
    }
    const failed = fail(claim());
    expect(failed).toEqual(get(task));
    expect(failed).toMatchObject({ state: 'failed', attempt: 3 });
    expect(core.refusal(ops.complete, { task: task.id, fence: 3 }).fix).toContain('maos task retry');
    expect(core.call(ops.retry, { task: task.id })).toMatchObject({ state: 'queued', attempt: 3 });
    expect(fail(claim())).toMatchObject({ state: 'delayed', attempt: 4 });
  });

  it('does not try again what cannot be helped', () => {
    create('Hopeless', { retries });
    expect(fail(claim(), { retry: false }).state).toBe('failed');
    create('No retries');
    expect(fail(claim()).state).toBe('failed');
  });

  it('waits for a given time, and a free attempt does not count', () => {
    const task = create('Limited');
    for (let i = 0; i < 3; i += 1) {
      const retryAt = core.clock.now() + 3_600_000;
      expect(fail(claim(), { retryAt, free: true })).toMatchObject({ state: 'delayed', notBefore: retryAt });
      core.clock.advance(3_600_000);
      core.call(ops.tick, {});
    }
    expect(fail(claim())).toMatchObject({ id: task.id, state: 'failed', attempt: 4 });
  });
});

describe('leases', () => {
  it('run out without a heartbeat', () => {
    create('a');
    create('b');
    const [a, b] = [claim(), claim()];
    core.clock.advance(10_000);
    expect(core.call(ops.heartbeat, { claims: [{ task: b.id, fence: b.fence }] })).toEqual({ lost: [] });
    core.clock.advance(4_999);
    expect(core.call(ops.tick, {})).toMatchObject({ released: 0, nextAt: core.clock.now() + 1 });
    core.clock.advance(1);
    expect(core.call(ops.tick, {})).toMatchObject({ released: 1, nextAt: core.clock.now() + 10_000 });
    expect(get(a)).toMatchObject({ state: 'queued', reason: 'no heartbeat for 15 seconds' });
    expect(core.call(ops.history, { task: a.id }).records.map(({ type }) => type)).toEqual([
      'task.created',
      'task.claimed',
      'task.released',
      'task.queued',
    ]);
    complete(b);
    expect(core.call(ops.tick, {})).toEqual({ promoted: 0, released: 0, nextAt: null });
  });

  it('are given anew after a restart', () => {
    create('a');
    const task = claim();
    leases.release(task.id); // what a restart does to memory
    core.clock.advance(60_000);
    expect(core.call(ops.tick, {})).toMatchObject({ released: 0, nextAt: core.clock.now() + 15_000 });
    core.clock.advance(15_000);
    expect(core.call(ops.tick, {}).released).toBe(1);
  });

  it('are reaped and due tasks promoted in portions; the rest is due at once', () => {
    const notBefore = core.clock.now() + 10;
    core.call(ops.batch, { tasks: Array.from({ length: 1_200 }, () => ({ title: 't', notBefore })) });
    expect(core.call(ops.tick, {})).toEqual({ promoted: 0, released: 0, nextAt: notBefore });
    core.clock.advance(20);
    expect(core.call(ops.tick, {})).toMatchObject({ promoted: 500, nextAt: notBefore });
    expect(core.call(ops.tick, {}).promoted).toBe(500);
    expect(core.call(ops.tick, {})).toMatchObject({ promoted: 200, nextAt: null });
  });
});

describe('reading', () => {
  it('lists newest first, by state and belonging, page by page', () => {
    const parent = create('parent', { project: 'p1' });
    const tasks = Array.from({ length: 5 }, (_, index) =>
      create(`t${index}`, { parent: parent.id.slice(0, 12), run: 'run_1' }),
    );
    finish(tasks[0] ?? parent);
    core.call(ops.cancel, { task: tasks[1]?.id ?? '' });
    const titles = (input: InputOf<typeof ops.list>): string[] =>
      core.call(ops.list, input).tasks.map(({ title }) => title);
    expect(titles({})).toEqual(['t4', 't3', 't2', 't1', 't0', 'parent']);
    expect(titles({ state: ['done', 'queued'], run: 'run_1' })).toEqual(['t4', 't3', 't2', 't0']);
    expect(titles({ parent: parent.id, state: ['cancelled'] })).toEqual(['t1']);
    expect(titles({ project: 'p1', queue: 'default' })).toEqual(['parent']);
    expect(titles({ assignee: 'ann' })).toEqual([]);
    const first = core.call(ops.list, { limit: 4 });
    expect(first.tasks).toHaveLength(4);
    const second = core.call(ops.list, { limit: 4, cursor: first.next ?? '' });
    expect([second.tasks.map(({ title }) => title), second.next]).toEqual([['t0', 'parent'], null]);
    expect(core.refusal(ops.list, { cursor: 'x' }).code).toBe('invalid');
  });

  it('finds a task by the beginning of its id', () => {
    const task = create('One');
    for (const text of [task.id, task.id.slice(5), task.id.slice(0, 12), task.id.slice(5, 11).toUpperCase()]) {
      expect(get(text).id).toBe(task.id);
    }
    create('Two');
    expect(core.refusal(ops.get, { task: 'task_' })).toMatchObject({ code: 'conflict' });
    expect(core.refusal(ops.get, { task: 'zzzzzz!' })).toMatchObject({
      code: 'not_found',
      fix: expect.stringContaining('maos task list'),
    });
  });
});
