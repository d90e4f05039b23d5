import * as z from 'zod';
import type { Operation } from '../kernel/operation.ts';

type FieldKind = 'string' | 'number' | 'boolean' | 'enum' | 'array' | 'object';

/** What a door that has only text (a query string, a shell) must know of one field of an input. */
export interface Field {
  readonly name: string;
  /** `object` stands for everything that is written as JSON. */
  readonly kind: FieldKind;
  readonly required: boolean;
  readonly nullable: boolean;
  readonly default?: unknown;
  readonly description?: string;
  /** For `enum`, and for an `array` of them. */
  readonly choices?: readonly string[];
  /** For `array`: the kind of its items. */
  readonly item?: FieldKind;
}

type Schema = z.core.$ZodType;

const known = new WeakMap<Operation, readonly Field[]>();

/** The fields of an operation's input in the order of its schema; none when the input is not an object. */
export function fieldsOfInput(operation: Operation): readonly Field[] {
  let fields = known.get(operation);
  if (fields === undefined) {
    fields = fieldsOfSchema(operation.input);
    known.set(operation, fields);
  }
  return fields;
}

/** The fields of an object schema, or of all objects of a union: required is then what every one of them requires. */
export function fieldsOfSchema(schema: Schema): readonly Field[] {
  const { core } = unwrap(schema);
  if (core instanceof z.core.$ZodObject) {
    return Object.entries(core._zod.def.shape).map(([name, field]) => describeField(name, field));
  }
  if (!(core instanceof z.core.$ZodUnion)) return [];
  const options = core._zod.def.options.map(fieldsOfSchema);
  const merged = new Map<string, Field>();
  for (const field of options.flat()) {
    const required = options.every((fields) => fields.some((other) => other.name === field.name && other.required));
    if (!merged.has(field.name)) merged.set(field.name, { ...field, required });
  }
  return [...merged.values()];
}

interface Unwrapped {
  readonly core: Schema;
  readonly optional: boolean;
  readonly nullable: boolean;
  readonly fallback?: unknown;
  readonly description: string | undefined;
}

/** Takes the wrappers (optional, default, nullable, pipe …) off a schema and says what they said. */
function unwrap(schema: Schema): Unwrapped {
  const description = z.globalRegistry.get(schema)?.description;
  const inner = innerOf(schema);
  if (inner === undefined) return { core: schema, optional: false, nullable: false, description };
  const below = unwrap(inner);
  const said = { ...below, description: description ?? below.description };
  if (schema instanceof z.core.$ZodDefault || schema instanceof z.core.$ZodPrefault) {
    return { ...said, optional: true, fallback: schema._zod.def.defaultValue };
  }
  if (schema instanceof z.core.$ZodOptional) return { ...said, optional: true };
  if (schema instanceof z.core.$ZodNullable) return { ...said, nullable: true };
  return said;
}

function innerOf(schema: Schema): Schema | undefined {
  if (schema instanceof z.core.$ZodPipe) return schema._zod.def.in;
  if (schema instanceof z.core.$ZodLazy) return schema._zod.def.getter();
  const wraps =
    schema instanceof z.core.$ZodOptional ||
    schema instanceof z.core.$ZodNullable ||
    schema instanceof z.core.$ZodDefault ||
    schema instanceof z.core.$ZodPrefault ||
    schema instanceof z.core.$ZodReadonly ||
    schema instanceof z.core.$ZodNonOptional ||
    schema instanceof z.core.$ZodCatch;
  return wraps ? schema._zod.def.innerType : undefined;
}

function describeField(name: string, schema: Schema): Field {
  const { core, optional, nullable, fallback, description } = unwrap(schema);
  const item = core instanceof z.core.$ZodArray ? unwrap(core._zod.def.element).core : undefined;
  const choices = choicesOf(item ?? core);
  return {
    name,
    kind: kindOf(core),
    required: !optional,
    nullable,
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(description === undefined ? {} : { description }),
    ...(choices === undefined ? {} : { choices }),
    ...(item === undefined ? {} : { item: kindOf(item) }),
  };
}

function kindOf(schema: Schema): FieldKind {
  if (choicesOf(schema) !== undefined) return 'enum';
  if (schema instanceof z.core.$ZodString || schema instanceof z.core.$ZodTemplateLiteral) return 'string';
  if (schema instanceof z.core.$ZodNumber) return 'number';
  if (schema instanceof z.core.$ZodBoolean) return 'boolean';
  if (schema instanceof z.core.$ZodArray) return 'array';
  if (!(schema instanceof z.core.$ZodUnion)) return 'object';
  const kinds = new Set(schema._zod.def.options.map((option) => kindOf(unwrap(option).core)));
  if (kinds.has('string') || kinds.has('enum')) return 'string';
  const [only = 'object'] = kinds;
  return kinds.size === 1 ? only : 'object';
}

/** The words that an enum, a literal, or a union of them allows; undefined for everything else. */
function choicesOf(schema: Schema): readonly string[] | undefined {
  if (schema instanceof z.core.$ZodEnum) return Object.values(schema._zod.def.entries).map(String);
  if (schema instanceof z.core.$ZodLiteral) {
    const words = schema._zod.def.values.filter((value) => typeof value === 'string');
    return words.length > 0 && words.length === schema._zod.def.values.length ? words : undefined;
  }
  if (!(schema instanceof z.core.$ZodUnion)) return undefined;
  const parts = schema._zod.def.options.map((option) => choicesOf(unwrap(option).core));
  return parts.some((part) => part === undefined) ? undefined : parts.flatMap((part) => part ?? []);
}
