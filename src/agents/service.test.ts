import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InputOf } from '../kernel/operation.ts';
import { agentOps } from './contract.ts';
import { Fleet, part } from './fleet.fixture.ts';

// Nothing acts here: the core alone decides, and the test reports what a runner would.
const usage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 2, cacheWriteTokens: 1, costUsd: 0.25 };
const succeeded = { kind: 'succeeded' as const, result: 'done', structured: null };
const killed = { kind: 'failed' as const, reason: 'killed', message: 'asked by a person', retry: false, retryAt: null };

let home: string;
let fleet: Fleet;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'maos-agents-'));
  fleet = new Fleet(home);
});
afterEach(async () => {
  await fleet.close();
  rmSync(home, { recursive: true, force: true });
});

const request = (agent: string): InputOf<typeof agentOps.start> => ({ agent, prompt: '- say: hi', cwd: home });
const startedAs = (agent: string, generation: number, pid = 7): Promise<unknown> =>
  fleet.call(agentOps.reportStarted, { agent, generation, pid, startTime: 'then', adopted: false });
const observedAs = (agent: string, generation: number, offset: number, more = {}): Promise<unknown> =>
  fleet.call(agentOps.reportObserved, {
    agent,
    generation,
    offset,
    providerSession: null,
    model: null,
    action: null,
    usage: null,
    waiting: null,
    ...more,
  });
const endedAs = (
  agent: string,
  generation: number,
  outcome: InputOf<typeof agentOps.reportEnded>['outcome'] = succeeded,
): Promise<unknown> =>
  fleet.call(agentOps.reportEnded, { agent, generation, offset: 50, exit: 'exit 0', outcome, usage });

