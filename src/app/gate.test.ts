import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { approvalEvents, approvalOps } from '../policy/approvals/contract.ts';
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
