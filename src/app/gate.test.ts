import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { localCaller, systemCaller } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import { approvalEvents, approvalOps } from '../policy/approvals/contract.ts';
import { policyOps } from '../policy/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

/** The shipped rule lets temporary folders be; here everything is in one. */
function ownRules(root: string): void {
  mkdirSync(join(root, 'home'), { mode: 0o700 });
  const match = '{ kind: [bash, file], path: { outside: workspace, access: delete } }';
  writeFileSync(
    join(root, 'home/policy.yaml'),
    `rules:\n  - { id: file.delete-outside, match: ${match}, decision: ask, risk: high, reason: It deletes outside }\n`,
  );
}

describe('a command of a plan before the gate', () => {
  let local: Local;
  let home: LocalHome;
  let victim: string;
  beforeEach(async () => {
    local = await new Local().init();
    ownRules(local.root);
    home = await local.start();
    victim = join(local.root, 'victim');
    mkdirSync(victim);
  });
  afterEach(() => local.destroy());
  const plan = () => `name: tidy\ntasks:\n  - { id: tidy, command: 'rm -rf ${victim}; echo done > done.txt' }\n`;

  it('waits for an approval and goes on with it', async () => {
    const run = await home.carryOut(plan());
    expect(run).toMatchObject({ state: 'waiting', steps: [{ state: 'waiting', attempt: 0 }] });
    const { approvals } = await home.call(approvalOps.list, { state: ['open'] });
    expect(approvals).toMatchObject([{ run: run.id, task: run.steps[0]?.task, rule: 'file.delete-outside' }]);
    expect(existsSync(victim)).toBe(true);
    const after = home.server.engine.feed.head;
    await home.call(approvalOps.approve, { approvals: approvals.map(({ id }) => id) });
    // Having waited is no attempt.
    expect(await home.settled(run.id, after)).toMatchObject({ state: 'succeeded', steps: [{ attempt: 1 }] });
    expect(await home.call(taskOps.get, { task: run.steps[0]?.task ?? '' })).toMatchObject({ attempt: 1 });
    expect(existsSync(victim)).toBe(false);
  });

  it('fails when it is denied, and is carried on when somebody thinks better of it', async () => {
    const run = await home.carryOut(plan());
    const [entry] = (await home.call(approvalOps.list, {})).approvals;
    const approvals = [entry?.id ?? ''];
    const after = home.server.engine.feed.head;
    await home.call(approvalOps.deny, { approvals, reason: 'Leave it alone.' });
    const failed = await home.settled(run.id, after);
    expect(failed).toMatchObject({ state: 'failed', steps: [{ reason: expect.stringContaining('Leave it alone.') }] });
    expect(home.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'policy' });
    expect(existsSync(victim)).toBe(true);
    await home.call(approvalOps.approve, { approvals });
    const later = home.server.engine.feed.head;
    await home.call(runOps.resume, { run: run.id });
    expect(await home.settled(run.id, later)).toMatchObject({ state: 'succeeded' });
    expect(home.records().filter(({ type }) => type === approvalEvents.requested.type)).toHaveLength(1);
  });

  it('is not started when a rule blocks it', async () => {
    const run = await home.carryOut(`name: wipe\ntasks:\n  - { id: wipe, command: 'mkfs.ext4 nothing.img' }\n`);
    expect(run).toMatchObject({ state: 'failed', steps: [{ reason: expect.stringContaining('overwrites a disk') }] });
  });
});

