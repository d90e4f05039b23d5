import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentEvents, agentOps } from '../agents/contract.ts';
import { type Budget, budgetEvents, budgetOps } from '../budgets/contract.ts';
import { dayOf } from '../budgets/period.ts';
import type { LogRecord } from '../kernel/event.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { taskEvents } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
let home: LocalHome;
beforeEach(async () => {
  local = await new Local().init();
  home = await local.start();
});
afterEach(() => local.destroy());

/** A task of a scripted agent: it uses money, waits until it may go on, and writes a file. */
const task = (id: string, cost: number | null, more = ''): string => `
  - id: ${id}
    runtime: fake
${more}    prompt: |
      \`\`\`yaml
      - usage: { input: 10, cost: ${cost} }
      - wait_for: ${join(local.root, `go-${id}`)}
      - write: { path: ${id}, text: x }
      - result: done
      \`\`\`
`;
const limited = (id: string, cost: number): string => task(id, cost).replace('runtime: fake', 'agent: coder');

function allow(...ids: string[]): void {
  for (const id of ids) writeFileSync(join(local.root, `go-${id}`), '');
}

const begin = async (plan: string): Promise<RunDetail> => home.call(runOps.create, { plan, cwd: local.repository });

/** What the sessions of the log were promised, by the task’s place in the plan. */
async function promises(run: string): Promise<Record<string, number | null>> {
  const { steps } = await home.call(runOps.get, { run });
  const found: Record<string, number | null> = {};
  for (const { id, agent } of steps) {
    if (agent === null) continue;
    const { session } = await home.call(agentOps.get, { agent });
    if (session !== null && session.promised !== null) found[id] = session.promised.usd;
  }
  return found;
}

function agentOf(steps: RunDetail['steps'], id: string): string {
  return steps.find((step) => step.id === id)?.agent ?? '';
}

/** Waits until so many sessions have told what they have used. */
async function spending(count: number): Promise<void> {
  const told = new Set<string>();
  await home.sees(({ type, stream, data }: LogRecord) => {
    if (type === agentEvents.observed.type && agentEvents.observed.schema.parse(data).usage !== null) told.add(stream);
    return told.size === count;
  });
}

describe('a budget of a dollar', { timeout: 60_000 }, () => {
  it('is shared out among three agents that work side by side', async () => {
    const head = 'name: three\nbudget: {usd: 1}\nagents: {coder: {runtime: fake, limits: {usd: 0.4}}}\ntasks:';
    const { id } = await begin(`${head}${limited('a', 0.15)}${limited('b', 0.15)}${limited('c', 0.1)}`);
    await spending(3);
    const promised = await promises(id);
    expect(Object.values(promised).toSorted((a, b) => Number(a) - Number(b))).toEqual([0.2, 0.4, 0.4]);
    allow('a', 'b', 'c');
    const run = await home.settled(id, 0);
    expect(run.state).toBe('succeeded');
    expect(run.spent.costUsd).toBeCloseTo(0.4);
  });

  it('goes whole to one agent without a limit at a time; commands go on, and the others say what they wait for', async () => {
    const { id } = await begin(
      `name: turns\nbudget: {usd: 1}\ntasks:${task('a', 0.25)}${task('b', 0.25)}${task('c', 0.25)}  - {id: free, command: echo free > free}\n`,
    );
    await spending(1);
    await home.sees(({ type }) => type === 'step.landed');
    const { steps } = await home.call(runOps.get, { run: id });
    expect(steps.map(({ state }) => state)).toEqual(['claimed', 'queued', 'queued', 'done']);
    expect(steps[1]?.reason).toMatch(/^money: .*limits/);
    allow('a', 'b', 'c');
    expect((await home.settled(id, 0)).state).toBe('succeeded');
    expect(await promises(id)).toEqual({ a: 1, b: 0.75, c: 0.5 });
    expect(home.records().filter(({ type }) => type === 'task.released')).toEqual([]);
  });

  it('lets an agent that was claimed and finds nothing left wait, and start when another one has ended', async () => {
    const head = 'name: both\nbudget: {usd: 1}\nagents: {coder: {runtime: fake, limits: {usd: 0.4}}}\ntasks:';
    // The one without a limit is claimed second, and may yet be the first to start: then it is promised everything.
    const { id } = await begin(
      `${head}${limited('a', 0.1).replace('prompt:', 'priority: 90\n    prompt:')}${task('b', 0.1)}`,
    );
    allow('a', 'b');
    expect((await home.settled(id, 0)).state).toBe('succeeded');
    expect([0.4, 0.9, 0.6, 1]).toEqual(expect.arrayContaining(Object.values(await promises(id))));
  });

  it('lets a conflict wait for the agent that was promised all that is left', async () => {
    const at = (name: string): string => join(local.root, name);
    const wait = (name: string): string => `until [ -e ${at(name)} ]; do sleep 0.02; done`;
    const { id } = await begin(`
name: conflict
budget: {usd: 1}
agents: {coder: {runtime: fake, limits: {usd: 0.4}}}
tasks:
  - id: mine
    agent: coder
    prompt: |
      \`\`\`yaml
      - usage: { cost: 0.1 }
      - run: touch ${at('begun')}
      - write: { path: a.txt, text: mine }
      \`\`\`
    checks: ['touch ${at('checking')}; ${wait('working')}']
  - {id: theirs, command: '${wait('begun')}; echo theirs > a.txt', checks: []}
  - {id: late, command: '${wait('checking')}'}
  - id: all
    needs: [theirs, late]
    runtime: fake
    prompt: |
      \`\`\`yaml
      - usage: { cost: 0.3 }
      - run: touch ${at('working')}
      - wait_for: ${at('go-all')}
      - write: { path: b.txt, text: x }
      \`\`\`
`);
    await home.sees(({ type }) => type === 'step.conflicted');
    const { steps } = await home.call(runOps.get, { run: id });
    expect(steps[0]).toMatchObject({ state: 'claimed', phase: 'resolving', reason: expect.stringMatching(/^money:/) });
    allow('all');
    expect((await home.settled(id, 0)).state).toBe('succeeded');
    expect(await promises(id)).toEqual({ mine: 0.4, all: 0.9 });
    const sessions = home.records().filter(({ type }) => type.startsWith('session.'));
    const end = sessions.findIndex(({ type, stream }) => type === 'session.ended' && stream === agentOf(steps, 'all'));
    const second = sessions.findLastIndex(
      ({ type, stream }) => type === 'session.requested' && stream === agentOf(steps, 'mine'),
    );
    expect(second).toBeGreaterThan(end);
  });

  it('waits for a person when it is used up', async () => {
    allow('a', 'b');
    const run = await home.settled(
      (await begin(`name: up\nbudget: {usd: 1}\nconcurrency: 1\ntasks:${task('a', 1.2)}${task('b', 0.1)}`)).id,
      0,
    );
    expect(run).toMatchObject({ state: 'waiting', reason: expect.stringContaining('used up') });
    expect(run.steps[1]?.reason).toBeNull();
  });
});