describe('the roster', () => {
  it('creates with defaults, and finds by id, beginning of the id and name', async () => {
    const made = await fleet.call(agentOps.create, { runtime: 'fake', name: 'ada', team: 'blue' });
    expect(made).toMatchObject({
      name: 'ada',
      state: 'idle',
      generation: 0,
      session: null,
      limits: { timeoutMs: 3_600_000 },
      args: [],
    });
    for (const text of [made.id, 'ada', made.id.slice(0, 11), made.id.slice(6, 12)]) {
      expect((await fleet.call(agentOps.get, { agent: text })).id).toBe(made.id);
    }
    await expect(fleet.call(agentOps.get, { agent: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('makes up a name', async () => {
    expect((await fleet.call(agentOps.create, { runtime: 'fake' })).name).toMatch(/^fake-[0-9a-z]{6}$/);
  });

  it('refuses an unknown runtime and names the one that was meant', async () => {
    await expect(fleet.call(agentOps.create, { runtime: 'claud' })).rejects.toMatchObject({
      code: 'invalid',
      fix: 'Did you mean "claude"? The runtimes are: command, fake, claude.',
    });
  });

  it('keeps names unique among those that were not removed', async () => {
    await fleet.call(agentOps.create, { runtime: 'fake', name: 'ada' });
    const eve = await fleet.call(agentOps.create, { runtime: 'fake', name: 'eve' });
    await expect(fleet.call(agentOps.create, { runtime: 'fake', name: 'ada' })).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(fleet.call(agentOps.update, { agent: eve.id, name: 'ada' })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect((await fleet.call(agentOps.remove, { agent: 'ada' })).state).toBe('removed');
    expect((await fleet.call(agentOps.update, { agent: eve.id, name: 'ada' })).name).toBe('ada');
    await expect(fleet.call(agentOps.get, { agent: 'eve' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('changes only what an update names', async () => {
    const made = await fleet.call(agentOps.create, {
      runtime: 'fake',
      model: 'big',
      args: ['-x'],
      team: 'blue',
      limits: { timeoutMs: 500, budgetUsd: 2 },
    });
    const changed = await fleet.call(agentOps.update, { agent: made.id, role: 'merger', limits: { timeoutMs: 900 } });
    expect(changed).toEqual({ ...made, role: 'merger', limits: { timeoutMs: 900, budgetUsd: 2 } });
    const free = await fleet.call(agentOps.update, { agent: made.id, model: null, limits: { budgetUsd: null } });
    expect(free).toMatchObject({ model: null, team: 'blue', limits: { timeoutMs: 900 } });
    expect(free.limits).not.toHaveProperty('budgetUsd');
  });

  it('lists pages, newest first, by state, team, project and liveness', async () => {
    for (const name of ['a', 'b', 'c']) {
      await fleet.call(agentOps.create, { runtime: 'fake', name, team: name === 'b' ? 'blue' : null, project: 'p' });
    }
    await fleet.call(agentOps.start, request('b'));
    const names = async (input: InputOf<typeof agentOps.list>): Promise<string[]> =>
      (await fleet.call(agentOps.list, input)).agents.map(({ name }) => name);
    expect(await names({})).toEqual(['c', 'b', 'a']);
    expect(await names({ live: true })).toEqual(['b']);
    expect(await names({ live: false, project: 'p' })).toEqual(['c', 'a']);
    expect(await names({ team: 'blue', state: ['starting'] })).toEqual(['b']);
    const first = await fleet.call(agentOps.list, { limit: 2 });
    expect(first.next).not.toBeNull();
    expect(await names({ limit: 2, cursor: first.next ?? '' })).toEqual(['a']);
    await fleet.call(agentOps.remove, { agent: 'a' });
    expect(await names({ live: false })).toEqual(['c']);
    expect(await names({ state: ['removed'] })).toEqual(['a']);
    await expect(fleet.call(agentOps.list, { cursor: 'x' })).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a start', () => {
  it('makes a new generation with a folder and a uuid of its own', async () => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'fake' });
    const first = await fleet.call(agentOps.start, request(id));
    expect(first).toMatchObject({
      state: 'starting',
      generation: 1,
      session: { folder: join(home, 'transcripts', id, '1'), state: 'starting' },
    });
    await startedAs(id, 1);
    await endedAs(id, 1);
    const second = await fleet.call(agentOps.restart, { agent: id });
    expect(second).toMatchObject({ generation: 2, session: { folder: join(home, 'transcripts', id, '2') } });
    const ids = fleet.records('session.requested').map(({ data }) => part(data, 'sessionId'));
    expect(new Set(ids).size).toBe(2);
    expect((await fleet.call(agentOps.sessions, { agent: id })).sessions.map(({ generation }) => generation)).toEqual([
      2, 1,
    ]);
  });

  it.each([
    ['command', { prompt: 'hello' }, 'takes no prompt but a command', 'claude'],
    ['command', { argv: ['true'], resume: true }, 'lacks "resume"', 'fake'],
    ['command', { argv: ['true'], resultSchema: {} }, 'lacks "structuredOutput"', 'claude'],
    ['command', {}, 'needs a command', 'argv'],
    ['fake', { argv: ['true'] }, 'takes a prompt, not a command', 'command'],
    ['fake', {}, 'needs a prompt', 'prompt'],
    ['fake', { prompt: 'x', cwd: 'here' }, 'absolute path', 'whole path'],
  ])('of %s with %o is refused: %s', async (runtime, input, message, fix) => {
    const { id } = await fleet.call(agentOps.create, { runtime });
    await expect(fleet.call(agentOps.start, { agent: id, cwd: home, ...input })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(message),
      fix: expect.stringContaining(fix),
    });
    expect(fleet.records('session.requested')).toEqual([]);
  });

  it('is refused while a session is live, and once the agent was removed', async () => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'fake' });
    await fleet.call(agentOps.start, request(id));
    await expect(fleet.call(agentOps.start, request(id))).rejects.toMatchObject({ code: 'conflict' });
    await expect(fleet.call(agentOps.remove, { agent: id })).rejects.toMatchObject({
      code: 'conflict',
      fix: expect.stringContaining('stop'),
    });
    await endedAs(id, 1);
    await fleet.call(agentOps.remove, { agent: id });
    await expect(fleet.call(agentOps.start, request(id))).rejects.toMatchObject({ code: 'conflict' });
  });

  it('continues the last conversation when asked, by the provider’s id', async () => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'fake' });
    await expect(fleet.call(agentOps.start, { ...request(id), resume: true })).rejects.toMatchObject({
      code: 'conflict',
    });
    await fleet.call(agentOps.start, request(id));
    await startedAs(id, 1);
    await observedAs(id, 1, 5, { providerSession: 'conversation-1' });
    await endedAs(id, 1);
    const resumed = await fleet.call(agentOps.start, { agent: id, cwd: home, resume: true });
    expect(resumed.session?.providerSession).toBe('conversation-1');
    await endedAs(id, 2);
    expect((await fleet.call(agentOps.restart, { agent: id })).session?.request.resume).toBe(true);
  });
});

describe('reports', () => {
  const begun = async (): Promise<string> => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'fake' });
    await fleet.call(agentOps.start, request(id));
    return id;
  };

  it('move the agent, and the same report again changes nothing', async () => {
    const id = await begun();
    for (const report of [
      () => startedAs(id, 1),
      () => observedAs(id, 1, 9, { action: 'Bash ls', usage }),
      () => endedAs(id, 1),
    ]) {
      await report();
      const before = fleet.records().length;
      await report();
      expect(fleet.records()).toHaveLength(before);
    }
    expect(await fleet.get({ id })).toMatchObject({
      state: 'idle',
      usage,
      session: { state: 'ended', lastAction: 'Bash ls', exit: 'exit 0', outcome: succeeded, offset: 50 },
    });
  });

  it('of an older generation, of an ended session or of a second process are refused', async () => {
    const id = await begun();
    await startedAs(id, 1);
    await expect(startedAs(id, 1, 8)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('not 8'),
    });
    await endedAs(id, 1);
    await expect(startedAs(id, 1)).rejects.toMatchObject({ code: 'conflict' });
    await expect(observedAs(id, 1, 99)).rejects.toMatchObject({ code: 'conflict' });
    await expect(endedAs(id, 1, killed)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('already ended'),
    });
    await fleet.call(agentOps.restart, { agent: id });
    for (const report of [startedAs(id, 1), observedAs(id, 1, 99), endedAs(id, 1)]) {
      await expect(report).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('its newest is 2'),
      });
    }
    expect((await fleet.get({ id })).state).toBe('starting');
  });

  it('say what an agent waits for', async () => {
    const id = await begun();
    await startedAs(id, 1);
    await observedAs(id, 1, 9, { waiting: 'an answer' });
    expect(await fleet.get({ id })).toMatchObject({ state: 'running', reason: 'an answer' });
    await observedAs(id, 1, 12);
    expect((await fleet.get({ id })).reason).toBeNull();
  });

  it('add up the usage of all sessions, killed ones too; an unknown price makes the sum unknown', async () => {
    const id = await begun();
    await endedAs(id, 1, killed);
    await fleet.call(agentOps.restart, { agent: id });
    await startedAs(id, 2);
    await observedAs(id, 2, 3, { usage: { ...usage, costUsd: 1 } });
    expect((await fleet.get({ id })).usage).toMatchObject({ inputTokens: 20, costUsd: 1.25 });
    await observedAs(id, 2, 4, { usage: { ...usage, costUsd: null } });
    expect((await fleet.get({ id })).usage).toMatchObject({ inputTokens: 20, costUsd: null });
  });
});

