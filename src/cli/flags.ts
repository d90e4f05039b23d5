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

/** Whoever lists the processes of a machine sees their arguments, so a secret is never one of them. */
const secretFlag: Flag = {
  key: 'passwordStdin',
  kind: 'boolean',
  describe: 'Read what is secret from standard input, a line each, instead of asking for it.',
};

/** The fields of an input that a shell asks for. */
export function secretFields(operation: Operation): readonly Field[] {
  return fieldsOfInput(operation).filter(({ name }) => operation.secrets?.includes(name) === true);
}

/** The grammar of an operation's command: its fields as options, its positional fields also without their names. */
export function grammarOf(operation: Operation): Grammar {
  const secret = secretFields(operation);
  const fields = fieldsOfInput(operation).filter((field) => !secret.includes(field));
  const keyless = operation.effect === 'read' || operation.secrets !== undefined;
  const extra = [...(secret.length === 0 ? [] : [secretFlag]), ...(keyless ? answerFlags.slice(0, 1) : answerFlags)];
  return {
    positionals: operation.positional ?? [],
    ...(operation.rest === undefined ? {} : { rest: operation.rest }),
    flags: [...fields.map(flagOf), ...extra],
  };
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