/** Waits until as many records of a kind are there. */
async function records(type: string, count: number): Promise<void> {
  let seen = 0;
  await home.sees((record) => {
    if (record.type === type) seen += 1;
    return seen === count;
  });
}

describe('budgets of other things than runs', { timeout: 60_000 }, () => {
  it('a task that has used up its own asks, goes on as far as it is allowed, and to its end when somebody raises it', async () => {
    const { id, name } = await begin(
      `name: ask\ntasks:${task('a', 0.2, '    budget: {usd: 0.2, atLimit: ask}\n')}  - {id: free, command: echo free > free}\n`,
    );
    const mine = async (): Promise<Budget | undefined> => (await home.call(budgetOps.list, { run: id })).budgets[0];
    await records(budgetEvents.asked.type, 1);
    const waiting = await home.settled(id, 0);
    const { approval } = (await mine()) ?? {};
    expect(waiting).toMatchObject({ state: 'waiting', reason: expect.stringContaining(`maos approve ${approval}`) });
    expect(waiting.steps.map(({ state }) => state)).toEqual(['waiting', 'done']);
    expect(waiting.steps[0]?.reason).toContain(`task ${name}/a’s budget of $0.2 is used up ($0.2000)`);
    await home.call(approvalOps.approve, { approvals: [approval ?? ''] });
    await records(budgetEvents.asked.type, 2);
    const again = await mine();
    expect(again).toMatchObject({ used: { usd: 0.4 }, allowed: { usd: 0.2 }, reserved: { usd: 0 } });
    allow('a');
    await home.call(budgetOps.set, { budget: again?.id ?? '', usd: 5 });
    await home.sees(({ stream, type }) => stream === id && type === 'run.ended');
    expect((await home.call(runOps.get, { run: id })).state).toBe('succeeded');
    expect(await mine()).toMatchObject({ over: null, reserved: { usd: 0 } });
    const { markdown } = await home.call(runOps.report, { run: id });
    expect(markdown).toMatch(/- task ask-1\/a’s budget: \$0\.\d{4} of \$5\.0000 used, \$0\.0000 promised, \$4/);
    const { approvals } = await home.call(approvalOps.list, {});
    expect(approvals.map(({ state }) => state).toSorted()).toEqual(['approved', 'denied']);
  });

  it('a task whose budget nobody wants to raise fails, with what to do', async () => {
    const { id } = await begin(`name: denied\ntasks:${task('a', 0.2, '    budget: {usd: 0.2, atLimit: ask}\n')}`);
    await records(budgetEvents.asked.type, 1);
    const [asked] = (await home.call(approvalOps.list, { run: id })).approvals;
    await home.call(approvalOps.deny, { approvals: [asked?.id ?? ''] });
    await home.sees(({ stream, type }) => stream === id && type === 'run.ended');
    expect(await home.call(runOps.get, { run: id })).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/budget of \$0\.2 is used up.*maos budget set/),
    });
  });

  it('a run that has used up its own asks as a whole, and goes on by itself when it is allowed more', async () => {
    const { id } = await begin(`name: whole\nbudget: {usd: 0.2, atLimit: ask}\ntasks:${task('a', 0.2)}`);
    await home.sees(({ stream, type }) => stream === id && type === 'run.waiting');
    const { reason } = await home.call(runOps.get, { run: id });
    const [asked] = (await home.call(approvalOps.list, { run: id })).approvals;
    expect(reason).toContain(`maos approve ${asked?.id}`);
    await home.call(approvalOps.approve, { approvals: [asked?.id ?? ''] });
    allow('a');
    await home.sees(({ stream, type }) => stream === id && type === 'run.resumed');
  });

  it('what is stopped under a daily one goes on the next day', async () => {
    await begin(`name: daily\nbudget: {usd: 0.2, period: day}\ntasks:${task('a', 0.2)}`);
    const { data, at } = await home.sees(({ type }) => type === taskEvents.delayed.type);
    const { until, free, error } = taskEvents.delayed.schema.parse(data);
    expect([new Date(until).toISOString(), free]).toEqual([`${dayOf(at + 86_400_000)}T00:00:00.000Z`, true]);
    expect(error?.message).toContain('daily budget of $0.2 is used up');
  });

  it('the fleet’s holds back every run, also after a restart, and lets them go on when it is raised', async () => {
    await home.call(budgetOps.set, { usd: 0.5 });
    const script = '```yaml\n- usage: { cost: 0.5 }\n- result: done\n```\n';
    const agent = await home.call(agentOps.create, { runtime: 'fake' });
    await home.call(agentOps.start, { agent: agent.id, prompt: script, cwd: local.root });
    await records(agentEvents.ended.type, 1);
    const other = await home.call(agentOps.create, { runtime: 'fake' });
    await expect(home.call(agentOps.start, { agent: other.id, prompt: script, cwd: local.root })).rejects.toMatchObject(
      {
        code: 'exhausted',
        message: 'The fleet’s budget of $0.5 is used up ($0.5000).',
        fix: expect.stringContaining('maos budget set'),
      },
    );
    const { id } = await begin(`name: held\ntasks:${task('a', 0.1)}`);
    expect(await home.settled(id, 0)).toMatchObject({ state: 'waiting', reason: expect.stringContaining('the fleet') });
    await home.server.close();
    home = await local.start();
    allow('a');
    await home.call(budgetOps.set, { usd: 2 });
    await home.sees(({ stream, type }) => stream === id && type === 'run.ended');
    expect((await home.call(runOps.get, { run: id })).state).toBe('succeeded');
  });

  it('a project’s is shared by its runs: what one does not use, another one may', async () => {
    const first = await begin(`name: first\ntasks:${task('a', 0.25)}`);
    await spending(1);
    const { id: budget } = await home.call(budgetOps.set, { project: first.project, usd: 1, share: 0.75 });
    const second = await begin(`name: second\ntasks:${task('b', 0.25)}${task('c', 0.1)}`);
    await spending(2);
    expect(await promises(second.id)).toEqual({ b: 0.75 });
    const held = (await home.call(runOps.get, { run: second.id })).steps.find(({ id }) => id === 'c');
    expect(held?.reason).toMatch(/^money: .*project repository’s budget/);
    allow('a', 'b');
    await spending(3);
    expect(await promises(second.id)).toEqual({ b: 0.75, c: 0.5 });
    allow('c');
    expect((await home.settled(second.id, 0)).state).toBe('succeeded');
    expect((await home.settled(first.id, 0)).state).toBe('succeeded');
    expect(await home.call(budgetOps.get, { budget })).toMatchObject({ reserved: { usd: 0 }, left: { usd: 0.4 } });
  });

  it('an agent of a plan has one for all its tasks', async () => {
    const head = 'name: crew\nagents: {coder: {runtime: fake, budget: {usd: 0.5}, limits: {usd: 0.4}}}\ntasks:';
    allow('a');
    const { id } = await begin(
      `${head}${limited('a', 0.3)}${limited('b', 0.3).replace('prompt:', 'needs: [a]\n    prompt:')}`,
    );
    expect(await home.settled(id, 0)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('gent crew-1/coder’s budget of $0.5 is used up'),
    });
    expect(await promises(id)).toEqual({ a: 0.4, b: 0.2 });
  });
});

it('an unknown price is unknown everywhere, and never a zero', async () => {
  const { id, name } = await begin(`name: price\ntasks:${task('a', null)}`);
  await spending(1);
  const known = async () => {
    const { steps, spent } = await home.call(runOps.get, { run: id });
    const { rows } = await home.call(watchOps.cost, { run: name });
    const agent = await home.call(agentOps.get, { agent: `${name}/a` });
    return [steps[0]?.costUsd, spent.unpriced, rows.map(({ unpriced }) => unpriced), agent.usage.costUsd];
  };
  expect(await known()).toEqual([null, true, [true], null]);
  allow('a');
  await home.settled(id, 0);
  expect(await known()).toEqual([null, true, [true], null]);
});
