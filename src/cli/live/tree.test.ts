import { describe, expect, it } from 'vitest';
import { agentEvents } from '../../agents/contract.ts';
import type { LogRecord } from '../../kernel/event.ts';
import { taskEvents } from '../../tasks/contract.ts';
import { runEvents } from '../../workflows/contract.ts';
import { noPaint } from '../terminal.ts';
import { frame } from './frame.ts';
import { happening } from './lines.ts';
import { recorder, runOf, stepOf } from './live.fixture.ts';
import { advance, treeOf, type Tree } from './tree.ts';

const surface = { width: 72, height: 24, now: 1_700_000_100_000, unicode: true, paint: noPaint };
const usage = (costUsd: number | null) => ({
  inputTokens: 1,
  outputTokens: 1,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costUsd,
});
const observed = {
  generation: 1,
  offset: 1,
  providerSession: null,
  model: null,
  action: null,
  usage: null,
  waiting: null,
};

/** What a run of two tasks goes through: an attempt that fails its check, a second one that lands, a conflict. */
function story(): LogRecord[] {
  const record = recorder();
  const made = { attempt: 1, commit: 'c'.repeat(40), base: 'b'.repeat(40), outputs: {}, summary: '', reused: false };
  const evidence = { command: 'npm test', commit: 'c'.repeat(40), passed: false, exit: 'exit 1', ms: 5, output: '' };
  return [
    record(taskEvents.claimed, 'task_a', { by: 'runner', fence: 1, attempt: 1 }),
    record(runEvents.prepared, 'task_a', { attempt: 1, workspace: 'ws_1', base: 'b'.repeat(40) }),
    record(runEvents.working, 'task_a', { attempt: 1, agent: 'agent_1', generation: 1, resolving: null }),
    record(agentEvents.observed, 'agent_1', { ...observed, action: 'Edit \u001b[2Jsrc/a.ts', usage: usage(0.25) }),
    record(runEvents.produced, 'task_a', { ...made, changed: { files: 1, added: 12, deleted: 3 } }),
    record(runEvents.checked, 'task_a', { attempt: 1, passed: false, evidence: [evidence] }),
    record(runEvents.failed, 'task_a', {
      attempt: 1,
      class: 'check',
      message: 'npm test failed\nlong output',
      feedback: null,
    }),
    record(taskEvents.delayed, 'task_a', {
      until: 1_700_000_010_000,
      error: { class: 'check', message: 'npm test failed' },
      free: false,
    }),
    record(taskEvents.queued, 'task_a', { reason: 'due' }),
    record(taskEvents.claimed, 'task_a', { by: 'runner', fence: 2, attempt: 2 }),
    record(runEvents.working, 'task_a', { attempt: 2, agent: 'agent_1', generation: 2, resolving: null }),
    record(agentEvents.observed, 'agent_1', { ...observed, usage: usage(0.5) }),
    record(runEvents.produced, 'task_a', { ...made, changed: { files: 2, added: 10, deleted: 0 } }),
    record(runEvents.merging, 'task_a', { attempt: 2, merge: 'merge_1' }),
    record(runEvents.landed, 'task_a', { attempt: 2, commit: 'd'.repeat(40) }),
    record(taskEvents.completed, 'task_a', { result: null }),
    record(taskEvents.queued, 'task_b', { reason: 'needs_met' }),
    record(taskEvents.claimed, 'task_b', { by: 'runner', fence: 1, attempt: 1 }),
    record(runEvents.conflicted, 'task_b', { attempt: 1, onto: 'e'.repeat(40), files: ['x.ts'] }),
    record(taskEvents.waiting, 'task_b', { for: 'person', reason: 'conflict in x.ts' }),
    record(runEvents.waiting, 'run_1', { reason: 'task b waits' }),
  ];
}

const start = (): Tree => treeOf(runOf([stepOf('a'), stepOf('b', ['a'])]));

