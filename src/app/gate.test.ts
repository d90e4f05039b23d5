import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { systemCaller } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import { approvalEvents, approvalOps } from '../policy/approvals/contract.ts';
import { policyOps } from '../policy/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

describe('a command of a plan before the gate', () => {
  let local: Local;
  let home: LocalHome;
  let victim: string;
  beforeEach(async () => {
    local = await new Local().init();
    home = await local.start();
    // The rules let temporary folders be, so this one is beside them.
    victim = mkdtempSync(join(homedir(), '.maos-gate-'));
  });
  afterEach(async () => {
    await local.destroy();
    rmSync(victim, { recursive: true, force: true });
  });
  const plan = () => `name: tidy\ntasks:\n  - { id: tidy, command: 'rm -rf ${victim}; echo done > done.txt' }\n`;

  it('waits for an approval and goes on with it', async () => {
    const run = await home.carryOut(plan());
    expect(run).toMatchObject({ state: 'waiting', steps: [{ state: 'waiting' }] });
    const { approvals } = await home.call(approvalOps.list, { state: ['open'] });
    expect(approvals).toMatchObject([{ run: run.id, task: run.steps[0]?.task, rule: 'file.delete-outside' }]);
    expect(existsSync(victim)).toBe(true);
    const after = home.server.engine.feed.head;
    await home.call(approvalOps.approve, { approvals: approvals.map(({ id }) => id) });
    expect(await home.settled(run.id, after)).toMatchObject({ state: 'succeeded' });
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

  it('a person starts what the rules would ask about, and nobody what they block', async () => {
    const { id: agent } = await home.call(agentOps.create, { runtime: 'command' });
    const start = (line: string) => home.call(agentOps.start, { agent, argv: ['sh', '-c', line], cwd: homedir() });
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
