import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentOps } from './contract.ts';
import { sessionFindings } from './findings.ts';
import { Fleet, type FleetOptions, part } from './fleet.fixture.ts';

let home: string;
let fleets: Fleet[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'maos-runner-'));
  fleets = [];
});
afterEach(async () => {
  await fleets.at(-1)?.destroy();
  rmSync(home, { recursive: true, force: true });
});

const server = (options: FleetOptions = {}): Fleet => {
  const fleet = new Fleet(home, options);
  fleets.push(fleet);
  return fleet;
};
const processState = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] ?? '';
const becomes = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe('a command', () => {
  it('runs, and its end is reported with its output and where that ends', async () => {
    const fleet = await server().open();
    const agent = await fleet.sh('echo one; echo two >&2; printf three');
    const session = await fleet.ended(agent);
    expect(session).toMatchObject({
      exit: 'exit 0',
      outcome: { kind: 'succeeded', result: 'one\nthree' },
      offset: 9,
      pid: expect.any(Number),
    });
    expect(statSync(join(session.folder, 'stdout')).size).toBe(9);
    expect(await fleet.output(agent)).toBe('one\nthree');
    expect(await fleet.output(agent, false)).toBe('one\nthree\n');
    expect((await fleet.call(agentOps.logs, { agent: agent.id, stream: 'stderr' })).text).toBe('two\n');
    expect((await fleet.get(agent)).state).toBe('idle');
    // Plain output costs no records.
    expect(fleet.records().map(({ type }) => type)).toEqual([
      'agent.created',
      'session.requested',
      'session.started',
      'session.ended',
    ]);
    expect(fleet.runner.size).toBe(0);
    expect(fleet.failures).toEqual([]);
  });

  it('gets the basics, its own variables and its names, and nothing else of the server', async () => {
    const fleet = await server().open();
    const { id } = await fleet.call(agentOps.create, {
      runtime: 'command',
      name: 'ada',
      env: { A: 'agent', B: 'agent' },
    });
    const agent = await fleet.call(agentOps.start, {
      agent: id,
      argv: ['env'],
      cwd: join(home, 'work'),
      env: { B: 'request', MAOS_AGENT: 'forged' },
      task: 'task_1',
      workspace: 'workspace_1',
    });
    await fleet.ended(agent);
    const names = new Map(
      (await fleet.output(agent))
        .trim()
        .split('\n')
        .map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1)]),
    );
    const noise = ['PWD', 'OLDPWD', 'SHLVL', '_', 'PATH'];
    expect(Object.fromEntries([...names].filter(([name = '']) => !noise.includes(name)))).toEqual({
      HOME: home,
      LANG: 'C.UTF-8',
      TMPDIR: home,
      A: 'agent',
      B: 'request',
      MAOS_AGENT: id,
      MAOS_AGENT_NAME: 'ada',
      MAOS_SESSION: `${id}/1`,
      MAOS_TASK: 'task_1',
      MAOS_WORKSPACE: 'workspace_1',
    });
  });

  it('gets variables of the server that its request names, and is not started without them', async () => {
    const fleet = await server().open();
    const { id } = await fleet.call(agentOps.create, { runtime: 'command' });
    const start = (passEnv: Record<string, string>) =>
      fleet.call(agentOps.start, { agent: id, argv: ['printenv', 'KEY'], cwd: home, env: { KEY: 'plain' }, passEnv });
    const first = await start({ KEY: 'SERVER_SECRET' });
    await fleet.ended(first);
    expect(await fleet.output(first)).toBe('must not leak\n');
    expect(JSON.stringify(fleet.records('session.requested'))).not.toContain('must not leak');
    expect(await fleet.ended(await start({ KEY: 'NOT_THERE' }))).toMatchObject({
      pid: null,
      outcome: { reason: 'missing_variable', message: expect.stringContaining('NOT_THERE'), retry: false },
    });
  });

  it('whose program is missing, or whose folder is, ends at once and says what to do', async () => {
    const fleet = await server().open();
    const { id } = await fleet.call(agentOps.create, { runtime: 'command' });
    const first = await fleet.call(agentOps.start, { agent: id, argv: ['no-such-program'], cwd: home });
    expect(await fleet.ended(first)).toMatchObject({
      pid: null,
      exit: 'not started',
      outcome: { reason: 'missing_program', message: expect.stringContaining('Install no-such-program'), retry: false },
    });
    const second = await fleet.call(agentOps.start, { agent: id, argv: ['true'], cwd: join(home, 'gone') });
    expect(await fleet.ended(second)).toMatchObject({
      outcome: { reason: 'not_started', message: expect.stringContaining('does not exist') },
    });
  });

  it('is ended when its time is over', async () => {
    const fleet = await server().open();
    const agent = await fleet.sh('sleep 60', { limits: { timeoutMs: 200 } });
    expect(await fleet.ended(agent)).toMatchObject({
      exit: expect.stringMatching(/^SIGTERM; /),
      outcome: { reason: 'timeout', retry: true },
    });
  });
});

