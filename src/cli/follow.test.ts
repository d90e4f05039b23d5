import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { taskEvents } from '../tasks/contract.ts';
import { runEvents, type RunDetail } from '../workflows/contract.ts';
import { say, type Said, type World } from './cli.fixture.ts';
import { recorder, runOf, stepOf } from './live/live.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'maos-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'plan.yaml'), 'name: demo\n');

const record = recorder();
const records = [
  record(taskEvents.claimed, 'task_a', { by: 'runner', fence: 1, attempt: 1 }),
  record(runEvents.working, 'task_a', { attempt: 1, agent: 'agent_1', generation: 1, resolving: null }),
  record(runEvents.landed, 'task_a', { attempt: 1, commit: 'd'.repeat(40) }),
  record(taskEvents.completed, 'task_a', { result: null }),
  record(runEvents.ended, 'run_1', { state: 'succeeded', reason: null }),
  record(runEvents.reported, 'run_1', { report: '/r/report.md' }),
];
const begun = runOf([stepOf('a')]);

function world(last: Partial<RunDetail>, more: World = {}): World {
  return {
    cwd: folder,
    records,
    ...more,
    answers: {
      'server.status': { position: 0 },
      'run.create': begun,
      'run.get': runOf(
        [stepOf('a', [], { agent: 'agent_1', state: last.state === 'succeeded' ? 'done' : 'failed' })],
        last,
      ),
      'run.resume': begun,
      'run.report': {
        markdown: '# demo-1\n\n\n**1** of `1` tasks\n\n| task | time |\n|---|--:|\n| a | 1 s |\n',
        file: '/r/report.md',
      },
      ...more.answers,
    },
  };
}

const untimed = ({ out }: Said): string => out.replaceAll(/^\d\d:\d\d:\d\d/gm, 'HH:MM:SS');

describe('maos run', () => {
  it('tells a line an event where there is no terminal, then the report and what to do next', async () => {
    const said = await say(['run', 'plan.yaml', '--input', 'a=1,2', '-i', 'b=x'], world({ state: 'succeeded' }));
    expect(said.code).toBe(0);
    expect(said.acts).toEqual([true]);
    expect(said.calls.find(({ operation }) => operation === 'run.create')?.input).toEqual({
      plan: 'name: demo\n',
      file: join(folder, 'plan.yaml'),
      cwd: folder,
      inputs: { a: '1,2', b: 'x' },
    });
    expect(untimed(said)).toMatchInlineSnapshot(`
      "HH:MM:SS  a       working
      HH:MM:SS  a       landed as dddddddddd
      HH:MM:SS  demo-1  succeeded

      demo-1

      1 of \`1\` tasks

      task  time
      a      1 s

      Report: /r/report.md
      Next:
        maos diff demo-1   what it changed
        maos merge demo-1  land it on main
      "
    `);
  });

  it('takes several words for an objective', async () => {
    const said = await say(
      ['run', 'make it pass', '--runtime', 'fake', '--continues', 'demo-0'],
      world({ state: 'succeeded' }),
    );
    expect(said.calls.find(({ operation }) => operation === 'run.create')?.input).toEqual({
      objective: 'make it pass',
      runtime: 'fake',
      continues: 'demo-0',
      cwd: folder,
      inputs: {},
    });
  });

  it.each([
    ['succeeded', 0, 'maos merge demo-1'],
    ['failed', 1, 'maos logs demo-1/a'],
    ['cancelled', 1, 'maos resume demo-1'],
    ['waiting', 3, 'It waits for a person: because'],
  ] as const)('exits after a run that is %s with %d and says "%s"', async (state, code, hint) => {
    const said = await say(['run', 'plan.yaml'], world({ state, reason: 'because' }));
    expect(said.code).toBe(code);
    expect(said.out).toContain(hint);
  });

  it('with --json says nothing but the run', async () => {
    const said = await say(['run', 'plan.yaml', '--json'], world({ state: 'failed' }));
    expect(JSON.parse(said.out)).toMatchObject({ id: 'run_1', state: 'failed' });
    expect([said.code, said.err]).toEqual([1, '']);
  });

  it('detaches only from a server that goes on', async () => {
    const alone = await say(['run', 'plan.yaml', '--detach'], world({}));
    expect(alone).toMatchObject({ code: 6, calls: [] });
    expect(alone.err).toContain('fix: Start it: maos up');
    const server = { running: async () => ({ url: 'http://127.0.0.1:1', pid: 1 }) };
    const said = await say(['run', 'plan.yaml', '--detach'], world({}, { server }));
    expect(said).toMatchObject({
      code: 0,
      acts: [false],
      out: 'demo-1 goes on in the server. "maos watch demo-1" shows it.\n',
    });
  });

  it('resumes only what has stopped', async () => {
    const running = await say(['resume', 'demo-1'], world({}, { answers: { 'run.get': begun } }));
    expect(running.calls.map(({ operation }) => operation)).not.toContain('run.resume');
    const failed = await say(['resume', 'demo-1'], world({ state: 'failed' }));
    expect(failed.calls.map(({ operation }) => operation)).toContain('run.resume');
  });

  it('redraws a tree on a terminal and leaves its last state', async () => {
    const said = await say(
      ['run', 'plan.yaml'],
      world({ state: 'succeeded' }, { columns: 60, env: { NO_COLOR: '1', TERM: 'xterm' } }),
    );
    expect(said.out).toContain('demo-1  succeeded  1/1 done');
    expect(said.out).toContain('✓ a');
    expect(said.out.indexOf('[?25l')).toBeLessThan(said.out.lastIndexOf('[?25h'));
    expect(said.out.match(/1\/1 done/g)).toHaveLength(1);
  });
});
