import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import * as z from 'zod';
import { describe, expect, test } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { expandPlan } from './expand.ts';
import { parsePlan } from './parse.ts';
import { planSchema } from './plan.ts';

const issuesSchema = z.array(z.object({ path: z.string(), message: z.string(), line: z.int(), column: z.int() }));

/** The error of a refused plan and its issues as `line:column path | message`. */
function refusal(plan: string): { readonly error: AppError; readonly issues: readonly string[] } {
  try {
    parsePlan(plan, { file: 'plan.yaml' });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const issues = issuesSchema.parse(error.issues);
    return {
      error,
      issues: issues.map((issue) => `${issue.line}:${issue.column} ${issue.path || '-'} | ${issue.message}`),
    };
  }
  throw new Error('The plan was accepted.');
}

const badPlans = readFileSync(new URL('bad-plans.txt', import.meta.url), 'utf8')
  .split(/^=== /m)
  .slice(1)
  .map((section) => {
    const [, name = '', plan = '', issues = ''] = /^(.*)\n([^]*?)>>>\n([^]*)$/.exec(section) ?? [];
    return { name, plan, issues: issues.trim().split('\n') };
  });

describe('a bad plan is refused with every issue, its exact place and the fix', () => {
  test('the table is there', () => expect(badPlans.length).toBeGreaterThan(80));

  test.each(badPlans)('$name', ({ plan, issues }) => {
    const refused = refusal(plan);
    expect(refused.issues).toEqual(issues);
    expect(refused.error.code).toBe('invalid');
  });

  test('the error alone names file, place and first problem', () => {
    const { error } = refusal('name: p\nconcurency: 4\ntasks:\n  - id: a\n    promt: x\n');
    expect(error.message).toBe(
      'plan.yaml:2:1: There is no field "concurency" here. Did you mean "concurrency"? (and 1 more problem)',
    );
  });

  test.each([
    ['nested too deeply', `name: ${'['.repeat(50_000)}`],
    [
      'aliases that stand for too much',
      `a: &a [x, x]\nb: &b [${'*a, '.repeat(900)}*a]\nc: &c [${'*b, '.repeat(900)}*b]\nname: [*c]\n`,
    ],
    ['too large', `name: p\n# ${'x'.repeat(1_000_001)}`],
  ])('%s', (_name, plan) => {
    expect(() => parsePlan(plan, { file: 'plan.yaml' })).toThrow(AppError);
  });
});

const full = `
name: full
description: Every field once.
repository: { path: ./sandbox, template: ./repository }
base: main
inputs:
  version: { default: 2, description: The version to write. }
  files: {}
defaults:
  agent: coder
  checks: [npm test]
  retries: { max: 2, backoff: 500ms }
  timeout: 20m
  priority: 40
  onConflict: wait
  env: { CI: true }
concurrency: 4
budget: { usd: 5, tokens: 2000000 }
agents:
  coder:
    runtime: claude
    model: opus
    args: [--verbose]
    env: { LEVEL: high }
    limits: { timeout: 30m, usd: 2.5 }
tasks:
  - id: scan
    command: [node, scan.mjs, "\${{ inputs.version }}"]
    outputs: [list, count]
    checks: []
    priority: 100
  - id: fix
    title: Fix \${{ item.path }}
    prompt: |
      Fix \${{ item.path }} for version \${{ inputs.version }}; there are \${{ inputs.count }} in all.
    needs: [scan]
    forEach: \${{ tasks.scan.outputs.list }}
    inputs: { count: "\${{ tasks.scan.outputs.count }}" }
    expects: ["\${{ item.path }}"]
    retries: 1
    timeout: 10m
    allowEmpty: true
    onConflict: return
    env: { MODE: fast }
  - id: report
    command: printf '%s' "\${{ tasks.fix.result }}" > report.json
    needs: [fix]
    workspace: release
    onConflict: { command: "git checkout --ours ." }
`;

describe('a good plan', () => {
  test('every field is read, and the plan is plain data that is a plan again', () => {
    const plan = parsePlan(full, { file: 'plan.yaml' });
    expect(plan.tasks.map(({ id }) => id)).toEqual(['scan', 'fix', 'report']);
    expect(planSchema.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
  });

  test('anchors and aliases work', () => {
    const plan = parsePlan(
      'name: p\ntasks:\n  - {id: a, prompt: x, env: &e {A: 1}}\n  - {id: b, prompt: x, env: *e}\n',
      { file: 'p' },
    );
    expect(plan.tasks[1]?.env).toEqual({ A: 1 });
  });

  test('the runtimes that exist are given by the caller', () => {
    const plan = 'name: p\ntasks:\n  - {id: a, prompt: x, runtime: codex}\n';
    expect(() => parsePlan(plan, { file: 'p' })).toThrow('no runtime "codex"');
    expect(parsePlan(plan, { file: 'p', runtimes: { claude: { prompt: true }, codex: { prompt: true } } }).name).toBe(
      'p',
    );
  });

  test('a shared workspace is fine when needs order all that use it, directly or not', () => {
    const plan = `name: p\ntasks:\n  - {id: a, prompt: x, workspace: w}\n  - {id: b, prompt: x, needs: [a]}\n  - {id: c, prompt: x, needs: [b], workspace: w}\n`;
    expect(parsePlan(plan, { file: 'p' }).tasks).toHaveLength(3);
  });
});

/** What was thrown, unless it is a refusal. */
function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (!(error instanceof AppError)) return error;
  }
  return null;
}

test('a plan with any edit is a plan or is refused as one: nothing else is ever thrown', () => {
  const edit = fc.record({
    at: fc.nat({ max: full.length }),
    cut: fc.nat({ max: 12 }),
    put: fc.constantFrom(
      '',
      ' ',
      '\n',
      '- ',
      ': ',
      '{',
      '[',
      '"',
      "'",
      '${{',
      '}}',
      '&a ',
      '*a',
      '!x',
      '#',
      '|',
      'null',
      '0',
      '\t',
      '__proto__: 1\n',
    ),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      const text = edits.reduce((now, { at, cut, put }) => now.slice(0, at) + put + now.slice(at + cut), full);
      expect(failure(() => expandPlan(parsePlan(text, { file: 'plan.yaml' }), { files: 'a' }))).toBeNull();
    }),
    { numRuns: 400 },
  );
});

describe('a plan that is made to take long', () => {
  test.each([
    ['brackets', `[${'{},'.repeat(300_000)}]`],
    ['escapes', `a: "${'\\x'.repeat(400_000)}`],
    ['aliases', `a: &a [1]\nb: [${'*a,'.repeat(200_000)}]`],
  ])('is refused before it is read: %s', (_what, text) => {
    expect(refusal(text).error.message).toContain('at most 50000 lines, commas and brackets');
  });

  test('has its first problems explained', () => {
    const names = Array.from({ length: 30_000 }, (_, index) => `k${index}: 1`);
    const { issues, error } = refusal(names.join('\n'));
    expect(issues).toHaveLength(200);
    expect(error.message).toContain('(and 30001 more problems)');
  });
});