describe('control', () => {
  it.each([false, true])(
    'stops the whole tree, a grandchild in a session of its own too (force: %s)',
    async (force) => {
      const fleet = await server().open();
      const agent = await fleet.sh(
        `setsid sh -c 'echo up; exec sleep 300' & ${force ? "trap '' TERM;" : ''} sleep 300; sleep 300`,
      );
      await fleet.prints(agent, 'up');
      expect((await fleet.host.processesOf(`${agent.id}/1`)).length).toBeGreaterThan(2);
      await fleet.call(agentOps.stop, { agent: agent.id, reason: 'enough', force });
      expect(await fleet.ended(agent)).toMatchObject({
        outcome: { reason: 'killed', message: 'enough', retry: false },
      });
      expect(await fleet.host.processesOf(`${agent.id}/1`)).toEqual([]);
    },
  );

  it('freezes and thaws', async () => {
    const fleet = await server().open();
    const agent = await fleet.sh('echo up; sleep 300');
    await fleet.prints(agent, 'up');
    const pid = part((await fleet.started(agent)).data, 'pid');
    await fleet.call(agentOps.pause, { agent: agent.id });
    await becomes(() => processState(Number(pid)) === 'T');
    await fleet.call(agentOps.resume, { agent: agent.id });
    await becomes(() => processState(Number(pid)) === 'S');
    await fleet.call(agentOps.pause, { agent: agent.id });
    await becomes(() => processState(Number(pid)) === 'T');
    await fleet.call(agentOps.stop, { agent: agent.id });
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { reason: 'killed' } });
  });

  it('never starts what was stopped before anything could start it', async () => {
    const fleet = server();
    const agent = await fleet.sh('touch started');
    await fleet.call(agentOps.stop, { agent: agent.id });
    await fleet.open();
    expect(await fleet.ended(agent)).toMatchObject({ exit: 'not started', outcome: { reason: 'killed' } });
    expect(readdirSync(join(home, 'work'))).toEqual([]);
  });
});

