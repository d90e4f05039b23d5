/** What asking the rules costs: reading the command, finding the rule, and a condition in Cedar. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCommand } from '../src/policy/command/read.ts';
import { compileRules } from '../src/policy/compile.ts';
import { type Action, type PolicyRule, policyRule } from '../src/policy/contract.ts';
import { decide } from '../src/policy/decide.ts';
import { loadEngines } from '../src/policy/engines.ts';
import { realPath } from '../src/policy/real-path.ts';
import { shippedRules } from '../src/policy/shipped.ts';
import { shippedTests } from '../src/policy/shipped-tests.ts';
import { median, report, runParts } from './figure.ts';

const home = realpathSync(mkdtempSync(join(tmpdir(), 'maos-bench-policy-')));
const workspace = join(home, 'project');
mkdirSync(join(workspace, 'src'), { recursive: true });

const actionOf = (command: string): Action => ({
  kind: 'bash',
  command,
  cwd: workspace,
  workspace,
  actor: { kind: 'agent', id: 'ag_bench' },
  role: 'worker',
  at: Date.now(),
});
/** What agents do all day, in the share in which the tests of the rules have it. */
const actions = shippedTests.flatMap(({ command }) => (command === undefined ? [] : [actionOf(command)]));

/** The shipped rules, filled up to 200 with what a careful house would add. */
function twoHundred(): PolicyRule[] {
  const more = Array.from({ length: 200 - shippedRules.length }, (_, index) => {
    const match = [
      { command: { program: `tool-${index}`, flags: ['force'] } },
      { kind: ['bash', 'file'], path: { glob: `secret-${index}/**`, access: ['read', 'write'] } },
      { command: { args: `--danger-${index}*` } },
      { operation: `thing${index}.*`, role: 'worker' },
    ][index % 4];
    return policyRule().parse({ id: `own-${index}`, match, decision: 'ask' });
  });
  return [...shippedRules, ...more];
}

/** Microseconds a call, median of rounds. */
function microseconds(calls: number, run: () => void): number {
  run();
  const rounds = Array.from({ length: 15 }, () => {
    const start = performance.now();
    run();
    return ((performance.now() - start) * 1_000) / calls;
  });
  return median(rounds);
}

function evaluate(): void {
  const { rules } = compileRules(twoHundred(), {
    home,
    maosHome: join(home, '.maos'),
    realpath: realPath,
    engines: {},
  });
  const all = microseconds(actions.length, () => {
    for (const action of actions) decide(rules, action);
  });
  const reading = microseconds(actions.length, () => {
    for (const { command = '' } of actions) readCommand(command, { cwd: workspace, home });
  });
  const operation: Action = {
    kind: 'operation',
    operation: 'task.claim',
    actor: { kind: 'agent', id: 'ag_bench' },
    at: Date.now(),
  };
  const call = microseconds(10_000, () => {
    for (let count = 0; count < 10_000; count += 1) decide(rules, operation);
  });
  const note = `${actions.length} commands, each read, its links followed on disk, and judged`;
  report({ name: 'A command judged by 200 rules', value: all, unit: 'µs', target: { most: 50 }, note });
  report({ name: 'of which reading it as a shell would', value: reading, unit: 'µs' });
  report({ name: 'An operation judged by 200 rules', value: call, unit: 'µs', target: { most: 50 } });
}

function nested(): void {
  const text = '$(('.repeat(1_000) + 'a | '.repeat(500) + '(b; '.repeat(15_000);
  const ms = microseconds(1, () => void readCommand(text.slice(0, 65_536), { cwd: '/', home })) / 1_000;
  report({ name: '64 kB of nested text read', value: ms, unit: 'ms', target: { most: 50 } });
}

async function condition(): Promise<void> {
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const rules = [
    policyRule().parse({
      id: 'c',
      match: {},
      when: 'context.role == "worker" && context.program like "r*"',
      decision: 'ask',
    }),
  ];
  const engines = await loadEngines(rules);
  const compiled = compileRules(rules, { home, maosHome: home, realpath: realPath, engines }).rules;
  const action = actionOf('rm src/a.ts');
  decide(compiled, action);
  report({ name: 'Cedar loaded, with its first answer', value: performance.now() - start, unit: 'ms' });
  report({ name: 'Memory that Cedar takes', value: (process.memoryUsage.rss() - before) / 2 ** 20, unit: 'MB' });
  const many = Array.from({ length: 900 }, (_, index) => actionOf(`rm src/${index}-${Date.now()}.ts`));
  const first = performance.now();
  for (const one of many) decide(compiled, one);
  report({
    name: 'A condition in Cedar, asked anew',
    value: ((performance.now() - first) * 1_000) / many.length,
    unit: 'µs',
  });
  const again = microseconds(1_000, () => {
    for (let count = 0; count < 1_000; count += 1) decide(compiled, action);
  });
  report({ name: 'A condition in Cedar, asked again', value: again, unit: 'µs' });
}

try {
  await runParts({ evaluate, nested, condition });
} finally {
  rmSync(home, { recursive: true, force: true });
}
