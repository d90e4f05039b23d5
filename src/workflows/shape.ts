import * as z from 'zod';
import type { Problem } from './source.ts';
import { suggestion } from './suggest.ts';

/** Words that other tools use for a field of ours. */
const otherWords: Readonly<Record<string, string>> = {
  depends_on: 'needs',
  dependson: 'needs',
  depends: 'needs',
  after: 'needs',
  run: 'command',
  cmd: 'command',
  script: 'command',
  shell: 'command',
  instructions: 'prompt',
  steps: 'tasks',
  jobs: 'tasks',
  matrix: 'forEach',
  environment: 'env',
  tests: 'checks',
  verify: 'checks',
  files: 'expects',
  branch: 'base',
  repo: 'repository',
};

const kinds: Readonly<Record<string, string>> = {
  string: 'a text (put it in quotes)',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping of names to values',
};

/** What a message calls a value that was found. */
function found(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : JSON.stringify(value);
}

/** The message of a problem for which the schema has no words of its own. */
export const explain: z.core.$ZodErrorMap = (issue) => {
  const field = issue.path?.at(-1);
  const name = field === undefined ? 'This' : typeof field === 'number' ? `Entry ${field + 1}` : `"${String(field)}"`;
  if (issue.code === 'invalid_type') {
    const expected = kinds[issue.expected] ?? issue.expected;
    return issue.input === undefined
      ? `${name} is missing. Add it: ${expected}.`
      : `${name} must be ${expected}, but there is ${found(issue.input)}.`;
  }
  return undefined;
};

/** The schemas that may stand at a path, to know the fields there. */
function schemasAt(schema: unknown, path: readonly PropertyKey[]): unknown[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return schemasAt(schema.unwrap(), path);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => schemasAt(option, path));
  const [step, ...rest] = path;
  if (step === undefined) return [schema];
  if (schema instanceof z.ZodObject) return schemasAt(schema.shape[String(step)], rest);
  if (schema instanceof z.ZodArray) return schemasAt(schema.element, rest);
  if (schema instanceof z.ZodRecord) return schemasAt(schema.valueType, rest);
  return [];
}

function unknownField(root: z.ZodType, path: readonly (string | number)[], key: string): Problem {
  const fields = schemasAt(root, path).flatMap((schema) =>
    schema instanceof z.ZodObject ? Object.keys(schema.shape) : [],
  );
  const meant = otherWords[key.toLowerCase()];
  const hint =
    meant !== undefined && fields.includes(meant) ? `Did you mean "${meant}"?` : suggestion(key, fields, 'Remove it.');
  return { path: [...path, key], onKey: true, message: `There is no field "${key}" here. ${hint}` };
}

const steps = (path: readonly PropertyKey[]): (string | number)[] =>
  path.map((step) => (typeof step === 'symbol' ? String(step) : step));

/** What zod found, as problems of the plan: one for each unknown field, and the branch of a union that was meant. */
export function shapeProblems(root: z.ZodType, issues: readonly z.core.$ZodIssue[]): Problem[] {
  // One problem a field: the second rule that a wrong value breaks says nothing new.
  const byField = new Map<string, Problem>();
  for (const problem of problemsOf(root, issues, [])) {
    const field = JSON.stringify(problem.path);
    if (!byField.has(field)) byField.set(field, problem);
  }
  return [...byField.values()];
}

function problemsOf(
  root: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  parent: readonly (string | number)[],
): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = [...parent, ...steps(issue.path)];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField(root, path, key));
    if (issue.code === 'invalid_key')
      return [{ path, onKey: true, message: issue.issues[0]?.message ?? issue.message }];
    if (issue.code === 'invalid_union') {
      // The branch that was meant took the value's type and complains only about what is inside.
      const meant = issue.errors.find((branch) =>
        branch.every(
          ({ code, path: inner }) =>
            inner.length > 0 || (code !== 'invalid_type' && code !== 'invalid_value' && code !== 'invalid_union'),
        ),
      );
      if (meant !== undefined && meant.length > 0) return problemsOf(root, meant, path);
    }
    return [{ path, message: issue.message }];
  });
}
