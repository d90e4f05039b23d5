import type { AppError } from '../kernel/error.ts';
import { checkPlan } from './check.ts';
import { type Plan, planSchema } from './plan.ts';
import { explain, shapeProblems } from './shape.ts';
import { PlanSource, type Problem } from './source.ts';

export interface ParseOptions {
  /** How messages call the file. */
  readonly file: string;
  /** The runtimes there are, and which of them take a prompt (the others take a command). */
  readonly runtimes?: Readonly<Record<string, { readonly prompt: boolean }>>;
}

/** The runtimes that come with MAOS. */
const builtIn = { command: { prompt: false }, claude: { prompt: true }, fake: { prompt: true } } as const;

/**
 * Reads a plan file. Pure: it opens no file and asks no program. Refuses with `invalid`, whose issues each have the
 * field's path, its line and column, what is wrong, and what to do.
 */
export function parsePlan(text: string, options: ParseOptions): Plan {
  const source = new PlanSource(text, options.file);
  const result = planSchema.safeParse(source.read(), { error: explain });
  if (!result.success) throw source.refusal(shapeProblems(planSchema, result.error.issues));
  const problems = checkPlan(result.data, options.runtimes ?? builtIn);
  if (problems.length > 0) throw source.refusal(problems);
  return result.data;
}

/** The refusal of a plan for problems that were found after `parsePlan` had accepted it, with their lines and columns. */
export function planRefusal(text: string, file: string, problems: readonly Problem[]): AppError {
  return new PlanSource(text, file).refusal(problems);
}
