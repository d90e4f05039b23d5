import { fieldsOfInput, type Field } from '../gateway/fields.ts';
import type { Operation } from '../kernel/operation.ts';
import type { Flag, Grammar } from './argv.ts';

const kinds = {
  string: 'text',
  number: 'number',
  boolean: 'boolean',
  enum: 'choice',
  array: 'list',
  object: 'json',
} as const;

/** What every derived command takes beside its fields. */
const answerFlags: readonly Flag[] = [
  { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' },
  {
    key: 'idempotencyKey',
    kind: 'text',
    describe: 'The same key again gives the first answer instead of a second call.',
  },
];

/** Fields that hold a path: the server stands in another folder, so they are made absolute here. */
export const pathFields: ReadonlySet<string> = new Set(['path', 'file', 'cwd']);

/** The grammar of an operation's command: its fields as options, its positional fields also without their names. */
export function grammarOf(operation: Operation): Grammar {
  const fields = fieldsOfInput(operation);
  const extra = operation.effect === 'read' ? answerFlags.slice(0, 1) : answerFlags;
  return { positionals: operation.positional ?? [], flags: [...fields.map(flagOf), ...extra] };
}

/** The caller's folder is known; nobody has to say it. */
function flagOf(field: Field): Flag {
  return {
    key: field.name,
    kind: kinds[field.kind],
    required: field.required && field.name !== 'cwd',
    nullable: field.nullable,
    ...(field.description === undefined ? {} : { describe: field.description }),
    ...(field.choices === undefined ? {} : { choices: field.choices }),
    ...(field.item === undefined ? {} : { item: kinds[field.item] }),
    ...(field.default === undefined ? {} : { default: field.default }),
  };
}