describe('an agent that talks', () => {
  it('is observed: conversation, actions and usage in few records, then its result', async () => {
    const fleet = await server().open();
    const steps = Array.from(
      { length: 50 },
      (_, index) => `- tool: step ${index}\n- usage: { input: 10, cost: 0.01 }\n`,
    ).join('');
    const agent = await fleet.fake(`${steps}- result: all done\n`);
    const session = await fleet.ended(agent);
    expect(session).toMatchObject({
      outcome: { kind: 'succeeded', result: 'all done' },
      providerSession: expect.any(String),
      lastAction: expect.stringContaining('step 49'),
      usage: { inputTokens: 500 },
    });
    expect((await fleet.get(agent)).usage.costUsd).toBeCloseTo(0.5);
    expect(fleet.records('session.observed').length).toBeLessThan(10);
    expect(await fleet.output(agent, false)).toContain('▸ step 49');
    expect(await fleet.output(agent, false)).toMatch(/✓ all done\n$/);
  });

  it('gets each message once, and says what it waits for meanwhile', async () => {
    const fleet = await server().open();
    const agent = await fleet.fake('- ask: which colour?\n- say: painted\n- result: ok\n');
    await fleet.until(({ type, data }) => type === 'session.observed' && part(data, 'waiting') === 'which colour?');
    expect(await fleet.get(agent)).toMatchObject({ state: 'running', reason: 'which colour?' });
    await fleet.call(agentOps.send, { agent: agent.id, text: 'red' });
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { kind: 'succeeded', result: 'ok' } });
  });

  it('can be interrupted', async () => {
    const fleet = await server().open();
    const agent = await fleet.fake('- tool: begun\n- sleep: 60000\n- result: never\n');
    await fleet.until(({ type, data }) => type === 'session.observed' && part(data, 'action') !== null);
    await fleet.call(agentOps.interrupt, { agent: agent.id });
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { kind: 'failed', reason: 'interrupted' } });
  });

  it.each([
    ['over its budget', '{ input: 1, cost: 0.3 }', 'of its budget of $0.25'],
    ['with an unknown price', '{ input: 1, cost: null }', 'reports no price'],
  ])('is stopped %s', async (_what, usage, message) => {
    const fleet = await server().open();
    const agent = await fleet.fake(`- usage: ${usage}\n- sleep: 60000\n- result: never\n`, {
      limits: { budgetUsd: 0.25 },
    });
    expect(await fleet.ended(agent)).toMatchObject({
      outcome: { kind: 'failed', reason: 'budget', message: expect.stringContaining(message), retry: false },
      usage: { inputTokens: 1 },
    });
  });

  it('keeps within its budget', async () => {
    const fleet = await server().open();
    const agent = await fleet.fake('- usage: { input: 1, cost: 0.2 }\n- result: cheap\n', {
      limits: { budgetUsd: 0.25 },
    });
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { kind: 'succeeded' } });
  });

  it('says until when it is limited', async () => {
    const fleet = await server().open();
    const before = Date.now();
    const session = await fleet.ended(await fleet.fake('- rate_limit: 3600000\n'));
    expect(session.outcome).toMatchObject({ kind: 'failed', reason: 'rate_limited', retry: true });
    expect(part(session.outcome, 'retryAt')).toBeGreaterThanOrEqual(before + 3_600_000);
  });

  it('that does not end after its result is ended, and that is no success', async () => {
    const fleet = await server().open();
    const agent = await fleet.fake('- linger: true\n- result: ok\n');
    expect(await fleet.ended(agent)).toMatchObject({
      exit: expect.stringContaining('after its result'),
      outcome: { reason: 'hang', retry: true },
    });
    expect(await fleet.host.processesOf(`${agent.id}/1`)).toEqual([]);
  });
});

