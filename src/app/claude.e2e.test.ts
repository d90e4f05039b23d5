import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Agent, agentOps, type Session } from '../agents/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { type RunDetail, runOps, type Step } from '../workflows/contract.ts';
import { ClaudeSite, findClaude, read, say, ScriptedModel, shell, write } from './claude.fixture.ts';
import type { LiveServer } from './site.fixture.ts';

const program = findClaude();
if (program === null) {
  process.stderr.write(
    '\nSKIPPED: the tests of MAOS with Claude Code need it. Install it (npm install -g @anthropic-ai/claude-code), ' +
      'or name its executable in MAOS_TEST_CLAUDE. They use no key and no network.\n\n',
  );
}

/** Runs until there is a file `go` beside the repository; Claude may run it and nothing else. */
const wait = (root: string): string => `touch ${root}/begun; while [ ! -e ${root}/go ]; do sleep 0.05; done\n`;
const mayWait = `agents: { waiter: { options: { allowedTools: ['Bash(sh wait.sh)'] } } }`;
const quick = `defaults: { env: { CLAUDE_CODE_MAX_RETRIES: '0' } }`;

describe.skipIf(program === null)('MAOS with Claude Code', { timeout: 120_000 }, () => {
  let model: ScriptedModel;
  let site: ClaudeSite;
  let server: LiveServer;

  beforeEach(async () => {
    model = new ScriptedModel();
    await model.start();
    site = new ClaudeSite(program ?? '', model);
    writeFileSync(join(site.repository, 'wait.sh'), wait(site.root));
    writeFileSync(join(site.repository, 'line.txt'), 'base\n');
    site.git('add', '--all');
    site.git('commit', '--quiet', '--message=Files');
  });
  afterEach(async () => {
    await site.destroy();
    await model.stop();
  });

  function planFile(text: string): string {
    const file = join(site.root, 'plan.yaml');
    writeFileSync(file, text);
    return file;
  }

  async function begin(plan: string): Promise<RunDetail> {
    server = await site.start();
    return server.call(runOps.create, { plan, cwd: site.repository });
  }

  const get = (run: RunDetail): Promise<RunDetail> => server.call(runOps.get, { run: run.id });

  async function ended(run: RunDetail): Promise<RunDetail> {
    return site.until(
      'the end of the run',
      () => get(run),
      ({ state }) => state !== 'running',
    );
  }

  function stepOf(run: RunDetail, id: string): Step {
    const step = run.steps.find((one) => one.id === id);
    if (step === undefined) throw new Error(`There is no task ${id}.`);
    return step;
  }

  const agentOf = (name: string): Promise<Agent> => server.call(agentOps.get, { agent: name });

  async function sessionsOf(name: string): Promise<Session[]> {
    const { sessions } = await server.call(agentOps.sessions, { agent: name });
    return sessions.toReversed();
  }

  /** The process of Claude itself, below its wrapper. */
  const claudes = (): number[] =>
    site.processes().flatMap(({ pid, command }) => (/^\S*claude\S* -p /.test(command) ? [pid] : []));

  const file = (branch: string, path: string): string => site.git('show', `${branch}:${path}`);

  /** Resolves when Claude runs wait.sh. */
  const begun = (): Promise<boolean> =>
    site.until(
      'wait.sh',
      () => existsSync(join(site.root, 'begun')),
      (there) => there,
    );
  const go = (): void => writeFileSync(join(site.root, 'go'), '');

  /** Claude saves its conversation a moment after it happened. */
  async function saved(text: string): Promise<void> {
    const files = join(site.root, 'user/.claude/projects/*/*.jsonl');
    const has = (): boolean => globSync(files).some((name) => readFileSync(name, 'utf8').includes(text));
    await site.until('the saved conversation', has, (there) => there);
  }

  it('carries out a task: edit, checks on the exact commit, landed; usage and conversation are recorded and shown', async () => {
    model.add({ when: 'Write hello.txt', steps: [write('hello.txt', 'hello\n'), say('It is written.')] });
    const plan = planFile(`
name: edit
tasks:
  - id: hello
    prompt: Write hello.txt
    checks: [grep -q hello hello.txt]
`);
    const { code, stdout } = await site.maos(['run', plan]);
    expect(stdout).toContain('succeeded');
    expect(code).toBe(0);
    expect(file('maos/edit-1', 'hello.txt')).toBe('hello');

    server = await site.start();
    const run = await server.call(runOps.get, { run: 'edit-1' });
    const step = stepOf(run, 'hello');
    expect(step).toMatchObject({ state: 'done', attempt: 1, tokens: 2400, summary: 'It is written.' });
    expect(step.evidence).toMatchObject([{ commit: step.commit, passed: true }]);
    expect(step.costUsd).toBeGreaterThan(0);
    expect(run.spent).toEqual({ costUsd: step.costUsd, tokens: 2400, unpriced: false });
    const agent = await agentOf('edit-1/hello');
    expect(agent.usage).toMatchObject({ inputTokens: 2000, outputTokens: 400, costUsd: step.costUsd });
    const conversation = agent.session?.providerSession ?? '';
    expect(globSync(join(site.root, `user/.claude/projects/*/${conversation}.jsonl`))).toHaveLength(1);
    expect(site.records()).toContainEqual(
      expect.objectContaining({
        type: 'session.observed',
        data: expect.objectContaining({ providerSession: conversation }),
      }),
    );
    expect(await server.call(watchOps.cost, { by: 'agent' })).toMatchObject({
      rows: [{ name: 'edit-1/hello', inputTokens: 2000, outputTokens: 400, costUsd: step.costUsd }],
    });
    const price = `$${(step.costUsd ?? 0).toFixed(4)}`;
    expect((await site.maos(['cost'])).stdout).toMatch(new RegExp(`edit-1 +\\${price} +2000 +400`));
    expect(readFileSync(run.report ?? '', 'utf8')).toMatch(new RegExp(`- Used: \\${price}, 2400 tokens[^]*1/1 checks`));
  });

  it('gives Claude what its runtime inherits and what the plan says, and no other program its key', async () => {
    model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), write('done.txt', 'done\n'), say('Done.')] });
    const run = await begin(`
name: env
${mayWait}
defaults: { env: { LOG_LEVEL: debug } }
tasks:
  - id: wait
    agent: waiter
    prompt: Wait here
    checks: [env > ${site.root}/check.env]
  - id: command
    command: env > ${site.root}/command.env
`);
    await begun();
    const [pid] = claudes();
    const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(env).toContain('ANTHROPIC_API_KEY=sk-ant-not-a-key');
    expect(env).toContain(`ANTHROPIC_BASE_URL=${model.url}`);
    expect(env).toContain(`HOME=${join(site.root, 'user')}`);
    expect(env).toContain('LOG_LEVEL=debug');
    expect(env).toContain('MAOS_RUN=env-1');
    expect(env.join('\n')).not.toContain('SECRET_OF_THE_SERVER');
    go();
    expect(await ended(run)).toMatchObject({ state: 'succeeded' });
    for (const name of ['check', 'command']) {
      const seen = readFileSync(join(site.root, `${name}.env`), 'utf8');
      expect(seen).toContain('LOG_LEVEL=debug');
      expect(seen).not.toMatch(/ANTHROPIC|SECRET_OF_THE_SERVER/);
    }
  });

  it('adopts Claude after kill -9 of the server: the same process finishes the task once', async () => {
    model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), write('done.txt', 'done\n'), say('Done.')] });
    const run = await begin(`name: adopt\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here }\n`);
    await begun();
    const before = claudes();
    const [{ pid } = { pid: null }] = await sessionsOf('adopt-1/wait');
    await server.kill();
    expect(claudes()).toEqual(before);
    server = await site.start();
    const adopted = (record: { type: string; data: unknown }): boolean =>
      record.type === 'session.started' && JSON.stringify(record.data).includes('"adopted":true');
    const again = await server.see(adopted);
    expect(again?.data).toMatchObject({ generation: 1, pid });
    expect(claudes()).toEqual(before);
    go();
    const done = await ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'wait')).toMatchObject({ attempt: 1, tokens: 3600 });
    expect(await sessionsOf('adopt-1/wait')).toMatchObject([{ generation: 1, pid, exit: 'exit 0' }]);
    expect(file('maos/adopt-1', 'done.txt')).toBe('done');
    expect(claudes()).toEqual([]);
  });

  const killed = `
name: killed
${mayWait}
tasks:
  - { id: wait, agent: waiter, prompt: Wait here, retries: { max: 1, backoff: 100ms } }
`;

  it('resumes the conversation in the same worktree after kill -9 of Claude; both sessions are counted', async () => {
    model.add(
      { when: 'Your last session broke off', steps: [write('done.txt', 'done\n'), say('Done.')] },
      { when: 'Wait here', steps: [write('half.txt', 'half\n'), shell('sh wait.sh')] },
    );
    const run = await begin(killed);
    await begun();
    await saved('sh wait.sh');
    const first = stepOf(await get(run), 'wait');
    for (const pid of claudes()) process.kill(pid, 'SIGKILL');
    const done = await ended(run);
    expect(done).toMatchObject({ state: 'succeeded', spent: { tokens: 4800, unpriced: true } });
    expect(stepOf(done, 'wait')).toMatchObject({ attempt: 2, workspace: first.workspace });
    const [one, two, ...more] = await sessionsOf('killed-1/wait');
    expect(more).toEqual([]);
    expect(one).toMatchObject({
      outcome: { kind: 'failed', reason: 'killed' },
      usage: { inputTokens: 2000, costUsd: null },
    });
    expect(two).toMatchObject({
      providerSession: one?.providerSession,
      usage: { inputTokens: 2000, outputTokens: 400 },
    });
    expect(model.requests().at(-1)).toContain('sh wait.sh');
    expect(file('maos/killed-1', 'half.txt')).toBe('half');
    expect(file('maos/killed-1', 'done.txt')).toBe('done');
    expect(await server.call(watchOps.cost, { by: 'run' })).toMatchObject({
      rows: [{ inputTokens: 4000, unpriced: true }],
    });
  });

  it('begins a new conversation when Claude was killed before it saved any', async () => {
    model.add(
      { when: 'Your last session broke off', steps: [write('done.txt', 'done\n'), say('Done.')] },
      { when: 'Wait here', steps: [write('half.txt', 'half\n'), shell('sh wait.sh')] },
    );
    const run = await begin(killed);
    await begun();
    process.kill(Number(claudes()[0]), 'SIGSTOP');
    rmSync(join(site.root, 'user/.claude/projects'), { recursive: true });
    for (const pid of claudes()) process.kill(pid, 'SIGKILL');
    const done = await ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'wait').attempt).toBe(2);
    const sessions = await sessionsOf('killed-1/wait');
    expect(sessions.map(({ outcome }) => (outcome?.kind === 'failed' ? outcome.reason : outcome?.kind))).toEqual([
      'killed',
      'no_conversation',
      'succeeded',
    ]);
    expect(file('maos/killed-1', 'half.txt')).toBe('half');
  });

  it('is no failure of its own when Claude was killed before it said anything', async () => {
    const held = Promise.withResolvers<null>();
    model.gate = () => held.promise;
    model.add({ when: 'Wait here', steps: [write('done.txt', 'done\n'), say('Done.')] });
    const run = await begin(killed);
    const [pid] = await site.until('claude', claudes, (pids) => pids.length > 0);
    process.kill(Number(pid), 'SIGKILL');
    held.resolve(null);
    model.gate = () => null;
    const done = await ended(run);
    expect(done).toMatchObject({ state: 'succeeded' });
    expect(stepOf(done, 'wait').attempt).toBe(2);
  });

  it('tells the resumed conversation what check has failed and what it printed; the price of each session is its own', async () => {
    model.add(
      { when: 'the answer is 42', steps: [read('answer.txt'), write('answer.txt', '42\n'), say('Corrected.')] },
      { when: 'Write the answer', steps: [write('answer.txt', '41\n'), say('It is 41.')] },
    );
    const run = await begin(`
name: checked
tasks:
  - id: answer
    prompt: Write the answer into answer.txt
    checks: ['grep -q 42 answer.txt || { echo "the answer is 42, not $(cat answer.txt)"; exit 1; }']
    retries: { max: 1, backoff: 100ms }
`);
    const done = await ended(run);
    expect(done.state).toBe('succeeded');
    const step = stepOf(done, 'answer');
    expect(step).toMatchObject({
      attempt: 2,
      summary: 'Corrected.',
      evidence: [{ commit: step.commit, passed: true }],
    });
    expect(file('maos/checked-1', 'answer.txt')).toBe('42');
    const [one, two] = await sessionsOf('checked-1/answer');
    expect(two?.providerSession).toBe(one?.providerSession);
    expect(model.requests().at(-1)).toContain('the answer is 42, not 41');
    // Claude reports the whole conversation when it is resumed; MAOS counts nothing twice.
    expect(one?.usage).toMatchObject({ inputTokens: 2000, outputTokens: 400 });
    expect(two?.usage).toMatchObject({ inputTokens: 3000, outputTokens: 600 });
    expect(two?.usage?.costUsd).toBeCloseTo((one?.usage?.costUsd ?? 0) * 1.5, 6);
    expect(done.spent.costUsd).toBeCloseTo((one?.usage?.costUsd ?? 0) * 2.5, 6);
  });

  it('hands a conflict to the agent that made it, with both sides; what it makes of them lands', async () => {
    const held = Promise.withResolvers<null>();
    model.gate = (body) => (body.includes('Write right') && !body.includes('does not merge') ? held.promise : null);
    model.add(
      {
        when: 'does not merge',
        steps: [read('line.txt'), write('line.txt', 'left and right\n'), say('Both are kept.')],
      },
      { when: 'Write left', steps: [read('line.txt'), write('line.txt', 'left\n'), say('Left.')] },
      { when: 'Write right', steps: [read('line.txt'), write('line.txt', 'right\n'), say('Right.')] },
    );
    const run = await begin(`
name: conflict
tasks:
  - { id: left, prompt: Write left into line.txt }
  - { id: right, prompt: Write right into line.txt, checks: [grep -q right line.txt] }
`);
    await site.until(
      'left to land',
      () => get(run),
      (now) => stepOf(now, 'left').state === 'done',
    );
    held.resolve(null);
    const done = await ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'right')).toMatchObject({ attempt: 1, conflicts: 1 });
    expect(file('maos/conflict-1', 'line.txt')).toBe('left and right');
    const handed = (await sessionsOf('conflict-1/right')).at(-1)?.request;
    expect(handed).toMatchObject({ resume: true });
    for (const part of ['line.txt', '<<<<<<<', '\nleft\n', '\nright\n', 'base', 'Write right into line.txt'])
      expect(handed?.prompt).toContain(part);
  });

  it('does not believe a success that changed nothing', async () => {
    model.add({ when: 'Improve', steps: [say('I have improved everything.')] });
    const run = await begin('name: lazy\ntasks:\n  - { id: nothing, prompt: Improve the code }\n');
    const done = await ended(run);
    expect(done.state).toBe('failed');
    expect(stepOf(done, 'nothing').reason).toMatch(/no_change|nothing changed/);
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'no_change' });
  });

  it('stops at a key that is refused, and says what to do', async () => {
    model.gate = () => ({ status: 401, type: 'authentication_error', message: 'invalid x-api-key' });
    const run = await begin('name: auth\ntasks:\n  - { id: task, prompt: Improve the code, retries: 3 }\n');
    const done = await ended(run);
    expect(done.state).toBe('failed');
    expect(stepOf(done, 'task')).toMatchObject({ attempt: 1, reason: expect.stringContaining('ANTHROPIC_API_KEY') });
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'auth' });
    await server.stop();
    delete site.environment['ANTHROPIC_API_KEY'];
    expect((await site.maos(['doctor'])).stdout).toMatch(/claude \(\d.*cannot be used here[^]*not logged in/);
  });

  it('parks a task that meets a rate limit until its reset, for free', async () => {
    const until = Math.ceil(Date.now() / 1000) + 8;
    model.gate = () =>
      Date.now() > until * 1000
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
    // Only a subscription is told when its limit resets.
    delete site.environment['ANTHROPIC_API_KEY'];
    site.environment['CLAUDE_CODE_OAUTH_TOKEN'] = 'sk-ant-oat01-nothing';
    model.add({ when: 'Write hello', steps: [write('hello.txt', 'hello\n'), say('Done.')] });
    const run = await begin(`name: limit\n${quick}\ntasks:\n  - { id: task, prompt: Write hello }\n`);
    const parked = await site.until(
      'the delay',
      () => get(run),
      (now) => stepOf(now, 'task').state === 'delayed',
    );
    expect(stepOf(parked, 'task').reason).toContain('limit');
    expect(claudes()).toEqual([]);
    const delayed = site.records().find(({ type }) => type === 'task.delayed');
    expect(delayed?.data).toMatchObject({ until: until * 1000, free: true, error: { class: 'rate_limited' } });
    const done = await ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'task').endedAt).toBeGreaterThanOrEqual(until * 1000);
  });

  it('parks a task whose rate limit names no reset', async () => {
    model.gate = () => ({ status: 429, type: 'rate_limit_error', message: 'over your limit' });
    const run = await begin(`name: limit\n${quick}\ntasks:\n  - { id: task, prompt: Write hello }\n`);
    await site.until(
      'the delay',
      () => get(run),
      (now) => stepOf(now, 'task').state === 'delayed',
    );
    expect(await server.call(runOps.stop, { run: run.id })).toMatchObject({ state: 'cancelled' });
  });

  it('starts nothing more when the budget is used up, and says why', async () => {
    const to = (name: string) => [write(`${name}.txt`, 'hello\n'), say('Done.')];
    model.add({ when: 'Write one', steps: to('one') }, { when: 'Write two', steps: to('two') });
    const run = await begin(`
name: money
budget: { usd: 0.02 }
tasks:
  - { id: first, prompt: Write one }
  - { id: second, prompt: Write two }
  - { id: third, prompt: Write three, needs: [first, second] }
`);
    const waiting = await ended(run);
    expect(waiting).toMatchObject({ state: 'waiting', reason: expect.stringContaining('budget of $0.02 is used up') });
    expect(waiting.steps.map(({ state }) => state)).toEqual(['done', 'done', 'queued']);
    expect((await server.call(runOps.resume, { run: run.id })).state).toBe('running');
    expect(await ended(run)).toMatchObject({ state: 'waiting', spent: { costUsd: waiting.spent.costUsd } });
  });

  it('tells Claude the budget, which then stops in the middle of its work', async () => {
    model.add({ when: 'Write', steps: [write('file.txt', 'hello\n'), say('Done.')] });
    const run = await begin(
      'name: money\nbudget: { usd: 0.001 }\ntasks:\n  - { id: first, prompt: Write one, retries: 2 }\n',
    );
    const done = await ended(run);
    expect(done).toMatchObject({ state: 'failed', reason: expect.stringContaining('budget') });
    expect(stepOf(done, 'first')).toMatchObject({ attempt: 1 });
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'budget' });
    expect(done.spent.costUsd).toBeGreaterThan(0.001);
  });

  it('stops Claude while it works when the tokens of the run are used up', async () => {
    model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] });
    const run = await begin(
      `name: tokens\nbudget: { tokens: 1000 }\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here, retries: 2 }\n`,
    );
    const done = await ended(run);
    expect(done).toMatchObject({ state: 'failed', spent: { tokens: 1200 }, reason: expect.stringContaining('budget') });
    expect(site.records().findLast(({ type }) => type === 'step.failed')?.data).toMatchObject({ class: 'budget' });
    expect(claudes()).toEqual([]);
  });

  it('can be watched and steered from the shell while it works', async () => {
    model.add(
      { when: 'Also write', steps: [write('also.txt', 'also\n'), shell('sh wait.sh'), say('Waited again.')] },
      { when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] },
    );
    await begin(`name: live\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here }\n`);
    await begun();
    const logs = site.maos(['logs', '-f', 'live-1/wait']);
    const maos = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await site.maos(args);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      return stdout;
    };
    const [pid = 0] = claudes();
    const agent = (): Promise<Agent> => agentOf('live-1/wait');
    await site.until('the action', agent, ({ session }) => session?.lastAction === 'Bash sh wait.sh');
    expect(await maos('ps')).toMatch(/live-1\/wait +claude +running .* Bash sh wait\.sh/);

    await maos('agent', 'pause', 'live-1/wait');
    const status = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] ?? '';
    await site.until('the pause', status, (state) => state === 'T');
    expect(await maos('ps')).toMatch(/live-1\/wait +claude +paused/);
    await maos('agent', 'resume', 'live-1/wait');
    await site.until('the end of the pause', status, (state) => state !== 'T');

    await maos('agent', 'send', 'live-1/wait', 'Also write also.txt');
    go();
    const also = await site.until(
      'the message',
      () => model.requests(),
      (all) => all.some((one) => one.includes('Also write')),
    );
    expect(also.at(-1)).toContain('Also write');
    const run = await site.until(
      'the end',
      () => server.call(runOps.get, { run: 'live-1' }),
      ({ state }) => state !== 'running',
    );
    expect(run).toMatchObject({ state: 'succeeded' });
    expect(file('maos/live-1', 'also.txt')).toBe('also');
    const { stdout } = await logs;
    expect(stdout).toContain('▸ Bash sh wait.sh');
    expect(stdout).toContain('✓ ');
  });

  it('waits for a message when it was interrupted, and goes on with it', async () => {
    // The result of the interrupted tool comes with the message, so the first step counts as done.
    const second = write('second.txt', 'second\n');
    model.add(
      { when: 'go on with the second part', steps: [second, second, say('The second part is done.')] },
      { when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] },
    );
    const run = await begin(`name: live\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here }\n`);
    await begun();
    expect((await site.maos(['agent', 'interrupt', 'live-1/wait'])).code).toBe(0);
    const idle = await site.until(
      'the interruption',
      () => agentOf('live-1/wait'),
      ({ reason }) => reason?.includes('interrupted') === true,
    );
    expect(idle).toMatchObject({ state: 'running', reason: 'a message: it was interrupted' });
    expect((await site.maos(['agent', 'send', 'live-1/wait', 'go on with the second part'])).code).toBe(0);
    expect(await ended(run)).toMatchObject({ state: 'succeeded' });
    expect(await sessionsOf('live-1/wait')).toMatchObject([
      { generation: 1, outcome: { result: 'The second part is done.' } },
    ]);
  });

  it('is stopped from the shell, with all of its processes', async () => {
    model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), say('Done.')] });
    const run = await begin(
      `name: live\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here, retries: 3 }\n`,
    );
    await begun();
    expect((await site.maos(['agent', 'stop', 'live-1/wait', '--reason', 'enough'])).code).toBe(0);
    const done = await ended(run);
    expect(done.state).toBe('failed');
    expect(stepOf(done, 'wait').reason).toContain('enough');
    expect(site.processes().filter(({ command }) => /claude|wait\.sh/.test(command))).toEqual([]);
  });

  it('refuses options that Claude does not have, before anything is started', async () => {
    const run = await begin(
      'name: wrong\nagents: { coder: { options: { allowedTool: [Bash] } } }\ntasks:\n  - { id: task, agent: coder, prompt: Improve it, retries: 3 }\n',
    );
    const done = await ended(run);
    expect(stepOf(done, 'task')).toMatchObject({ attempt: 1, reason: expect.stringContaining('allowedTool') });
    expect(model.requests()).toEqual([]);
  });

  it('carries out an objective in plain language', async () => {
    model.add({ when: 'say hello in hello.txt', steps: [write('hello.txt', 'hello\n'), say('Hello is said.')] });
    const { code, stdout } = await site.maos(['run', 'say hello in hello.txt']);
    expect(stdout).toContain('succeeded');
    expect(code).toBe(0);
    expect(file('maos/say-hello-in-hello-txt-1', 'hello.txt')).toBe('hello');
    expect((await site.maos(['merge', 'say-hello-in-hello-txt-1'])).code).toBe(0);
    expect(execFileSync('cat', [join(site.repository, 'hello.txt')], { encoding: 'utf8' })).toBe('hello\n');
  });
});