describe('an operation that a rule holds back', () => {
  let local: Local;
  let home: LocalHome;
  beforeEach(async () => {
    local = await new Local().init();
    home = await local.start();
  });
  afterEach(() => local.destroy());
  const rule = (decision: 'ask' | 'block') => ({
    rules: [
      {
        id: 'no-tasks',
        match: { kind: 'operation' as const, operation: 'task.create' },
        decision,
        reason: 'Tasks cost.',
      },
    ],
  });
  const create = (title: string) => home.call(taskOps.create, { title });
  const refused = async (title: string): Promise<string> => {
    const error: unknown = await create(title).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'forbidden', message: expect.stringContaining('Tasks cost') });
    return error instanceof AppError ? String(error.details?.['approval']) : '';
  };

  it('is carried out when it comes again after the approval, once, and for this input alone', async () => {
    await home.call(policyOps.set, rule('ask'));
    const approval = await refused('one');
    expect(await refused('one')).toBe(approval);
    await home.call(approvalOps.approve, { approvals: [approval] });
    const other = await refused('two');
    expect(other).not.toBe(approval);
    expect(await create('one')).toMatchObject({ title: 'one' });
    expect(await refused('one')).not.toBe(approval);
    const { approvals } = await home.call(approvalOps.list, { state: ['open'] });
    expect(approvals.map(({ what }) => what.command)).toEqual(
      expect.arrayContaining([expect.stringContaining('"title":"two"')]),
    );
    expect(home.records().filter(({ type }) => type === 'task.created')).toHaveLength(1);
  });

  const keyed = (title: string, key: string): Promise<unknown> =>
    home.server.registry.call(taskOps.create.name, { title }, { caller: localCaller, key });

  it('under an idempotency key is answered the same, however often it is called', async () => {
    await home.call(policyOps.set, rule('ask'));
    const waiting: unknown = await keyed('one', 'k-1').catch((error: unknown) => error);
    const approval = waiting instanceof AppError ? String(waiting.details?.['approval']) : '';
    await home.call(approvalOps.approve, { approvals: [approval] });
    const made = await keyed('one', 'k-1');
    expect(await keyed('one', 'k-1')).toEqual(made);
    expect(home.records().filter(({ type }) => type === 'task.created')).toHaveLength(1);
    await expect(keyed('one', 'k-2')).rejects.toMatchObject({ code: 'forbidden', details: { waits: true } });
    const [open] = (await home.call(approvalOps.list, { state: ['open'] })).approvals;
    await home.call(approvalOps.deny, { approvals: [open?.id ?? ''], reason: 'Not now.' });
    for (const _ of [1, 2])
      await expect(keyed('one', 'k-2')).rejects.toMatchObject({
        message: expect.stringContaining('Not now.'),
        details: { waits: false, approval: open?.id },
      });
  });

  it('is seen by rules that look at the role of whoever calls', async () => {
    const match = { kind: 'operation' as const, operation: 'task.create', role: 'viewer' };
    await home.call(policyOps.set, { rules: [{ id: 'no-viewers', match, decision: 'block' }] });
    const as = (role: string) => ({ caller: { ...localCaller, role } });
    const call = (role: string) => home.server.registry.call(taskOps.create.name, { title: role }, as(role));
    expect(await call('admin')).toMatchObject({ title: 'admin' });
    await expect(call('viewer')).rejects.toMatchObject({ details: { rule: 'no-viewers' } });
  });

  it('by rules that somebody else has put into the log', async () => {
    await home.server.registry.as(systemCaller('another node'))(policyOps.record, rule('block'));
    await expect
      .poll(() => create('one').catch((error: unknown) => error))
      .toMatchObject({ details: { rule: 'no-tasks' } });
  });

  it('a person starts what the rules would ask about, and nobody what they block', async () => {
    const { id: agent } = await home.call(agentOps.create, { runtime: 'command' });
    const start = (line: string) => home.call(agentOps.start, { agent, argv: ['sh', '-c', line], cwd: local.root });
    await expect(start('mkfs.ext4 nothing.img')).rejects.toMatchObject({ code: 'forbidden' });
    expect(await start('rm -rf ../nothing-of-this-name')).toMatchObject({ id: agent });
  });

  it('is refused when it is blocked, and MAOS itself is not', async () => {
    await home.call(policyOps.set, rule('block'));
    const at = home.server.engine.feed.head;
    await expect(create('one')).rejects.toMatchObject({ code: 'forbidden', details: { rule: 'no-tasks' } });
    expect(home.records().filter(({ position, type }) => position > at && type === 'task.created')).toEqual([]);
    await home.server.registry.as(systemCaller('test'))(taskOps.create, { title: 'own' });
    await home.call(policyOps.set, { remove: ['no-tasks'] });
    expect(await create('one')).toMatchObject({ title: 'one' });
  });
});