describe('a server that stops and comes back', () => {
  it('adopts what runs: same pid, every byte, one end', async () => {
    const first = await server().open();
    const agent = await first.sh(
      'for i in 1 2 3; do echo line $i; done; while [ ! -e go ]; do sleep 0.05; done; echo line 4',
    );
    await first.prints(agent, 'line 3');
    await first.started(agent);
    const { pid } = await first.session(agent);
    await first.close();
    const second = await server().open();
    const adopted = await second.started(agent, true);
    expect(part(adopted.data, 'pid')).toBe(pid);
    writeFileSync(join(home, 'work', 'go'), '');
    expect(await second.ended(agent)).toMatchObject({
      pid,
      outcome: { kind: 'succeeded', result: 'line 1\nline 2\nline 3\nline 4' },
      offset: 28,
    });
    expect(await second.output(agent)).toBe('line 1\nline 2\nline 3\nline 4\n');
    expect(second.records('session.ended')).toHaveLength(1);
  });

  it('keeps a conversation’s usage and result when half of it was read before', async () => {
    const first = await server().open();
    const agent = await first.fake(
      `- tool: before\n- usage: { input: 5, cost: 0.1 }\n- wait_for: go\n- usage: { input: 5, cost: 0.1 }\n- result: whole\n`,
    );
    await first.until(({ type, data }) => type === 'session.observed' && part(data, 'usage') !== null);
    await first.close();
    const second = await server().open();
    await second.started(agent, true);
    writeFileSync(join(home, 'work', 'go'), '');
    expect(await second.ended(agent)).toMatchObject({
      outcome: { kind: 'succeeded', result: 'whole' },
      usage: { inputTokens: 10 },
      lastAction: expect.stringContaining('before'),
    });
  });

  it('reports what ended meanwhile, and keeps a stop and a pause that it was asked for', async () => {
    const first = await server().open();
    const short = await first.sh('while [ ! -e go ]; do sleep 0.02; done; exit 3');
    const paused = await first.sh('echo up; sleep 300');
    await first.prints(paused, 'up');
    await Promise.all([first.started(short), first.started(paused)]);
    const { pid } = await first.session(paused);
    await first.close();
    // The next server's core decides before its runner acts.
    writeFileSync(join(home, 'work', 'go'), '');
    const second = server();
    await becomes(() => readdirSync(join(home, 'transcripts', short.id, '1')).includes('exit'));
    await second.call(agentOps.pause, { agent: paused.id });
    await second.open();
    expect(await second.ended(short)).toMatchObject({ exit: 'exit 3', outcome: { reason: 'exit' } });
    await becomes(() => processState(pid ?? 0) === 'T');
    await second.call(agentOps.stop, { agent: paused.id });
    expect(await second.ended(paused)).toMatchObject({ outcome: { reason: 'killed' } });
  });

  it('starts what was requested and never started, in a folder that nobody has given up', async () => {
    const core = server();
    const agent = await core.sh('echo once >> count; echo hello');
    const untouched = await core.sh('echo once >> count2');
    // A server that died between the request and the start, and one that found that and died as well.
    expect(await core.host.adopt(join(home, 'transcripts', agent.id, '1'), `${agent.id}/1`)).toMatchObject({
      kind: 'never_started',
    });
    await core.close();
    const fleet = await server().open();
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { kind: 'succeeded' } });
    expect(await fleet.ended(untouched)).toMatchObject({ outcome: { kind: 'succeeded' } });
    expect(await fleet.output(agent)).toBe('hello\n');
    expect(readFileSync(join(home, 'work', 'count'), 'utf8')).toBe('once\n');
    expect(readdirSync(join(home, 'transcripts', agent.id)).toSorted()).toEqual(['1', '1.1']);
    expect(readdirSync(join(home, 'transcripts', untouched.id))).toEqual(['1']);
  });

  it('judges an adopted session by all of its output: a result that was read before still has to be followed by an end', async () => {
    const first = await server().open();
    const agent = await first.fake('- tool: last\n- linger: true\n- result: ok\n');
    await first.until(({ type, data }) => type === 'session.observed' && part(data, 'action') !== null);
    await first.prints(agent, 'turn_ended');
    expect((await first.session(agent)).offset).toBeGreaterThan(0);
    await first.close();
    expect(await (await server().open()).ended(agent)).toMatchObject({ outcome: { reason: 'hang' } });
  });

  it('says lost when the process and its folder are gone', async () => {
    const first = await server().open();
    const agent = await first.sh('echo up; sleep 300');
    await first.prints(agent, 'up');
    await first.started(agent);
    await first.close();
    for (const pid of await first.host.processesOf(`${agent.id}/1`)) process.kill(pid, 'SIGKILL');
    rmSync(join(home, 'transcripts'), { recursive: true });
    const second = await server().open();
    expect(await second.ended(agent)).toMatchObject({ exit: 'lost', outcome: { reason: 'lost', retry: true } });
  });

  it('does not deliver a message or an interrupt a second time', async () => {
    const first = await server().open();
    const agent = await first.fake('- ask: first?\n- tool: asked\n- wait_for: go\n- ask: second?\n- result: ok\n');
    await first.until(({ type, data }) => type === 'session.observed' && part(data, 'waiting') === 'first?');
    await first.call(agentOps.send, { agent: agent.id, text: 'one' });
    await first.until(({ type, data }) => type === 'session.observed' && part(data, 'action') !== null);
    await becomes(() => readdirSync(join(home, 'transcripts', agent.id, '1')).includes('handled'));
    // As after a crash in which the reactor's position was not written down.
    await first.close();
    const second = server();
    second.log.database.run('DELETE FROM reactor_position');
    await second.open();
    writeFileSync(join(home, 'work', 'go'), '');
    await second.until(({ type, data }) => type === 'session.observed' && part(data, 'waiting') === 'second?');
    expect((await second.get(agent)).reason).toBe('second?');
    await second.call(agentOps.send, { agent: agent.id, text: 'two' });
    expect(await second.ended(agent)).toMatchObject({ outcome: { kind: 'succeeded' } });
  });
});

