import type * as z from 'zod';
import { AppError, type Issue } from '../kernel/error.ts';
import { nearest } from '../kernel/nearest.ts';

/** So many problems are explained: an input can have as many as it has fields. */
const mostIssues = 50;

/** An input that does not fit its schema, told with the path and the fix of each problem. */
export function refuseInput(operation: string, error: z.ZodError, schema: z.ZodType): AppError {
  const explained = error.issues.slice(0, mostIssues).flatMap((issue) => explain(issue, schema));
  const issues = explained.slice(0, mostIssues);
  const first = issues[0];
  const where = first === undefined || first.path === '' ? '' : ` at "${first.path}"`;
  const all = error.issues.reduce(
    (sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1),
    0,
  );
  const more = all > 1 ? ` (and ${all - 1} more)` : '';
  return new AppError('invalid', `${operation} refused its input${where}: ${first?.message ?? error.message}${more}`, {
    fix: `Correct the input; "maos ${operation.replace('.', ' ')} --help" shows its fields.`,
    issues,
  });
}

function explain(issue: z.core.$ZodIssue, schema: z.ZodType): Issue[] {
  const path = issue.path.map(String).join('.');
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
  const known = issue.path.length === 0 ? fieldsOf(schema) : [];
  return issue.keys.slice(0, mostIssues).map((key) => {
    const guess = nearest(key, known);
    const hint =
      guess === undefined
        ? known.length > 0
          ? ` Known fields: ${known.join(', ')}.`
          : ''
        : ` Did you mean "${guess}"?`;
    return { path: path === '' ? key : `${path}.${key}`, message: `Unknown field "${key}".${hint}` };
  });
}

/** The names of an object schema's fields; none for other schemas. */
function fieldsOf(schema: z.ZodType): string[] {
  const { def } = schema;
  return 'shape' in def && typeof def.shape === 'object' && def.shape !== null ? Object.keys(def.shape) : [];
}