describe('control', () => {
  it('pauses, resumes, stops; each only where the state allows it', async () => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'fake' });
    await expect(fleet.call(agentOps.stop, { agent: id })).rejects.toMatchObject({ code: 'conflict' });
    await fleet.call(agentOps.start, request(id));
    await startedAs(id, 1);
    await expect(fleet.call(agentOps.resume, { agent: id })).rejects.toMatchObject({ code: 'conflict' });
    expect(await fleet.call(agentOps.pause, { agent: id, reason: 'lunch' })).toMatchObject({
      state: 'paused',
      reason: 'lunch',
    });
    await observedAs(id, 1, 3, { action: 'a late word' });
    expect(await fleet.get({ id })).toMatchObject({ state: 'paused', reason: 'lunch' });
    expect(await fleet.call(agentOps.resume, { agent: id })).toMatchObject({ state: 'running', reason: null });
    expect((await fleet.call(agentOps.stop, { agent: id })).state).toBe('stopping');
    await expect(fleet.call(agentOps.send, { agent: id, text: 'wait' })).rejects.toMatchObject({ code: 'conflict' });
    expect((await fleet.call(agentOps.stop, { agent: id, force: true })).state).toBe('stopping');
    expect(fleet.records('session.signalled').map(({ data }) => part(data, 'signal'))).toEqual([
      'pause',
      'resume',
      'stop',
      'kill',
    ]);
  });

  it('does one thing with many and says what came of each', async () => {
    const live = await fleet.call(agentOps.create, { runtime: 'fake', name: 'live', team: 'blue' });
    const idle = await fleet.call(agentOps.create, { runtime: 'fake', name: 'idle', team: 'blue' });
    await fleet.call(agentOps.create, { runtime: 'fake', name: 'other' });
    await fleet.call(agentOps.start, request('live'));
    const stopped = await fleet.call(agentOps.bulk, { verb: 'stop', team: 'blue' });
    expect(stopped).toMatchObject({
      done: [live.id],
      refused: [{ agent: idle.id, message: expect.stringContaining('no running session') }],
    });
    expect(await fleet.call(agentOps.bulk, { verb: 'remove', agents: ['idle', 'other', 'nobody'] })).toMatchObject({
      done: [idle.id, expect.any(String)],
      refused: [{ agent: 'nobody' }],
    });
    await expect(fleet.call(agentOps.bulk, { verb: 'kill' })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('is refused where the runtime cannot', async () => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'command' });
    await fleet.call(agentOps.start, { agent: id, argv: ['true'], cwd: home });
    await expect(fleet.call(agentOps.send, { agent: id, text: 'hi' })).rejects.toMatchObject({
      code: 'invalid',
      details: { lacks: 'steer' },
    });
  });
});

