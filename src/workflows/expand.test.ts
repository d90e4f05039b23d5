import { describe, expect, test } from 'vitest';
import { expandPlan } from './expand.ts';
import { dynamicItems, expandDynamic } from './fan.ts';
import { fillTask } from './fill.ts';
import { objectivePlan } from './objective.ts';
import { parsePlan } from './parse.ts';
import { type PlannedTask, plannedTaskSchema } from './planned.ts';

const plan = (tasks: string, head = ''): ReturnType<typeof parsePlan> =>
  parsePlan(`name: p\n${head}tasks:\n${tasks}`, { file: 'plan.yaml' });
const expand = (tasks: string, head = '', inputs: Record<string, string> = {}): PlannedTask[] =>
  expandPlan(plan(tasks, head), inputs);

function byId(tasks: readonly PlannedTask[], id: string): PlannedTask {
  const task = tasks.find((one) => one.id === id);
  if (task === undefined) throw new Error(`No task ${id} in ${tasks.map((one) => one.id).join(', ')}.`);
  return task;
}

describe('defaults', () => {
  test('a bare command and a bare prompt', () => {
    const tasks = expand('  - {id: a, command: npm test}\n  - {id: b, prompt: Fix it}\n');
    expect(byId(tasks, 'a')).toEqual({
      id: 'a',
      title: 'a',
      prompt: null,
      command: ['sh', '-c', 'npm test'],
      needs: [],
      runtime: 'command',
      agent: {
        name: null,
        model: null,
        args: [],
        options: {},
        env: {},
        passEnv: {},
        limits: { usd: null, tokens: null },
      },
      checks: [],
      retries: { max: 0, backoffMs: 1000, factor: 2, maxBackoffMs: 60_000 },
      timeoutMs: 3_600_000,
      expects: null,
      allowEmpty: true,
      outputs: [],
      inputs: {},
      priority: 50,
      budget: null,
      workspace: null,
      onConflict: { kind: 'return' },
      forEach: null,
      fan: null,
      values: { inputs: {}, item: null, tasks: {} },
    });
    expect(byId(tasks, 'b')).toMatchObject({ prompt: 'Fix it', command: null, runtime: 'claude', allowEmpty: false });
  });

  test('a variable with a value and one that is only named take each other’s place', () => {
    const head = 'defaults: {env: {A: d, B: {from: X}, C: {from: Y}}}\nagents: {coder: {env: {B: a}}}\n';
    const task = byId(expand('  - {id: a, prompt: x, agent: coder, env: {A: {from: Z}}}\n', head), 'a');
    expect(task.agent).toMatchObject({ env: { B: 'a' }, passEnv: { A: 'Z', C: 'Y' } });
    expect(fillTask(task).env).toEqual({ B: 'a' });
  });

  test('task over agent over defaults; agent and model of the defaults are for prompts only', () => {
    const head = `defaults: {agent: coder, checks: [d], retries: 2, timeout: 5m, priority: 10, onConflict: {command: fix}, env: {A: d, B: d, C: 1}}
agents: {coder: {runtime: fake, model: small, args: [-v], options: {hooks: true}, env: {B: a}, limits: {timeout: 10m, usd: 2}}}
`;
    const tasks = expand(
      '  - {id: a, prompt: x, env: {A: t}, checks: [], model: big, timeout: 90s}\n  - {id: b, prompt: x}\n  - {id: c, command: [ls], onConflict: wait}\n',
      head,
    );
    expect(byId(tasks, 'a')).toMatchObject({
      runtime: 'fake',
      agent: {
        name: 'coder',
        model: 'big',
        args: ['-v'],
        options: { hooks: true },
        env: { A: 't', B: 'a', C: '1' },
        limits: { usd: 2, tokens: null },
      },
      checks: [],
      timeoutMs: 90_000,
      priority: 10,
      onConflict: { kind: 'command', command: ['sh', '-c', 'fix'] },
    });
    expect(byId(tasks, 'b')).toMatchObject({
      agent: { model: 'small' },
      timeoutMs: 600_000,
      retries: { max: 2 },
      checks: ['d'],
    });
    expect(byId(tasks, 'c')).toMatchObject({
      command: ['ls'],
      runtime: 'command',
      agent: { name: null, model: null, env: { B: 'd' } },
      timeoutMs: 300_000,
      onConflict: { kind: 'wait' },
    });
  });

  test('expects: [] means that nothing may change, so an empty result is fine', () => {
    expect(expand('  - {id: a, prompt: x, expects: []}\n')[0]).toMatchObject({ expects: [], allowEmpty: true });
  });

  test('planned tasks are plain JSON of the published schema', () => {
    const tasks = expand(
      '  - {id: a, prompt: x, forEach: [1, {path: b}]}\n  - {id: b, command: [ls], needs: [a], retries: {max: 1}}\n',
    );
    for (const task of tasks) expect(plannedTaskSchema().parse(JSON.parse(JSON.stringify(task)))).toEqual(task);
  });
});

