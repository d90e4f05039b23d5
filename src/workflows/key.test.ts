import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expandPlan } from './expand.ts';
import { planKeys, taskKey } from './key.ts';
import { parsePlan } from './parse.ts';
import type { Plan, PlanTask } from './plan.ts';

const base = 'c0ffee';

const source = parsePlan(
  `name: p
inputs: {version: {default: 1}, unused: {default: 1}}
defaults: {checks: [npm test, npm run lint], env: {A: 1, B: 2}}
tasks:
  - {id: scan, command: ls, outputs: [n, m]}
  - {id: fix, prompt: "Fix \${{ item }} of \${{ tasks.scan.outputs.n }}", needs: [scan], forEach: [x, y, z]}
  - {id: other, prompt: "Version \${{ inputs.version }}", model: opus}
  - {id: end, command: [report, "\${{ tasks.other.result }}"], needs: [fix, other, scan], inputs: {n: "\${{ tasks.scan.outputs.n }}"}, expects: [a, b]}
`,
  { file: 'plan.yaml' },
);
const keys = (plan: Plan, inputs: Record<string, string> = {}): Record<string, string> =>
  planKeys(expandPlan(plan, inputs), base);
const original = keys(source);
const change = (id: string, changed: Partial<PlanTask>): Plan => ({
  ...source,
  tasks: source.tasks.map((task) => (task.id === id ? { ...task, ...changed } : task)),
});
/** Ids whose key is not what it was. */
const changed = (plan: Plan, inputs: Record<string, string> = {}): string[] =>
  Object.entries(keys(plan, inputs))
    .filter(([id, key]) => original[id] !== key)
    .map(([id]) => id)
    .toSorted();

describe('a key does not change', () => {
  test('when tasks, needs, lists of items or the names in maps are reordered', () => {
    const shuffled = <Value>(list: readonly Value[]): fc.Arbitrary<Value[]> =>
      fc.shuffledSubarray([...list], { minLength: list.length, maxLength: list.length });
    const reordered = shuffled(source.tasks).chain((tasks) =>
      fc.tuple(...tasks.map((task) => shuffled(task.needs ?? []).map((needs) => ({ ...task, needs })))),
    );
    fc.assert(
      fc.property(reordered, shuffled(['x', 'y', 'z']), (tasks, forEach) => {
        const plan = {
          ...source,
          defaults: { ...source.defaults, env: { B: 2, A: 1 } },
          tasks: tasks.map((task) => (task.id === 'fix' ? { ...task, forEach } : task)),
        };
        expect(keys(plan)).toEqual(original);
      }),
    );
  });

  test.each<[string, Partial<PlanTask>]>([
    ['title', { title: 'Another' }],
    ['priority', { priority: 99 }],
    ['retries', { retries: 5 }],
    ['timeout', { timeout: '5m' }],
    ['conflict policy', { onConflict: 'wait' }],
  ])('with the %s', (_name, part) => {
    expect(changed(change('scan', part))).toEqual([]);
  });

  test('with an input that the task does not name, or with the way a reference is spaced', () => {
    expect(changed(source, { unused: '2' })).toEqual([]);
    expect(changed(change('other', { prompt: 'Version ${{inputs.version}}' }))).toEqual([]);
  });

  test('when a task and what names it are renamed', () => {
    const renamed: Plan = JSON.parse(JSON.stringify(source).replaceAll('scan', 'look'));
    expect(new Set(Object.values(keys(renamed)))).toEqual(new Set(Object.values(original)));
  });
});

describe('a key changes, with those of all that need the task,', () => {
  test.each<[string, Partial<PlanTask>]>([
    ['command', { command: 'ls -l' }],
    ['checks', { checks: ['npm test'] }],
    ['environment', { env: { A: 2 } }],
    ['environment, though only by name', { env: { A: { from: 'A' } } }],
    ['outputs', { outputs: ['n'] }],
    ['inputs', { inputs: { v: 1 } }],
    ['files expected', { expects: ['src/**'] }],
    ['workspace', { workspace: 'w' }],
  ])('with the %s', (_name, part) => {
    expect(changed(change('scan', part))).toEqual(['end', 'fix-x', 'fix-y', 'fix-z', 'scan']);
  });

  test('with prompt, model, runtime, agent', () => {
    for (const part of [{ prompt: 'x' }, { model: 'sonnet' }, { runtime: 'fake' }])
      expect(changed(change('other', part))).toEqual(['end', 'other']);
    const agents = { c: { model: 'opus', args: ['-v'] } };
    expect(changed({ ...change('other', { agent: 'c' }), agents })).toEqual(['end', 'other']);
  });

  test('with an input that it names, and with one item only the task of that item', () => {
    expect(changed(source, { version: '2' })).toEqual(['end', 'other']);
    expect(changed(change('fix', { forEach: ['x', 'y', 'q'] }))).toEqual(['end', 'fix-q']);
  });

  test('with the base commit', () => {
    const other = planKeys(expandPlan(source), 'beef');
    for (const [id, key] of Object.entries(other)) expect(key).not.toBe(original[id]);
  });
});

test('tasks that say the same have different keys, whatever their order', () => {
  const twins =
    '  - {id: b, prompt: x}\n  - {id: a, prompt: x}\n  - {id: c, prompt: x, needs: [a]}\n  - {id: d, prompt: x, needs: [b]}\n'.split(
      /(?<=\n)/,
    );
  const of = (lines: string[]): Record<string, string> =>
    keys(parsePlan(`name: p\ntasks:\n${lines.join('')}`, { file: 'p' }));
  expect(new Set(Object.values(of(twins))).size).toBe(4);
  expect(of(twins.toReversed())).toEqual(of(twins));
});

test('the keys of the needs must be known', () => {
  const end = expandPlan(source).find(({ id }) => id === 'end');
  expect(() => end && taskKey(end, {}, base)).toThrow('is needed for the key of "end"');
});
