import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Agent } from '../agents/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { ClaudeSite, mayWait, program, stepOf } from './claude.fixture.ts';
import { say, shell, write } from './scripted-model.fixture.ts';

/** Claude would try again for minutes what MAOS is to see at once. */
const quick = `defaults: { env: { CLAUDE_CODE_MAX_RETRIES: '0' } }`;

describe.skipIf(program === null)('Claude Code: what goes wrong, limits, and the shell', { timeout: 120_000 }, () => {
  let site: ClaudeSite;
  beforeEach(async () => {
    site = await ClaudeSite.open();
  });
  afterEach(() => site.destroy());

  it('does not believe a success that changed nothing', async () => {
    site.model.add({ when: 'Improve', steps: [say('I have improved everything.')] });
    const run = await site.begin('name: lazy\ntasks:\n  - { id: nothing, prompt: Improve the code }\n');
    const done = await site.ended(run);
    expect(done.state).toBe('failed');
    expect(stepOf(done, 'nothing').reason).toMatch(/no_change|nothing changed/);
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'no_change' });
  });

  it('stops at a key that is refused, and says what to do', async () => {
    site.model.gate = () => ({ status: 401, type: 'authentication_error', message: 'invalid x-api-key' });
    const run = await site.begin('name: auth\ntasks:\n  - { id: task, prompt: Improve the code, retries: 3 }\n');
    const done = await site.ended(run);
    expect(done.state).toBe('failed');
    expect(stepOf(done, 'task')).toMatchObject({ attempt: 1, reason: expect.stringContaining('ANTHROPIC_API_KEY') });
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'auth' });
    await site.server.stop();
    delete site.environment['ANTHROPIC_API_KEY'];
    expect((await site.maos(['doctor'])).stdout).toMatch(/claude \(\d.*cannot be used here[^]*not logged in/);
  });

  it('parks a task that meets a rate limit until its reset, for free', async () => {
    // Its limit begins when it asks, so that its start takes nothing of it.
    let until = 0;
    site.model.gate = () => {
      if (until === 0) until = Math.ceil(Date.now() / 1000) + 4;
      return Date.now() > until * 1000
        ? null
        : {
            status: 429,
            type: 'rate_limit_error',
            message: 'over your limit',
            headers: {
              'anthropic-ratelimit-unified-status': 'rejected',
              'anthropic-ratelimit-unified-reset': String(until),
              'anthropic-ratelimit-unified-representative-claim': 'five_hour',
            },
          };
    };
    // Only a subscription is told when its limit resets.
    delete site.environment['ANTHROPIC_API_KEY'];
    site.environment['CLAUDE_CODE_OAUTH_TOKEN'] = 'sk-ant-oat01-nothing';
    site.model.add({ when: 'Write hello', steps: [write('hello.txt', 'hello\n'), say('Done.')] });
    const run = await site.begin(`name: limit\n${quick}\ntasks:\n  - { id: task, prompt: Write hello }\n`);
    const parked = await site.until(
      'the delay',
      () => site.get(run),
      (now) => stepOf(now, 'task').state === 'delayed',
    );
    expect(stepOf(parked, 'task').reason).toContain('limit');
    expect(site.claudes()).toEqual([]);
    const delayed = site.records().find(({ type }) => type === 'task.delayed');
    expect(delayed?.data).toMatchObject({ until: until * 1000, free: true, error: { class: 'rate_limited' } });
    const done = await site.ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'task').endedAt).toBeGreaterThanOrEqual(until * 1000);
  });

  it('parks a task whose rate limit names no reset', async () => {
    site.model.gate = () => ({ status: 429, type: 'rate_limit_error', message: 'over your limit' });
    const run = await site.begin(`name: limit\n${quick}\ntasks:\n  - { id: task, prompt: Write hello }\n`);
    await site.until(
      'the delay',
      () => site.get(run),
      (now) => stepOf(now, 'task').state === 'delayed',
    );
    expect(await site.server.call(runOps.stop, { run: run.id })).toMatchObject({ state: 'cancelled' });
  });

  it('starts nothing more when the budget is used up, and says why', async () => {
    site.model.add({ when: 'Write one', steps: [write('one.txt', 'hello\n'), say('Done.')] });
    const run = await site.begin(`
name: money
budget: { usd: 0.02 }
tasks:
  - { id: first, prompt: Write one }
  - { id: second, needs: [first], runtime: fake, prompt: "\`\`\`yaml\\n- usage: { cost: 0.01 }\\n- write: { path: two.txt, text: x }\\n\`\`\`" }
  - { id: third, prompt: Write three, needs: [second] }
`);
    const waiting = await site.ended(run);
    expect(waiting).toMatchObject({ state: 'waiting', reason: expect.stringContaining('budget of $0.02 is used up') });
    expect(waiting.steps.map(({ state }) => state)).toEqual(['done', 'done', 'queued']);
    expect((await site.server.call(runOps.resume, { run: run.id })).state).toBe('running');
    expect(await site.ended(run)).toMatchObject({ state: 'waiting', spent: { costUsd: waiting.spent.costUsd } });
  });

  it('goes on when the part of the budget that it was promised is used up, and another agent has left more', async () => {
    site.model.add(
      { when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] },
      { when: 'Write two', steps: [write('two.txt', 'hello\n'), say('Done.'), say('Done.'), say('Done.')] },
    );
    const run = await site.begin(`
name: promised
budget: { usd: 0.104 }
agents: { waiter: { limits: { usd: 0.1 }, options: { allowedTools: ['Bash(sh wait.sh)'] } } }
tasks:
  - { id: first, agent: waiter, prompt: Wait here, allowEmpty: true }
  - { id: second, prompt: Write two, needs: [begun] }
  - { id: begun, command: 'while [ ! -e ${site.root}/begun ]; do sleep 0.05; done' }
`);
    const second = (now: RunDetail) => stepOf(now, 'second');
    await site.until(
      'the end of what was promised',
      () => site.get(run),
      (now) => second(now).attempt === 1 && second(now).state === 'queued',
    );
    expect(second(await site.get(run)).reason).toMatch(/^money:/);
    site.go();
    const done = await site.ended(run);
    expect(done.state).toBe('succeeded');
    const sessions = await site.sessionsOf('promised-1/second');
    expect(sessions.map(({ outcome }) => outcome?.kind)).toEqual(['failed', 'succeeded']);
    expect(sessions[0]?.promised?.usd).toBeCloseTo(0.004);
    expect(sessions[1]?.promised?.usd).toBeGreaterThan(0.05);
  });

  it('tells Claude the budget, which then stops in the middle of its work', async () => {
    site.model.add({ when: 'Write', steps: [write('file.txt', 'hello\n'), say('Done.')] });
    const run = await site.begin(
      'name: money\nbudget: { usd: 0.001 }\ntasks:\n  - { id: first, prompt: Write one, retries: 2 }\n',
    );
    const done = await site.ended(run);
    expect(done).toMatchObject({ state: 'failed', reason: expect.stringContaining('budget') });
    expect(stepOf(done, 'first')).toMatchObject({ attempt: 1 });
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'budget' });
    expect(done.spent.costUsd).toBeGreaterThan(0.001);
  });

  it('stops Claude while it works when the tokens of the run are used up', async () => {
    site.model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] });
    const run = await site.begin(
      `name: tokens\nbudget: { tokens: 1000 }\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here, retries: 2 }\n`,
    );
    const done = await site.ended(run);
    expect(done).toMatchObject({ state: 'failed', spent: { tokens: 1200 }, reason: expect.stringContaining('budget') });
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'budget' });
    expect(site.claudes()).toEqual([]);
  });

  it('can be watched and steered from the shell while it works', async () => {
    site.model.add(
      { when: 'Also write', steps: [write('also.txt', 'also\n'), shell('sh wait.sh'), say('Waited again.')] },
      { when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] },
    );
    await site.begin(`name: live\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here }\n`);
    await site.begun();
    const logs = site.maos(['logs', '-f', 'live-1/wait']);
    const maos = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await site.maos(args);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      return stdout;
    };
    const [pid = 0] = site.claudes();
    const agent = (): Promise<Agent> => site.agentOf('live-1/wait');
    await site.until('the action', agent, ({ session }) => session?.lastAction === 'Bash sh wait.sh');
    expect(await maos('ps')).toMatch(/live-1\/wait +claude +running .* Bash sh wait\.sh/);

    await maos('agent', 'pause', 'live-1/wait');
    const status = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] ?? '';
    await site.until('the pause', status, (state) => state === 'T');
    expect(await maos('ps')).toMatch(/live-1\/wait +claude +paused/);
    await maos('agent', 'resume', 'live-1/wait');
    await site.until('the end of the pause', status, (state) => state !== 'T');

    await maos('agent', 'send', 'live-1/wait', 'Also write also.txt');
    site.go();
    const also = await site.until(
      'the message',
      () => site.model.requests(),
      (all) => all.some((one) => one.includes('Also write')),
    );
    expect(also.at(-1)).toContain('Also write');
    const run = await site.until(
      'the end',
      () => site.server.call(runOps.get, { run: 'live-1' }),
      ({ state }) => state !== 'running',
    );
    expect(run).toMatchObject({ state: 'succeeded' });
    expect(site.file('maos/live-1', 'also.txt')).toBe('also');
    const { stdout } = await logs;
    expect(stdout).toContain('▸ Bash sh wait.sh');
    expect(stdout).toContain('✓ ');
  });

  it('waits for a message when it was interrupted, and goes on with it', async () => {
    // The result of the interrupted tool comes with the message, so the first step counts as done.
    const second = write('second.txt', 'second\n');
    site.model.add(
      { when: 'go on with the second part', steps: [second, second, say('The second part is done.')] },
      { when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] },
    );
    const run = await site.begin(
      `name: live\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here }\n`,
    );
    await site.begun();
    expect((await site.maos(['agent', 'interrupt', 'live-1/wait'])).code).toBe(0);
    const idle = await site.until(
      'the interruption',
      () => site.agentOf('live-1/wait'),
      ({ reason }) => reason?.includes('interrupted') === true,
    );
    expect(idle).toMatchObject({ state: 'running', reason: 'a message: it was interrupted' });
    expect((await site.maos(['agent', 'send', 'live-1/wait', 'go on with the second part'])).code).toBe(0);
    expect(await site.ended(run)).toMatchObject({ state: 'succeeded' });
    expect(await site.sessionsOf('live-1/wait')).toMatchObject([
      { generation: 1, outcome: { result: 'The second part is done.' } },
    ]);
  });

  it('is stopped from the shell, with all of its processes', async () => {
    site.model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] });
    const run = await site.begin(
      `name: live\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here, retries: 3 }\n`,
    );
    await site.begun();
    expect((await site.maos(['agent', 'stop', 'live-1/wait', '--reason', 'enough'])).code).toBe(0);
    const done = await site.ended(run);
    expect(done.state).toBe('failed');
    expect(stepOf(done, 'wait').reason).toContain('enough');
    expect(site.processes().filter(({ command }) => /claude|wait\.sh/.test(command))).toEqual([]);
  });

  it('refuses options that Claude does not have, with the plan', async () => {
    const plan =
      'name: wrong\nagents: { coder: { options: { allowedTool: [Bash] } } }\ntasks:\n  - { id: task, agent: coder, prompt: Improve it, retries: 3 }\n';
    await expect(site.begin(plan)).rejects.toMatchObject({
      issues: [{ line: 2, column: 31, message: expect.stringContaining('allowedTools') }],
    });
    expect(site.model.requests()).toEqual([]);
  });

  it('carries out an objective in plain language', async () => {
    site.model.add({ when: 'say hello in hello.txt', steps: [write('hello.txt', 'hello\n'), say('Hello is said.')] });
    const { code, stdout } = await site.maos(['run', 'say hello in hello.txt']);
    expect(stdout).toContain('succeeded');
    expect(code).toBe(0);
    expect(site.file('maos/say-hello-in-hello-txt-1', 'hello.txt')).toBe('hello');
    expect((await site.maos(['merge', 'say-hello-in-hello-txt-1'])).code).toBe(0);
    expect(readFileSync(join(site.repository, 'hello.txt'), 'utf8')).toBe('hello\n');
  });
});
