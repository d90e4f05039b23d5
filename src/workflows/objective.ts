import { invalid } from '../kernel/error.ts';
import type { Plan } from './plan.ts';
import { escapeTemplate } from './template.ts';

export interface ObjectiveOptions {
  readonly runtime?: string;
  readonly model?: string;
  readonly base?: string;
  readonly checks?: readonly string[];
  readonly usd?: number;
}

/** The plan of `maos run "objective"`: one task whose prompt is the objective, word for word. */
export function objectivePlan(objective: string, options: ObjectiveOptions = {}): Plan {
  if (objective.trim() === '')
    throw invalid('The objective is empty.', { fix: 'Say what is to be done: maos run "…".' });
  const [line = ''] = objective.trim().split('\n');
  const title = line.length > 72 ? `${line.slice(0, 71).trimEnd()}…` : line;
  const name = line
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replaceAll(/^-|-$/g, '');
  return {
    name: name === '' ? 'objective' : name,
    ...(options.base === undefined ? {} : { base: options.base }),
    ...(options.usd === undefined ? {} : { budget: { usd: options.usd } }),
    tasks: [
      {
        id: 'objective',
        title: escapeTemplate(title),
        prompt: escapeTemplate(objective),
        ...(options.runtime === undefined ? {} : { runtime: options.runtime }),
        ...(options.model === undefined ? {} : { model: options.model }),
        ...(options.checks === undefined ? {} : { checks: options.checks.map(escapeTemplate) }),
      },
    ],
  };
}
