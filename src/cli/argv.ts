import { invalid } from '../kernel/error.ts';
import { nearest } from '../kernel/nearest.ts';

/** One option of a command, and how its text becomes a value. */
export interface Flag {
  /** Where its value is kept: the name of the input's field. */
  readonly key: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'choice' | 'list' | 'json';
  /** One letter: `-f`. */
  readonly short?: string;
  readonly describe?: string;
  readonly choices?: readonly string[];
  /** For a list: what its items are. */
  readonly item?: Flag['kind'];
  readonly required?: boolean;
  readonly nullable?: boolean;
  readonly default?: unknown;
}

/** What a command takes: values without a name, in order, and options. Every name stands once in `flags`. */
export interface Grammar {
  /** Keys of flags that may be given without their name; the last one may take all that is left. */
  readonly positionals: readonly string[];
  readonly rest?: boolean;
  readonly flags: readonly Flag[];
}

/** `maxConcurrentTasks` → `max-concurrent-tasks` */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The values that a shell line gave. A key that was not given is absent. */
export class Args {
  readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = values;
  }

  text(key: string): string | undefined {
    const value = this.values[key];
    return typeof value === 'string' ? value : undefined;
  }

  /** A text that the grammar requires. */
  need(key: string): string {
    return this.text(key) ?? '';
  }

  number(key: string): number | undefined {
    const value = this.values[key];
    return typeof value === 'number' ? value : undefined;
  }

  is(key: string): boolean {
    return this.values[key] === true;
  }

  list(key: string): readonly string[] {
    const value = this.values[key];
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  }
}

/** Reads a file that a value names with `@path`; `@-` is standard input. */
export type ReadFile = (path: string) => string;

type Values = Record<string, unknown>;

/** The words of a shell line as values of the kinds that its grammar says; refuses what does not fit. */
export function parseArgv(grammar: Grammar, argv: readonly string[], readFile: ReadFile): Args {
  const values: Values = {};
  const words: string[] = [];
  const flags = namesOf(grammar.flags);
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!isOption(word)) words.push(word);
    else index += takeOption(values, flags, word, argv[index + 1], readFile);
  }
  takePositionals(values, grammar, words, readFile);
  return new Args(values);
}

/** A lone dash is a value, and so is a negative number. */
function isOption(word: string): boolean {
  return word.startsWith('-') && word !== '-' && !/^-\d/.test(word);
}

interface Named {
  readonly flag: Flag;
  /** What it means without a value; undefined: it takes the next word. */
  readonly alone: boolean | undefined;
}

function namesOf(flags: readonly Flag[]): ReadonlyMap<string, Named> {
  const names = new Map<string, Named>();
  for (const flag of flags) {
    const alone = flag.kind === 'boolean' ? true : undefined;
    names.set(`--${kebab(flag.key)}`, { flag, alone });
    if (flag.short !== undefined) names.set(`-${flag.short}`, { flag, alone });
    if (alone !== undefined) names.set(`--no-${kebab(flag.key)}`, { flag, alone: false });
  }
  return names;
}

/** Takes one option; returns how many further words it used. */
function takeOption(
  values: Values,
  names: ReadonlyMap<string, Named>,
  word: string,
  next: string | undefined,
  readFile: ReadFile,
): number {
  const equals = word.indexOf('=');
  const name = equals === -1 ? word : word.slice(0, equals);
  const named = names.get(name) ?? names.get(name.replaceAll('_', '-'));
  if (named === undefined) throw unknownOption(name, names);
  const { flag, alone } = named;
  if (alone !== undefined) {
    const text = equals === -1 ? String(alone) : word.slice(equals + 1);
    if (text !== 'true' && text !== 'false') throw invalid(`${name} takes true or false, not "${text}".`);
    values[flag.key] = (text === 'true') === (equals === -1 || alone);
    return 0;
  }
  const text = equals === -1 ? next : word.slice(equals + 1);
  if (text === undefined) {
    throw invalid(`${name} needs a value.`, { fix: `Write ${name} ${placeholder(flag)}.` });
  }
  put(values, flag, text, name, readFile);
  return equals === -1 ? 1 : 0;
}

function unknownOption(name: string, names: ReadonlyMap<string, Named>): Error {
  const known = [...names.keys()].filter((known) => !known.startsWith('--no-') || name.startsWith('--no-'));
  const guess = nearest(name, known);
  return invalid(`There is no option ${name}.`, {
    fix: guess === undefined ? 'Add --help to see the options.' : `Did you mean ${guess}?`,
  });
}