describe('inputs of the run', () => {
  test('arguments of an agent are filled at once', () => {
    const head = 'inputs: {level: {default: high}}\nagents: {c: {args: [--effort, "${{ inputs.level }}", 3]}}\n';
    expect(expand('  - {id: a, prompt: x, agent: c}\n', head)[0]?.agent.args).toEqual(['--effort', 'high', '3']);
  });

  const head = 'inputs: {version: {default: 2}, name: {}}\n';

  test('given over default, and only the named ones reach a task', () => {
    const [a, b] = expand('  - {id: a, prompt: "to ${{ inputs.version }}"}\n  - {id: b, prompt: x}\n', head, {
      name: 'n',
      version: '3',
    });
    expect(a?.values.inputs).toEqual({ version: '3' });
    expect(b?.values.inputs).toEqual({});
  });

  test('a missing and an unknown one are refused with the fix', () => {
    expect(() => expand('  - {id: a, prompt: x}\n', head)).toThrow('The plan "p" needs the input "name".');
    expect(() => expand('  - {id: a, prompt: x}\n', head, { nam: 'x' })).toThrow(
      expect.objectContaining({ fix: 'Did you mean "name"?' }),
    );
  });
});

describe('forEach with a known list', () => {
  test('one task an item, ids from the items, and a need on it is a need on all', () => {
    const tasks = expand(`  - {id: start, command: ls}
  - {id: doc, prompt: "Write \${{ item }}", needs: [start], forEach: [src/A.ts, src/B.ts, src-a-ts, "…"]}
  - {id: doc-src-b-ts, command: ls}
  - {id: end, command: 'echo "\${{ tasks.doc.result }}"', needs: [doc, start]}
`);
    expect(tasks.map(({ id }) => id)).toEqual([
      'start',
      'doc-src-a-ts',
      'doc-src-b-ts-2',
      'doc-src-a-ts-2',
      'doc-4',
      'doc-src-b-ts',
      'end',
    ]);
    expect(byId(tasks, 'end').needs).toEqual(['doc-src-a-ts', 'doc-src-b-ts-2', 'doc-src-a-ts-2', 'doc-4', 'start']);
    expect(byId(tasks, 'doc-src-a-ts')).toMatchObject({
      title: 'doc (src/A.ts)',
      fan: { of: 'doc', index: 0 },
      values: { item: 'src/A.ts' },
      needs: ['start'],
    });
    const results = Object.fromEntries(byId(tasks, 'end').needs.map((id) => [id, { result: `of ${id}`, outputs: {} }]));
    expect(fillTask(byId(tasks, 'end'), results).env['MAOS_REF_1']).toBe(
      '["of doc-src-a-ts","of doc-src-b-ts-2","of doc-src-a-ts-2","of doc-4"]',
    );
  });

  test('titles and expected files are filled at once', () => {
    const [task] = expand(
      '  - {id: a, prompt: x, title: "Doc ${{ item.name }}", expects: ["${{ item.path }}/**"], forEach: [{name: Parser, path: src/p}]}\n',
    );
    expect(task).toMatchObject({ id: 'a-parser', title: 'Doc Parser', expects: ['src/p/**'] });
  });

  test('a list from an input of the run: JSON or lines; an item without a needed field is refused', () => {
    const head = 'inputs: {files: {}}\n';
    const tasks =
      '  - {id: a, prompt: "${{ item }}", forEach: "${{ inputs.files }}"}\n  - {id: b, command: ls, needs: [a]}\n';
    expect(expand(tasks, head, { files: 'x\n\n y \n' }).map(({ values }) => values.item)).toEqual(['x', 'y', null]);
    expect(expand(tasks, head, { files: '["x", 2]' }).map(({ id }) => id)).toEqual(['a-x', 'a-2', 'b']);
    const fields = '  - {id: a, prompt: "${{ item.path }}", forEach: "${{ inputs.files }}"}\n';
    expect(() => expand(fields, head, { files: '[{"file": "x"}]' })).toThrow('has no value for ${{ item.path }}');
  });

  test('with no items, what waited for it waits for what it waited for', () => {
    const tasks = expand(
      '  - {id: s, command: ls}\n  - {id: a, prompt: x, needs: [s], forEach: "${{ inputs.l }}"}\n  - {id: b, command: ls, needs: [a]}\n',
      'inputs: {l: {default: ""}}\n',
    );
    expect(tasks.map(({ id, needs }) => [id, needs])).toEqual([
      ['s', []],
      ['b', ['s']],
    ]);
  });
});

