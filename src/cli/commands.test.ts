import { describe, expect, it } from 'vitest';
import { AppError, conflict, notFound } from '../kernel/error.ts';
import { taskEvents } from '../tasks/contract.ts';
import { say, type World } from './cli.fixture.ts';
import { recorder, runOf, stepOf } from './live/live.fixture.ts';

const now = 1_700_000_000_000;
const missing = (): never => {
  throw notFound('it', 'x', 'List them.');
};
const run = runOf([
  stepOf('rename', [], { agent: 'agent_1', generation: 1, workspace: 'ws_1' }),
  stepOf('remove'),
  stepOf('docs'),
]);
const agent = { id: 'agent_1', name: 'demo-1/rename' };

/** A world in which words mean what `names` says. */
function names(found: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}): World {
  const get = (operation: string, field: string): [string, unknown] => [
    operation,
    (input: Readonly<Record<string, unknown>>) => found[`${field} ${String(input[field])}`] ?? missing(),
  ];
  const gets = [
    get('run.get', 'run'),
    get('agent.get', 'agent'),
    get('task.get', 'task'),
    get('workspace.get', 'workspace'),
  ];
  return { answers: { ...Object.fromEntries(gets), ...more } };
}

describe('what a word means', () => {
  const answers = {
    'run.stop': run,
    'agent.stop': agent,
    'task.cancel': {},
    'run.diff': { files: [], text: '' },
    'workspace.diff': { files: [], text: '' },
  };

  it.each([
    ['stop demo-1', { 'run demo-1': run }, 'run.stop', { run: 'run_1' }],
    ['stop demo-1/rename', { 'run demo-1': run, 'agent demo-1/rename': agent }, 'task.cancel', { task: 'task_rename' }],
    ['stop demo-1/ren', { 'run demo-1': run }, 'task.cancel', { task: 'task_rename' }],
    ['stop agent_1 --force', { 'agent agent_1': agent }, 'agent.stop', { agent: 'agent_1', force: true }],
    ['stop team/bob', { 'agent team/bob': agent }, 'agent.stop', { agent: 'agent_1', force: false }],
    ['stop 7k3', { 'task 7k3': { id: 'task_7k3', title: 't' } }, 'task.cancel', { task: 'task_7k3' }],
    ['diff demo-1 --stat', { 'run demo-1': run }, 'run.diff', { run: 'run_1', stat: true }],
    ['diff demo-1/rename', { 'run demo-1': run }, 'workspace.diff', { workspace: 'ws_1', stat: false }],
    ['diff ws_1', { 'workspace ws_1': { id: 'ws_1' } }, 'workspace.diff', { workspace: 'ws_1', stat: false }],
  ])('%s', async (line, found, operation, input) => {
    const said = await say(line.split(' '), names(found, answers));
    expect(said).toMatchObject({ code: 0, err: '' });
    expect(said.calls.at(-1)).toEqual({ operation, input });
  });

  it.each([
    ['stop zzz', {}, 4, /No run or task of a run or agent or task matches "zzz"/],
    ['stop 7k', { 'run 7k': run, 'agent 7k': agent }, 5, /"7k" fits run run_1 and agent agent_1/],
    ['stop demo-1/re', { 'run demo-1': run }, 5, /It fits rename, remove/],
    ['stop demo-1/renam3', { 'run demo-1': run }, 5, /Did you mean demo-1\/rename/],
    ['diff demo-1/docs', { 'run demo-1': run }, 2, /no workspace yet/],
    ['logs demo-1/docs', { 'run demo-1': run }, 5, /no agent yet/],
    ['trash purg', {}, 2, /Did you mean "maos trash purge"/],
    ['trash restore', {}, 2, /WORKSPACE is missing/],
    ['run plan.yaml --input nonsense', {}, 2, /--input takes JSON/],
  ])('refuses %s', async (line, found, code, message) => {
    const said = await say(line.split(' '), names(found, answers));
    expect([said.code, said.out]).toEqual([code, '']);
    expect(said.err).toMatch(message);
  });

  it('does not take a failing lookup for a missing thing', async () => {
    const broken = (): never => {
      throw new AppError('unavailable', 'The server is gone.');
    };
    expect((await say(['stop', 'x'], { answers: { 'run.get': broken } })).code).toBe(6);
  });
});

describe('rm', () => {
  it('tells what would be lost and the line that gives it up; programs get the refusal as it was', async () => {
    const refuse = ({ token }: { token?: string }): unknown => {
      if (token === 'discard-1') return { id: 'ws_1', rescue: 'refs/maos/rescue/ws_1' };
      throw conflict('Workspace ws_1 holds work.', {
        fix: 'Repeat with --token.',
        details: { token: 'discard-1', commits: [{ commit: 'a'.repeat(40), subject: 'fix' }], uncommitted: ['a.txt'] },
      });
    };
    const world = names({ 'workspace ws_1': { id: 'ws_1' } }, { 'workspace.remove': refuse });
    expect((await say(['rm', 'ws_1'], world)).err).toBe(
      'maos: Workspace ws_1 holds work.\n  - commits: aaaaaaaaaa fix\n  - uncommitted: a.txt\n  fix: Look at it first (maos diff ws_1); to give it up: maos rm ws_1 --token discard-1\n',
    );
    expect(JSON.parse((await say(['rm', 'ws_1', '--json'], world)).err)).toMatchObject({
      error: { details: { token: 'discard-1' } },
    });
    const removed = await say(['rm', 'ws_1', '--token', 'discard-1'], world);
    expect(removed).toMatchObject({
      code: 0,
      out: 'Removed ws_1. "maos trash restore ws_1" brings it back.\nKept under refs/maos/rescue/ws_1\n',
    });
  });
});