function takePositionals(values: Values, grammar: Grammar, words: readonly string[], readFile: ReadFile): void {
  const slots = grammar.positionals.flatMap((key) => grammar.flags.filter((flag) => flag.key === key));
  const open = slots.filter((flag) => !(flag.key in values) || flag.kind === 'list');
  words.forEach((word, index) => {
    const flag = open[index] ?? (grammar.rest === true ? open.at(-1) : undefined);
    if (flag === undefined) {
      throw invalid(`"${word}" is one value too many.`, {
        fix: 'Put a value with spaces in quotes; add --help to see what the command takes.',
      });
    }
    if (index >= open.length && flag.kind !== 'list') values[flag.key] = `${String(values[flag.key])} ${word}`;
    else put(values, flag, word, flag.key.toUpperCase(), readFile);
  });
  const missing = grammar.flags.find((flag) => flag.required === true && !(flag.key in values));
  if (missing === undefined) return;
  const how = grammar.positionals.includes(missing.key) ? '' : `--${kebab(missing.key)} `;
  throw invalid(`${how}${placeholder(missing)} is missing.`, {
    fix: missing.describe ?? 'Add --help to see what the command takes.',
  });
}

function put(values: Values, flag: Flag, text: string, name: string, readFile: ReadFile): void {
  const before = values[flag.key];
  if (flag.kind === 'list') {
    const items = listOf(flag, text, name, readFile);
    values[flag.key] = Array.isArray(before) ? [...before, ...items] : items;
    return;
  }
  const pair = flag.kind === 'json' ? /^([A-Za-z_][\w.-]*)=([\s\S]*)$/.exec(text) : null;
  if (pair !== null) {
    const [, key = '', value = ''] = pair;
    values[flag.key] = { ...(typeof before === 'object' ? before : {}), [key]: value };
    return;
  }
  if (before !== undefined) throw invalid(`${name} is given twice.`, { fix: 'Give it once.' });
  values[flag.key] = valueOf(flag, flag.kind, text, name, readFile);
}

/** `a,b` is two items; text with spaces is one, so that a shell line may hold commas; `["a,b"]` is exact. */
function listOf(flag: Flag, text: string, name: string, readFile: ReadFile): unknown[] {
  const item = flag.item ?? 'text';
  if (text.startsWith('[') || text.startsWith('@')) {
    const parsed = json(text, name, readFile);
    if (Array.isArray(parsed)) return parsed;
    throw invalid(`${name} takes a JSON array.`);
  }
  const parts = item === 'json' || /\s/.test(text) ? [text] : text.split(',').filter((part) => part !== '');
  return parts.map((part) => valueOf(flag, item, part, name, readFile));
}

function valueOf(flag: Flag, kind: Flag['kind'], text: string, name: string, readFile: ReadFile): unknown {
  if (text === 'null' && flag.nullable === true) return null;
  if (kind === 'json') return json(text, name, readFile);
  if (kind === 'number') {
    if (/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return Number(text);
    throw invalid(`${name} takes a number, not "${text}".`);
  }
  if (kind !== 'choice' || flag.choices === undefined || flag.choices.includes(text)) return text;
  const guess = nearest(text, flag.choices);
  const known = `It takes ${flag.choices.join(', ')}.`;
  throw invalid(`${name} does not take "${text}".`, {
    fix: guess === undefined ? known : `Did you mean "${guess}"? ${known}`,
  });
}

function json(text: string, name: string, readFile: ReadFile): unknown {
  const source = text.startsWith('@') ? readFile(text.slice(1)) : text;
  try {
    const value: unknown = JSON.parse(source);
    return value;
  } catch (error) {
    throw invalid(`${name} takes JSON: ${error instanceof Error ? error.message : String(error)}.`, {
      fix: `Write ${name} '{"key": "value"}', key=value, or @file.json.`,
    });
  }
}

/** What stands for a flag's value in help: `TASK`, `<number>`, `queued|claimed`. */
export function placeholder(flag: Flag): string {
  if (flag.kind === 'json' || flag.item === 'json') return 'JSON';
  if (flag.kind === 'number') return 'N';
  if (flag.choices !== undefined && flag.choices.join('|').length <= 40) return flag.choices.join('|');
  return kebab(flag.key).toUpperCase();
}
