import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunDetail, runDetail } from '../workflows/contract.ts';
import { Site } from './site.fixture.ts';

let site: Site;
beforeEach(() => {
  site = new Site({ files: { list: 'a\n' } });
});
afterEach(() => site.destroy());

/** Two tasks that add to the same line of a file; the second one is not ready before the first has landed. */
const collision = (resolver: string): string => `name: collide
tasks:
  - id: first
    command: echo first >> list; echo >> first
  - id: second
    command: until git cat-file -e "maos/$MAOS_RUN:first"; do sleep 0.02; done; echo second >> list; touch second
    onConflict: { command: ${JSON.stringify(resolver)} }
`;

async function run(plan: string): Promise<RunDetail> {
  writeFileSync(join(site.root, 'plan.yaml'), plan);
  const { stderr } = await site.maos(['run', join(site.root, 'plan.yaml'), '--json']);
  expect(stderr).toBe('');
  const name = /^name: (\S+)/.exec(plan)?.[1] ?? '';
  return runDetail().parse(JSON.parse((await site.maos(['run', 'get', `${name}-1`, '--json'])).stdout));
}

describe('a conflict that a command resolves', () => {
  it('lands with both sides, and counts only what the task itself has added', async () => {
    const { state, steps, branch } = await run(collision("sed -i -e '/^[<|=>]/d' list"));
    expect(state).toBe('succeeded');
    expect(steps.map(({ conflicts }) => conflicts)).toEqual([0, 1]);
    expect(site.git('show', `${branch}:list`).split('\n').toSorted()).toEqual(['a', 'first', 'second']);
    expect(steps[1]?.changed).toEqual({ files: 2, added: 1, deleted: 0 });
    expect(site.git('log', '-1', '--format=%s', branch)).toBe('second (conflict resolved)');
  });

  const evasions = [
    ['leaves the marks', 'true', 'Conflicts are not resolved: list.'],
    [
      'commits the marks',
      'git add -A && git -c user.name=x -c user.email=x@y commit -qm done',
      'Conflicts are not resolved: list.',
    ],
    ['aborts the merge', 'git merge --abort', 'The merge it was to resolve was abandoned.'],
  ] as const;
  it.each(evasions)('is not done when the command %s', async (_how, resolver, told) => {
    const { state, steps } = await run(collision(resolver));
    expect(state).toBe('failed');
    expect(steps.map(({ state: its, reason }) => [its, reason])).toEqual([
      ['done', null],
      ['failed', expect.stringContaining(told)],
    ]);
  });
});

describe('a budget in dollars', () => {
  const spending = (...lines: string[]): string => `name: spend
budget: { usd: 1 }
tasks:
  - id: think
    runtime: fake
    prompt: |
      \`\`\`yaml
${lines.map((line) => `      - ${line}`).join('\n')}
      - write: { path: thought, text: x }
      - result: thought
      \`\`\`
  - id: after
    needs: [think]
    command: echo after
`;
  const unpriced = 'usage: { input: 10, output: 10, cost: null }';

  it('lets an agent go on that tells its price at last', async () => {
    const { state, spent } = await run(spending(unpriced, 'sleep: 1500', 'usage: { cost: 0.5 }'));
    expect(state).toBe('succeeded');
    expect(spent).toEqual({ costUsd: 0.5, tokens: 20, unpriced: false });
  });

  it('stops after one that never told it', async () => {
    const { state, reason, spent } = await run(spending(unpriced));
    expect(state).toBe('waiting');
    expect(reason).toContain('without telling their price');
    expect(spent.unpriced).toBe(true);
  });
});