describe('the tree of a run', () => {
  it('follows the records of its run', () => {
    const frames = story().reduce<{ tree: Tree; lines: string[] }>(
      ({ tree, lines }, record) => {
        const next = advance(tree, record);
        const shown = frame(next, { ...surface, now: record.at });
        return { tree: next, lines: [...lines, `${record.type}\n  ${shown.join('\n  ')}`] };
      },
      { tree: start(), lines: [] },
    );
    expect(frames.lines.join('\n')).toMatchInlineSnapshot(`
      "task.claimed
        demo-1  running  0/2 done · 1 working · 0:01
        ● a     command  preparing                                          0:00
        └─ ○ b  command  needs a
      step.prepared
        demo-1  running  0/2 done · 1 working · 0:02
        ● a     command  preparing                                          0:01
        └─ ○ b  command  needs a
      step.working
        demo-1  running  0/2 done · 1 working · 0:03
        ● a     command  working                                            0:02
        └─ ○ b  command  needs a
      session.observed
        demo-1  running  0/2 done · 1 working · 0:04 · $0.25
        ● a     command  working: Edit src/a.ts                      $0.25  0:03
        └─ ○ b  command  needs a
      step.produced
        demo-1  running  0/2 done · 1 working · 0:05 · $0.25
        ◎ a     command  checking                            +12 -3  $0.25  0:04
        └─ ○ b  command  needs a
      step.checked
        demo-1  running  0/2 done · 1 working · 0:06 · $0.25
        ◎ a     command  checking                            +12 -3  $0.25  0:05
        └─ ○ b  command  needs a
      step.failed
        demo-1  running  0/2 done · 1 working · 0:07 · $0.25
        ● a     command  failed                              +12 -3  $0.25  0:06
        └─ ○ b  command  needs a
      task.delayed
        demo-1  running  0/2 done · 0:08 · $0.25
        ○ a     command  npm test failed                           +12 -3  $0.25
        └─ ○ b  command  needs a
      task.queued
        demo-1  running  0/2 done · 0:09 · $0.25
        ○ a     command  queued                                    +12 -3  $0.25
        └─ ○ b  command  needs a
      task.claimed
        demo-1  running  0/2 done · 1 working · 0:10 · $0.25
        ● a     command  preparing (attempt 2)                       $0.25  0:00
        └─ ○ b  command  needs a
      step.working
        demo-1  running  0/2 done · 1 working · 0:11 · $0.25
        ● a     command  working (attempt 2)                         $0.25  0:01
        └─ ○ b  command  needs a
      session.observed
        demo-1  running  0/2 done · 1 working · 0:12 · $0.75
        ● a     command  working (attempt 2)                         $0.75  0:02
        └─ ○ b  command  needs a
      step.produced
        demo-1  running  0/2 done · 1 working · 0:13 · $0.75
        ◎ a     command  checking (attempt 2)                +10 -0  $0.75  0:03
        └─ ○ b  command  needs a
      step.merging
        demo-1  running  0/2 done · 1 working · 0:14 · $0.75
        ◇ a     command  merging (attempt 2)                 +10 -0  $0.75  0:04
        └─ ○ b  command  needs a
      step.landed
        demo-1  running  0/2 done · 1 working · 0:15 · $0.75
        ● a     command  done (attempt 2)                    +10 -0  $0.75  0:05
        └─ ○ b  command  needs a
      task.completed
        demo-1  running  1/2 done · 0:16 · $0.75
        ✓ a     command  done                                +10 -0  $0.75  0:06
        └─ ○ b  command  needs a
      task.queued
        demo-1  running  1/2 done · 0:17 · $0.75
        ✓ a     command  done                                +10 -0  $0.75  0:06
        └─ ○ b  command  queued
      task.claimed
        demo-1  running  1/2 done · 1 working · 0:18 · $0.75
        ✓ a     command  done                                +10 -0  $0.75  0:06
        └─ ● b  command  preparing                                          0:00
      step.conflicted
        demo-1  running  1/2 done · 1 working · 0:19 · $0.75
        ✓ a     command  done                                +10 -0  $0.75  0:06
        └─ ● b  command  resolving                                          0:01
      task.waiting
        demo-1  running  1/2 done · 0:20 · $0.75
        ✓ a     command  done                                +10 -0  $0.75  0:06
        └─ ◆ b  command  conflict in x.ts                                   0:02
      run.waiting
        demo-1  waiting  1/2 done · 0:21 · $0.75 · task b waits
        ✓ a     command  done                                +10 -0  $0.75  0:06
        └─ ◆ b  command  conflict in x.ts                                   0:03"
    `);
    const a = frames.tree.rows.get('task_a');
    expect(a).toMatchObject({ state: 'done', costUsd: 0.75, attempt: 2, changed: { added: 10 } });
  });

  it('does not change the tree that it was given', () => {
    const tree = start();
    const before = structuredClone(tree);
    for (const record of story()) advance(tree, record);
    expect(tree).toEqual(before);
  });

  it('takes in tasks that are planned while it runs, and only those of its run', () => {
    const record = recorder();
    const [planned] = [stepOf('a')].map(({ id, title, needs, runtime }) => ({
      ...{
        id,
        title,
        needs,
        runtime,
        prompt: null,
        command: ['true'],
        checks: [],
        timeoutMs: 1,
        expects: null,
        allowEmpty: true,
      },
      ...{
        outputs: [],
        inputs: {},
        priority: 50,
        workspace: null,
        onConflict: { kind: 'wait' as const },
        forEach: null,
        fan: null,
        budget: null,
      },
      agent: {
        name: null,
        model: null,
        args: [],
        options: {},
        env: {},
        passEnv: {},
        limits: { usd: null, tokens: null },
      },
      retries: { max: 0, backoffMs: 1, factor: 1, maxBackoffMs: 1 },
      values: { inputs: {}, item: null, tasks: {} },
    }));
    if (planned === undefined) throw new Error('There is one.');
    const mine = record(runEvents.step, 'task_new', {
      run: 'run_1',
      planned,
      key: 'k',
      reuse: null,
      ready: true,
    });
    const other = record(runEvents.step, 'task_other', {
      run: 'run_2',
      planned,
      key: 'k',
      reuse: null,
      ready: true,
    });
    const tree = advance(advance(start(), mine), other);
    expect([...tree.rows.keys()]).toEqual(['task_a', 'task_b', 'task_new']);
  });

  it('lets records of other runs, unknown types and unreadable data be', () => {
    const tree = start();
    const record = recorder();
    const foreign = record(taskEvents.completed, 'task_z', { result: null });
    const ended = record(runEvents.ended, 'run_2', { state: 'failed', reason: null });
    const newer = {
      ...record(taskEvents.claimed, 'task_a', { by: 'x', fence: 1, attempt: 1 }),
      data: { quite: 'different' },
    };
    const unknown = { ...foreign, type: 'task.dreamt', stream: 'task_a' };
    for (const each of [foreign, ended, newer, unknown]) expect(advance(tree, each)).toBe(tree);
  });
});

describe('a line an event', () => {
  it('tells what happened in words, without control characters or endless messages', () => {
    let tree = start();
    const lines = story().flatMap((record) => {
      tree = advance(tree, record);
      const told = happening(tree, record);
      return told === undefined ? [] : [`${told.who}: ${told.what}`];
    });
    expect(lines).toMatchInlineSnapshot(`
      [
        "a: workspace ready",
        "a: working",
        "a: Edit src/a.ts",
        "a: made cccccccccc: 1 file, +12 -3",
        "a: check failed: npm test (exit 1)",
        "a: failed: npm test failed",
        "a: tried again in 2s",
        "a: working",
        "a: made cccccccccc: 2 files, +10 -0",
        "a: in the merge queue",
        "a: landed as dddddddddd",
        "b: conflict in x.ts",
        "b: waits for a person: conflict in x.ts",
        "demo-1: waits for a person: task b waits",
      ]
    `);
  });
});