describe('forEach over an output', () => {
  const tasks = expand(`  - {id: scan, command: ls, outputs: [list]}
  - {id: fix, prompt: "Fix \${{ item.path }}", title: "Fix \${{ item.path }}", needs: [scan], forEach: "\${{ tasks.scan.outputs.list }}", outputs: [n]}
  - {id: sum, command: 'echo "\${{ tasks.fix.outputs.n }}"', needs: [fix]}
  - {id: other, command: ls, needs: [scan]}
`);
  const scanned = (list: string) => ({ scan: { result: '', outputs: { list } } });

  test('stands as one task until the list is known', () => {
    expect(tasks.map(({ id }) => id)).toEqual(['scan', 'fix', 'sum', 'other']);
    expect(byId(tasks, 'fix').forEach).toEqual({ task: 'scan', output: 'list' });
    expect(byId(tasks, 'sum').needs).toEqual(['fix']);
  });

  test('then becomes its instances, and what waited waits for all of them', () => {
    const items = dynamicItems(byId(tasks, 'fix'), scanned('[{"path": "a.ts"}, {"path": "b.ts"}]'));
    const { instances, rewired } = expandDynamic(tasks, 'fix', items);
    expect(instances.map(({ id, title, needs, forEach }) => ({ id, title, needs, forEach }))).toEqual([
      { id: 'fix-a-ts', title: 'Fix a.ts', needs: ['scan'], forEach: null },
      { id: 'fix-b-ts', title: 'Fix b.ts', needs: ['scan'], forEach: null },
    ]);
    expect(rewired.map(({ id, needs }) => ({ id, needs }))).toEqual([{ id: 'sum', needs: ['fix-a-ts', 'fix-b-ts'] }]);
    const results = {
      'fix-a-ts': { result: '', outputs: { n: '1' } },
      'fix-b-ts': { result: '', outputs: { n: '2' } },
    };
    expect(fillTask(byId(rewired, 'sum'), results).env['MAOS_REF_1']).toBe('["1","2"]');
    for (const task of [...instances, ...rewired]) expect(plannedTaskSchema().parse(task)).toEqual(task);
  });

  test('an empty list leaves no instance, and an item that does not fit is refused', () => {
    expect(expandDynamic(tasks, 'fix', []).rewired).toMatchObject([{ id: 'sum', needs: ['scan'] }]);
    expect(() => expandDynamic(tasks, 'fix', ['a.ts'])).toThrow('The item "a.ts" has no value for ${{ item.path }}.');
    expect(() => dynamicItems(byId(tasks, 'fix'), { scan: { result: '', outputs: {} } })).toThrow(
      'without its output "list"',
    );
    expect(() => expandDynamic(tasks, 'scan', [])).toThrow('no list to wait for');
  });

  test('a list of a fan-out is the lists of all its instances', () => {
    const nested = expand(`  - {id: scan, command: ls, outputs: [list], forEach: [a, b]}
  - {id: fix, prompt: "\${{ item }}", needs: [scan], forEach: "\${{ tasks.scan.outputs.list }}"}
`);
    const results = {
      'scan-a': { result: '', outputs: { list: '["x"]' } },
      'scan-b': { result: '', outputs: { list: 'y\nz' } },
    };
    expect(dynamicItems(byId(nested, 'fix'), results)).toEqual(['x', 'y', 'z']);
  });
});

describe('an objective', () => {
  test('is a plan of one task with the objective word for word', () => {
    const objective = 'Explain ${{ secrets.x }} to me\nand more';
    const made = objectivePlan(objective, { runtime: 'fake', checks: ['npm test'], usd: 3 });
    expect(made).toMatchObject({ name: 'explain-secrets-x-to-me', budget: { usd: 3 } });
    const again = parsePlan(JSON.stringify(made), { file: 'objective' });
    const [task] = expandPlan(again);
    expect(task).toMatchObject({
      id: 'objective',
      title: 'Explain ${{ secrets.x }} to me',
      runtime: 'fake',
      checks: ['npm test'],
    });
    expect(task && fillTask(task).prompt).toBe(objective);
  });

  test('an empty one is refused, and one without letters still has a name', () => {
    expect(() => objectivePlan('  \n')).toThrow('The objective is empty.');
    expect(objectivePlan('修正').name).toBe('objective');
  });
});