describe('under trouble', () => {
  it('reports the end once the disk has room again', async () => {
    let full = false;
    let refused = 0;
    const fleet = await server({
      beforeCommit: () => {
        if (!full) return;
        refused += 1;
        if (refused === 3) full = false;
        throw new Error('database or disk is full');
      },
    }).open();
    const agent = await fleet.sh('while [ ! -e go ]; do sleep 0.02; done; echo bye');
    await fleet.started(agent);
    full = true;
    writeFileSync(join(home, 'work', 'go'), '');
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { kind: 'succeeded', result: 'bye' } });
    expect(refused).toBe(3);
    expect(fleet.records('session.ended')).toHaveLength(1);
    expect(fleet.failures).toHaveLength(3);
  });

  it('runs 100 agents, 20 at a time, and leaks neither files nor processes', async () => {
    const fleet = await server().open();
    const openFiles = (): number => readdirSync('/proc/self/fd').length;
    await fleet.ended(await fleet.sh('true'));
    const before = openFiles();
    for (let round = 0; round < 5; round += 1) {
      const agents = await Promise.all(Array.from({ length: 20 }, (_, index) => fleet.sh(`echo ${round} ${index}`)));
      for (const agent of agents) expect(await fleet.ended(agent)).toMatchObject({ outcome: { kind: 'succeeded' } });
    }
    expect(fleet.runner.size).toBe(0);
    await becomes(() => openFiles() <= before);
    expect(fleet.records('session.ended')).toHaveLength(101);
    expect(fleet.failures).toEqual([]);
  });
});

describe('what doctor finds', () => {
  it('is nothing while all is well; then a process that is gone, and one that is left', async () => {
    const fleet = await server().open();
    const look = (): ReturnType<typeof sessionFindings> => sessionFindings({ reader: fleet.reader, host: fleet.host });
    const well = await fleet.sh('echo up; sleep 300');
    await fleet.prints(well, 'up');
    await fleet.started(well);
    expect(await look()).toEqual([]);
    await fleet.runner.release();
    // The log hears nothing of this end any more.
    for (const pid of await fleet.host.processesOf(`${well.id}/1`)) process.kill(pid, 'SIGKILL');
    await becomes(async () => (await fleet.host.processesOf(`${well.id}/1`)).length === 0);
    expect(await look()).toMatchObject([{ kind: 'gone', agent: well.id, generation: 1 }]);
    await fleet.call(agentOps.reportEnded, {
      agent: well.id,
      generation: 1,
      offset: 3,
      exit: 'lost',
      outcome: { kind: 'succeeded', result: '', structured: null },
      usage: null,
    });
    expect(await look()).toEqual([]);
    const folder = join(home, 'stray');
    mkdirSync(folder);
    const launch = {
      argv: ['sleep', '300'],
      env: { PATH: process.env['PATH'] ?? '' },
      stdin: 'none' as const,
      firstInput: null,
    };
    const stray = await fleet.host.start({ folder: join(folder, 'x'), session: `${well.id}/1`, cwd: home, launch });
    expect(await look()).toMatchObject([{ kind: 'left', pids: expect.arrayContaining([stray.pid]) }]);
    await stray.stop(0);
  });
});

describe('a changed agent', () => {
  it('keeps what its session was started with', async () => {
    const fleet = await server().open();
    const agent = await fleet.sh('echo up; sleep 300', { limits: { timeoutMs: 600_000 } });
    await fleet.prints(agent, 'up');
    await fleet.started(agent);
    await fleet.close();
    const second = server();
    await second.call(agentOps.update, { agent: agent.id, limits: { timeoutMs: 100 } });
    await second.open();
    await second.started(agent, true);
    await second.call(agentOps.stop, { agent: agent.id, force: true });
    expect(await second.ended(agent)).toMatchObject({ outcome: { reason: 'killed' } });
  });
});
