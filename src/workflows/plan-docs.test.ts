import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expandPlan } from './expand.ts';
import { parsePlan } from './parse.ts';
import { planSchema } from './plan.ts';
import { planJsonSchema } from './plan-schema.ts';

const guide = readFileSync(new URL('../../docs/plan.md', import.meta.url), 'utf8');
const examples = [...guide.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => ({
  name: /^name: (.*)$/m.exec(text)?.[1] ?? '',
  text,
}));

describe('docs/plan.md', () => {
  test.each(examples)('the example $name is a plan that can be expanded', ({ text }) => {
    expect(expandPlan(parsePlan(text, { file: 'docs/plan.md' })).length).toBeGreaterThan(1);
  });

  test('every field of a plan and of a task stands in its table', () => {
    expect(examples.length).toBeGreaterThan(4);
    const named = (heading: string): string[] => {
      const [section = ''] = guide.split(`## ${heading}\n`)[1]?.split('\n## ') ?? [];
      const cells = section
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .map((line) => line.split(' | ')[0] ?? '');
      return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)).toSorted();
    };
    expect(named('Fields of a plan')).toEqual(Object.keys(planSchema.shape).toSorted());
    expect(named('Fields of a task')).toEqual(Object.keys(planSchema.shape.tasks.element.shape).toSorted());
  });
});

test('docs/plan.schema.json is the schema of the code', () => {
  const stored: unknown = JSON.parse(readFileSync(new URL('../../docs/plan.schema.json', import.meta.url), 'utf8'));
  expect(stored).toEqual(planJsonSchema());
});
