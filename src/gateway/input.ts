import { invalid } from '../kernel/error.ts';
import { fieldsOfInput, type Field } from './fields.ts';
import { parseJson } from './json.ts';
import type { Route } from './routes.ts';

type Values = Record<string, unknown>;

/**
 * One input from the three places where HTTP has room for it. A field may come from two of them only with the same
 * value: which one counts must not depend on the door.
 */
export function mergeInput(route: Route, params: readonly string[], query: string, body: Values | undefined): Values {
  if (params.length === 0 && query === '') return body ?? {};
  const fields = fieldsOfInput(route.operation);
  const path = Object.fromEntries(
    route.params.map((name, index) => [name, coerce([params[index] ?? ''], fieldOf(fields, name))]),
  );
  const merged = merge(path, query === '' ? {} : parseQuery(query, fields), 'the path', 'the query string');
  return body === undefined ? merged : merge(merged, body, 'the address', 'the body');
}

/** A query string as values of the fields' kinds: arrays by repetition, objects as JSON. */
export function parseQuery(query: string, fields: readonly Field[]): Values {
  const texts = new Map<string, string[]>();
  for (const [name, text] of new URLSearchParams(query)) {
    const list = texts.get(name);
    if (list === undefined) texts.set(name, [text]);
    else list.push(text);
  }
  return Object.fromEntries([...texts].map(([name, list]) => [name, coerce(list, fieldOf(fields, name))]));
}

function fieldOf(fields: readonly Field[], name: string): Field {
  return fields.find((field) => field.name === name) ?? { name, kind: 'string', required: false, nullable: false };
}

function coerce(texts: readonly string[], field: Field): unknown {
  if (field.kind === 'array') return texts.map((text) => scalar(text, field.item ?? 'string', field));
  const [text = '', second] = texts;
  if (second === undefined) return scalar(text, field.kind, field);
  throw invalid(`"${field.name}" is given ${texts.length} times.`, {
    fix: 'Give it once.',
    issues: [{ path: field.name, message: 'Takes one value.' }],
  });
}

const numeric = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Text that does not fit the kind stays text, and the schema refuses it with its own words. */
function scalar(text: string, kind: Field['kind'], field: Field): unknown {
  if (text === 'null' && field.nullable && kind !== 'string') return null;
  if (kind === 'number') return numeric.test(text) ? Number(text) : text;
  if (kind === 'boolean') return text === 'true' || text === 'false' ? text === 'true' : text;
  if (kind === 'object' || kind === 'array') return parseJson(text, `"${field.name}"`);
  return text;
}

function merge(first: Values, second: Values, firstPlace: string, secondPlace: string): Values {
  for (const name of Object.keys(second)) {
    if (!Object.hasOwn(first, name) || JSON.stringify(first[name]) === JSON.stringify(second[name])) continue;
    throw invalid(
      `"${name}" is ${JSON.stringify(first[name])} in ${firstPlace} and something else in ${secondPlace}.`,
      {
        fix: `Leave it out of ${secondPlace}.`,
        issues: [{ path: name, message: `Differs between ${firstPlace} and ${secondPlace}.` }],
      },
    );
  }
  return { ...first, ...second };
}