describe('what people read', () => {
  const usage = { inputTokens: 12_345, outputTokens: 10, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 0.5 };
  const working = {
    ...{ name: 'demo-1/rename', runtime: 'claude', state: 'running', since: now - 5_000, usage, reason: null },
    session: { pid: 42, endedAt: null, lastAction: 'Edit \u001b[2Ja.ts' },
  };
  const status = {
    ...{
      version: '1',
      pid: 7,
      home: '/h',
      url: 'http://127.0.0.1:1',
      startedAt: now - 60_000,
      position: 9,
      memoryMb: 80.4,
    },
    ...{ runs: 1, agents: 1, tasks: { done: 2, claimed: 1 }, failing: ['reporter: disk full'] },
  };
  const doctor = {
    healthy: false,
    findings: [
      { area: 'log', severity: 'ok', message: 'Intact.', fix: null, repaired: false },
      { area: 'git', severity: 'problem', message: 'A folder is gone.', fix: 'Run it with --repair.', repaired: false },
      { area: 'processes', severity: 'problem', message: 'One was lost.', fix: 'x', repaired: true },
    ],
  };
  const budget = {
    id: 'budget_1',
    kind: 'project',
    subject: 'project_1',
    name: 'shop',
    project: 'project_1',
    run: null,
    usd: 50,
    tokens: 2_000_000,
    period: 'day',
    atLimit: 'ask',
    share: null,
    used: { usd: 0.5, tokens: 12_355, unpriced: true },
    reserved: { usd: 1.5, tokens: 0 },
    allowed: { usd: 0, tokens: 0 },
    left: { usd: 48, tokens: 1_987_645 },
    over: null,
    resetsAt: 0,
    approval: null,
    setAt: 0,
    setBy: 'user:local',
  };
  const cost = { rows: [{ name: 'demo-1', ...usage, unpriced: true }] };
  const merged = { branch: 'main', from: 'a'.repeat(40), to: 'b'.repeat(40), kind: 'fast_forward' };
  const diff = { files: [{ path: 'a.ts', added: 1, deleted: 2 }], text: 'diff --git a/a.ts b/a.ts\n+\u001b[31mx' };

  it.each<[string, Readonly<Record<string, unknown>>, number]>([
    ['ps', { 'agent.list': { agents: [working] } }, 0],
    ['status', { 'server.status': status, 'run.list': { runs: [{ ...run, counts: { done: 2, claimed: 1 } }] } }, 0],
    ['doctor', { 'doctor.run': doctor }, 1],
    ['cost', { 'cost.list': cost, 'budget.list': { budgets: [budget] } }, 0],
    ['merge demo-1', { 'run.merge': merged }, 0],
    ['undo demo-1', { 'run.undo': { ...merged, rescue: 'refs/maos/rescue/undo-main/1' } }, 0],
    ['diff demo-1 --stat', { 'run.get': run, 'run.diff': diff }, 0],
    [
      'check -',
      { 'run.check': { name: 'p', tasks: [{ id: 'a', title: 'A', needs: [], runtime: 'claude' }], critical: ['a'] } },
      0,
    ],
  ])('%s', async (line, answers, code) => {
    const argv = line === 'check -' ? ['check', '/dev/null'] : line.split(' ');
    const said = await say(argv, { answers, columns: 90, env: { NO_COLOR: '1' } });
    expect(said).toMatchObject({ code, err: '' });
    expect(said.out).toMatchSnapshot();
  });

  it('leaves a patch as it is when it goes through a pipe', async () => {
    const answers = { 'run.get': run, 'run.diff': diff };
    expect((await say(['diff', 'demo-1'], { answers })).out).toBe(`${diff.text}\n`);
    expect((await say(['diff', 'demo-1'], { answers, columns: 90 })).out).not.toContain('\u001b[31mx');
  });
});

describe('events', () => {
  it('shows the newest, then those that come, one JSON document a line for programs', async () => {
    const record = recorder();
    const [old, fresh] = [1, 2].map((n) => record(taskEvents.cancelled, `task_${n}`, { reason: 'why' }));
    const world: World = {
      records: [old, fresh].flatMap((each) => each ?? []),
      answers: { 'server.status': { position: 1 }, 'audit.list': { records: [old], next: 1 } },
    };
    expect((await say(['events'], world)).out).toMatch(
      /^ {5}1 \d\d:\d\d:\d\d task\.cancelled +task_1 {2}\{"reason":"why"\}\n$/,
    );
    const followed = await say(['events', '-f', '--json', '--type', 'task.*'], world);
    expect(followed.out.trim().split('\n').map(streamOf)).toEqual(['task_1', 'task_2']);
    expect(followed.calls.at(-1)?.input).toMatchObject({ after: 0, type: 'task.*' });
  });
});

function streamOf(line: string): unknown {
  const { stream }: { stream: unknown } = JSON.parse(line);
  return stream;
}
