import * as z from 'zod';
import { fieldsOfInput, fieldsOfSchema, type Field } from '../gateway/fields.ts';
import type { Operation } from '../kernel/operation.ts';
import { kebab } from './argv.ts';
import { commandName } from './derived.ts';
import { grammarOf } from './flags.ts';
import { usageOf } from './help.ts';

const intro = `# Reference

Generated from the contracts by \`npm run docs\`; do not edit. Every operation is a command of the shell, a route below \`/api/v1\`
and a method of the typed client. docs/openapi.json says the same for programs, and [cli.md](cli.md) explains the shorter commands.

Commands take \`--json\` to print the answer as JSON, and \`--idempotency-key\` (over HTTP the header \`Idempotency-Key\`) where they
change something: the same key again gives the first answer instead of a second call, for a week at least; with another operation or
input it is refused. Paths are absolute, except in the shell. Times are milliseconds since the epoch. Any operation may also refuse with
\`invalid\` (its input), \`not_found\` (what it names) and \`unavailable\`.`;

/** `docs/reference.md`: all operations, noun by noun. The same operations always give the same text. */
export function referenceMarkdown(operations: readonly Operation[]): string {
  const outside = operations.filter((operation) => operation.internal !== true);
  const internal = operations.filter((operation) => operation.internal === true);
  const nouns = Map.groupBy(outside, (operation) => operation.name.split('.')[0] ?? '');
  const named = namesOf(outside);
  const sections = [...nouns].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const contents = sections.map(([noun, list]) => {
    const links = list.map(({ name }) => `[${name}](#${anchor(name)})`);
    return `- **${noun}**: ${links.join(', ')}`;
  });
  return (
    [
      intro,
      contents.join('\n'),
      ...sections.flatMap(([noun, list]) => [`## ${noun}`, ...list.map((operation) => section(operation, named))]),
      internalSection(internal),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  );
}

/** What GitHub makes of a heading. */
function anchor(name: string): string {
  return name.replaceAll('.', '');
}

type Names = ReadonlyMap<z.core.$ZodType, string>;

/** Answers that several operations give are written out once, where they are given first. */
function namesOf(operations: readonly Operation[]): Names {
  const names = new Map<z.core.$ZodType, string>();
  for (const { name, output } of operations) if (!names.has(output)) names.set(output, name);
  return names;
}

function section(operation: Operation, named: Names): string {
  const { name, summary, detail, effect, scope, route, refusals = {} } = operation;
  const [method, path] = route.split(' ');
  return [
    `### ${name}`,
    summary,
    ...(detail === undefined ? [] : [detail]),
    `\`\`\`\n${usageOf(commandName(operation), grammarOf(operation))}\n${method} /api/v1${path}\n\`\`\``,
    `Effect: ${effect}. Scope: \`${scope}\`.`,
    inputTable(fieldsOfInput(operation)),
    answer(operation, named),
    ...Object.entries(refusals).map(([code, when]) => `Refuses with \`${code}\`: ${when}`),
  ].join('\n\n');
}

function internalSection(operations: readonly Operation[]): string {
  const rows = operations.map(({ name, route, summary }) => `| ${name} | \`${route}\` | ${cell(summary)} |`);
  return [
    '## Internal',
    'Called by MAOS’s own parts; not in the shell.',
    ['| operation | route | what it does |', '|---|---|---|', ...rows].join('\n'),
  ].join('\n\n');
}

function inputTable(fields: readonly Field[]): string {
  if (fields.length === 0) return 'No input.';
  const rows = fields.map((field) => `| \`${field.name}\` | ${kind(field)} | ${note(field)} |`);
  return ['| field | kind | meaning |', '|---|---|---|', ...rows].join('\n');
}

function kind(field: Field): string {
  const word =
    field.kind === 'array' ? `list of ${field.item ?? 'value'}` : field.kind === 'object' ? 'JSON' : field.kind;
  const need = field.required ? ', required' : '';
  return `${word}${field.nullable ? ' or null' : ''}${need}`;
}

function note(field: Field): string {
  const fallback = JSON.stringify(field.default);
  return cell(
    [
      field.description ?? '',
      field.choices === undefined ? '' : `One of ${field.choices.map((choice) => `\`${choice}\``).join(', ')}.`,
      fallback === undefined ? '' : `Default: \`${fallback}\`.`,
      field.name === kebab(field.name) ? '' : `In the shell \`--${kebab(field.name)}\`.`,
    ]
      .filter((part) => part !== '')
      .join(' '),
  );
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s+/g, ' ');
}

function answer({ name, output }: Operation, named: Names): string {
  const first = named.get(output);
  if (first !== undefined && first !== name) return `Answers as [${first}](#${anchor(first)}) does.`;
  if (output instanceof z.core.$ZodObject) {
    const notes = new Map(fieldsOfSchema(output).map((field) => [field.name, field.description]));
    const rows = Object.entries(output._zod.def.shape).map(
      ([field, schema]) => `| \`${field}\` | ${cell(typeText(schema, named))} | ${cell(notes.get(field) ?? '')} |`,
    );
    return rows.length === 0
      ? 'Answers with nothing.'
      : ['| answer | type | meaning |', '|---|---|---|', ...rows].join('\n');
  }
  return `Answers with ${typeText(output, named)}.`;
}

/** A schema as a short type: `string`, `queued \| done`, `{ task, fence }[]`, `task.create[]` for an answer known by name. */
function typeText(schema: z.core.$ZodType, named: Names): string {
  const name = named.get(schema);
  if (name !== undefined) return `[${name}](#${anchor(name)})`;
  const inner = (other: z.core.$ZodType): string => typeText(other, named);
  if (schema instanceof z.core.$ZodNullable) return `${inner(schema._zod.def.innerType)} or null`;
  if (schema instanceof z.core.$ZodOptional) return `${inner(schema._zod.def.innerType)}, optional`;
  if (schema instanceof z.core.$ZodDefault || schema instanceof z.core.$ZodPrefault)
    return inner(schema._zod.def.innerType);
  if (schema instanceof z.core.$ZodArray) return `list of ${inner(schema._zod.def.element)}`;
  if (schema instanceof z.core.$ZodRecord) return `map to ${inner(schema._zod.def.valueType)}`;
  if (schema instanceof z.core.$ZodEnum)
    return Object.values(schema._zod.def.entries)
      .map((word) => `\`${word}\``)
      .join(', ');
  if (schema instanceof z.core.$ZodLiteral)
    return schema._zod.def.values.map((value) => `\`${String(value)}\``).join(', ');
  if (schema instanceof z.core.$ZodUnion) return schema._zod.def.options.map(inner).join(' or ');
  if (schema instanceof z.core.$ZodString) return 'string';
  if (schema instanceof z.core.$ZodNumber) return schema._zod.def.type === 'number' ? 'number' : 'integer';
  if (schema instanceof z.core.$ZodBoolean) return 'boolean';
  if (schema instanceof z.core.$ZodObject) return `{ ${Object.keys(schema._zod.def.shape).join(', ')} }`;
  return 'any JSON';
}
