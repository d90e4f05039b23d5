import { globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runOps } from '../workflows/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { ClaudeSite, mayWait, program, stepOf } from './claude.fixture.ts';
import { read, say, shell, write } from './scripted-model.fixture.ts';

describe.skipIf(program === null)('a run with Claude Code', { timeout: 120_000 }, () => {
  let site: ClaudeSite;
  beforeEach(async () => {
    site = await ClaudeSite.open();
  });
  afterEach(() => site.destroy());

  it('carries out a task: edit, checks on the exact commit, landed; usage and conversation are recorded and shown', async () => {
    site.model.add({ when: 'Write hello.txt', steps: [write('hello.txt', 'hello\n'), say('It is written.')] });
    const plan = site.planFile(`
name: edit
tasks:
  - id: hello
    prompt: Write hello.txt
    checks: [grep -q hello hello.txt]
`);
    const { code, stdout } = await site.maos(['run', plan]);
    expect(stdout).toContain('succeeded');
    expect(code).toBe(0);
    expect(site.file('maos/edit-1', 'hello.txt')).toBe('hello');

    await site.serve();
    const run = await site.server.call(runOps.get, { run: 'edit-1' });
    const step = stepOf(run, 'hello');
    expect(step).toMatchObject({ state: 'done', attempt: 1, tokens: 2400, summary: 'It is written.' });
    expect(step.evidence).toMatchObject([{ commit: step.commit, passed: true }]);
    expect(step.costUsd).toBeGreaterThan(0);
    expect(run.spent).toEqual({ costUsd: step.costUsd, tokens: 2400, unpriced: false });
    const agent = await site.agentOf('edit-1/hello');
    expect(agent.usage).toMatchObject({ inputTokens: 2000, outputTokens: 400, costUsd: step.costUsd });
    const conversation = agent.session?.providerSession ?? '';
    expect(globSync(join(site.root, `user/.claude/projects/*/${conversation}.jsonl`))).toHaveLength(1);
    expect(site.records()).toContainEqual(
      expect.objectContaining({
        type: 'session.observed',
        data: expect.objectContaining({ providerSession: conversation }),
      }),
    );
    expect(await site.server.call(watchOps.cost, { by: 'agent' })).toMatchObject({
      rows: [{ name: 'edit-1/hello', inputTokens: 2000, outputTokens: 400, costUsd: step.costUsd }],
    });
    const price = `$${(step.costUsd ?? 0).toFixed(4)}`;
    expect((await site.maos(['cost'])).stdout).toMatch(new RegExp(`edit-1 +\\${price} +2000 +400`));
    expect(readFileSync(run.report ?? '', 'utf8')).toMatch(new RegExp(`- Used: \\${price}, 2400 tokens[^]*1/1 checks`));
  });

  it('gives Claude what its runtime inherits and what the plan says, and no other program its key', async () => {
    site.model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), write('done.txt', 'done\n'), say('Done.')] });
    const run = await site.begin(`
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
    await site.begun();
    const [pid] = site.claudes();
    const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(env).toContain('ANTHROPIC_API_KEY=sk-ant-not-a-key');
    expect(env).toContain(`ANTHROPIC_BASE_URL=${site.model.url}`);
    expect(env).toContain(`HOME=${join(site.root, 'user')}`);
    expect(env).toContain('LOG_LEVEL=debug');
    expect(env).toContain('MAOS_RUN=env-1');
    expect(env.join('\n')).not.toContain('SECRET_OF_THE_SERVER');
    site.go();
    expect(await site.ended(run)).toMatchObject({ state: 'succeeded' });
    for (const name of ['check', 'command']) {
      const seen = readFileSync(join(site.root, `${name}.env`), 'utf8');
      expect(seen).toContain('LOG_LEVEL=debug');
      expect(seen).not.toMatch(/ANTHROPIC|SECRET_OF_THE_SERVER/);
    }
  });

  it('adopts Claude after kill -9 of the server: the same process finishes the task once', async () => {
    site.model.add({ when: 'Wait here', steps: [shell('sh wait.sh'), write('done.txt', 'done\n'), say('Done.')] });
    const run = await site.begin(
      `name: adopt\n${mayWait}\ntasks:\n  - { id: wait, agent: waiter, prompt: Wait here }\n`,
    );
    await site.begun();
    const before = site.claudes();
    const [{ pid } = { pid: null }] = await site.sessionsOf('adopt-1/wait');
    await site.server.kill();
    expect(site.claudes()).toEqual(before);
    await site.serve();
    const adopted = (record: { type: string; data: unknown }): boolean =>
      record.type === 'session.started' && JSON.stringify(record.data).includes('"adopted":true');
    const again = await site.server.see(adopted);
    expect(again?.data).toMatchObject({ generation: 1, pid });
    expect(site.claudes()).toEqual(before);
    site.go();
    const done = await site.ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'wait')).toMatchObject({ attempt: 1, tokens: 3600 });
    expect(await site.sessionsOf('adopt-1/wait')).toMatchObject([{ generation: 1, pid, exit: 'exit 0' }]);
    expect(site.file('maos/adopt-1', 'done.txt')).toBe('done');
    expect(site.claudes()).toEqual([]);
  });

  const killed = `
name: killed
${mayWait}
tasks:
  - { id: wait, agent: waiter, prompt: Wait here, retries: { max: 1, backoff: 100ms } }
`;

  it('resumes the conversation in the same worktree after kill -9 of Claude; both sessions are counted', async () => {
    site.model.add(
      { when: 'Your last session broke off', steps: [write('done.txt', 'done\n'), say('Done.')] },
      { when: 'Wait here', steps: [write('half.txt', 'half\n'), shell('sh wait.sh')] },
    );
    const run = await site.begin(killed);
    await site.begun();
    await site.saved('sh wait.sh');
    const first = stepOf(await site.get(run), 'wait');
    for (const pid of site.claudes()) process.kill(pid, 'SIGKILL');
    const done = await site.ended(run);
    expect(done).toMatchObject({ state: 'succeeded', spent: { tokens: 4800, unpriced: true } });
    expect(stepOf(done, 'wait')).toMatchObject({ attempt: 2, workspace: first.workspace });
    const [one, two, ...more] = await site.sessionsOf('killed-1/wait');
    expect(more).toEqual([]);
    expect(one).toMatchObject({
      outcome: { kind: 'failed', reason: 'killed' },
      usage: { inputTokens: 2000, costUsd: null },
    });
    expect(two).toMatchObject({
      providerSession: one?.providerSession,
      usage: { inputTokens: 2000, outputTokens: 400 },
    });
    expect(site.model.requests().at(-1)).toContain('sh wait.sh');
    expect(site.file('maos/killed-1', 'half.txt')).toBe('half');
    expect(site.file('maos/killed-1', 'done.txt')).toBe('done');
    expect(await site.server.call(watchOps.cost, { by: 'run' })).toMatchObject({
      rows: [{ inputTokens: 4000, unpriced: true }],
    });
  });

  it('begins a new conversation when Claude was killed before it saved any', async () => {
    site.model.add(
      { when: 'Your last session broke off', steps: [write('done.txt', 'done\n'), say('Done.')] },
      { when: 'Wait here', steps: [write('half.txt', 'half\n'), shell('sh wait.sh')] },
    );
    const run = await site.begin(killed);
    await site.begun();
    process.kill(Number(site.claudes()[0]), 'SIGSTOP');
    rmSync(join(site.root, 'user/.claude/projects'), { recursive: true });
    for (const pid of site.claudes()) process.kill(pid, 'SIGKILL');
    const done = await site.ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'wait').attempt).toBe(2);
    const sessions = await site.sessionsOf('killed-1/wait');
    expect(sessions.map(({ outcome }) => (outcome?.kind === 'failed' ? outcome.reason : outcome?.kind))).toEqual([
      'killed',
      'no_conversation',
      'succeeded',
    ]);
    expect(site.file('maos/killed-1', 'half.txt')).toBe('half');
  });

  it('is no failure of its own when Claude was killed before it said anything', async () => {
    const held = Promise.withResolvers<null>();
    site.model.gate = () => held.promise;
    site.model.add({ when: 'Wait here', steps: [write('done.txt', 'done\n'), say('Done.')] });
    const run = await site.begin(killed);
    const [pid] = await site.until(
      'claude',
      () => site.claudes(),
      (pids) => pids.length > 0,
    );
    process.kill(Number(pid), 'SIGKILL');
    held.resolve(null);
    site.model.gate = () => null;
    const done = await site.ended(run);
    expect(done).toMatchObject({ state: 'succeeded' });
    expect(stepOf(done, 'wait').attempt).toBe(2);
  });

  it('tells the resumed conversation what check has failed and what it printed; the price of each session is its own', async () => {
    site.model.add(
      { when: 'the answer is 42', steps: [read('answer.txt'), write('answer.txt', '42\n'), say('Corrected.')] },
      { when: 'Write the answer', steps: [write('answer.txt', '41\n'), say('It is 41.')] },
    );
    const run = await site.begin(`
name: checked
tasks:
  - id: answer
    prompt: Write the answer into answer.txt
    checks: ['grep -q 42 answer.txt || { echo "the answer is 42, not $(cat answer.txt)"; exit 1; }']
    retries: { max: 1, backoff: 100ms }
`);
    const done = await site.ended(run);
    expect(done.state).toBe('succeeded');
    const step = stepOf(done, 'answer');
    expect(step).toMatchObject({
      attempt: 2,
      summary: 'Corrected.',
      evidence: [{ commit: step.commit, passed: true }],
    });
    expect(site.file('maos/checked-1', 'answer.txt')).toBe('42');
    const [one, two] = await site.sessionsOf('checked-1/answer');
    expect(two?.providerSession).toBe(one?.providerSession);
    expect(site.model.requests().at(-1)).toContain('the answer is 42, not 41');
    // Claude reports the whole conversation when it is resumed; MAOS counts nothing twice.
    expect(one?.usage).toMatchObject({ inputTokens: 2000, outputTokens: 400 });
    expect(two?.usage).toMatchObject({ inputTokens: 3000, outputTokens: 600 });
    expect(two?.usage?.costUsd).toBeCloseTo((one?.usage?.costUsd ?? 0) * 1.5, 6);
    expect(done.spent.costUsd).toBeCloseTo((one?.usage?.costUsd ?? 0) * 2.5, 6);
  });

  it('hands a conflict to the agent that made it, with both sides; what it makes of them lands', async () => {
    const held = Promise.withResolvers<null>();
    site.model.gate = (body) =>
      body.includes('Write right') && !body.includes('does not merge') ? held.promise : null;
    site.model.add(
      {
        when: 'does not merge',
        steps: [read('line.txt'), write('line.txt', 'left and right\n'), say('Both are kept.')],
      },
      { when: 'Write left', steps: [read('line.txt'), write('line.txt', 'left\n'), say('Left.')] },
      { when: 'Write right', steps: [read('line.txt'), write('line.txt', 'right\n'), say('Right.')] },
    );
    const run = await site.begin(`
name: conflict
tasks:
  - { id: left, prompt: Write left into line.txt }
  - { id: right, prompt: Write right into line.txt, checks: [grep -q right line.txt] }
`);
    await site.until(
      'left to land',
      () => site.get(run),
      (now) => stepOf(now, 'left').state === 'done',
    );
    held.resolve(null);
    const done = await site.ended(run);
    expect(done.state).toBe('succeeded');
    expect(stepOf(done, 'right')).toMatchObject({ attempt: 1, conflicts: 1 });
    expect(site.file('maos/conflict-1', 'line.txt')).toBe('left and right');
    const handed = (await site.sessionsOf('conflict-1/right')).at(-1)?.request;
    expect(handed).toMatchObject({ resume: true });
    for (const part of ['line.txt', '<<<<<<<', '\nleft\n', '\nright\n', 'base', 'Write right into line.txt'])
      expect(handed?.prompt).toContain(part);
  });
});