describe('runtimes', () => {
  it('are listed with what they can do, and probed only when asked', async () => {
    const { runtimes } = await fleet.call(agentOps.runtimes, {});
    expect(runtimes.map(({ name }) => name)).toEqual(['command', 'fake', 'claude']);
    expect(runtimes[0]).toMatchObject({ capabilities: { prompt: false, resume: false }, usable: null, fix: null });
    const probed = await fleet.call(agentOps.runtimes, { probe: true });
    expect(probed.runtimes[0]).toMatchObject({ usable: true, fix: null });
    expect(probed.runtimes.every(({ usable, fix }) => usable === true || typeof fix === 'string')).toBe(true);
  });
});

describe('the views', () => {
  it('are the same, row for row, after a rebuild', async () => {
    const { id } = await fleet.call(agentOps.create, { runtime: 'fake', limits: { budgetUsd: 1 } });
    await fleet.call(agentOps.start, request(id));
    await startedAs(id, 1);
    await observedAs(id, 1, 9, { action: 'Bash ls', usage, providerSession: 'p' });
    await fleet.call(agentOps.update, { agent: id, name: 'renamed' });
    await endedAs(id, 1);
    await fleet.call(agentOps.restart, { agent: id });
    const gone = await fleet.call(agentOps.create, { runtime: 'fake' });
    await fleet.call(agentOps.remove, { agent: gone.id });
    const rows = (): unknown =>
      ['agent', 'session'].map((table) => fleet.log.database.all(`SELECT * FROM ${table} ORDER BY 1, 2`));
    const before = rows();
    fleet.views.prepare(fleet.log.database, { force: true });
    expect(rows()).toEqual(before);
  });
});
