/**
 * Edits a JSON text and leaves every other byte of it as it is: its order, its indentation, its line ends. An edit that adds is one
 * insertion, so cutting the inserted text out again gives the text as it was.
 */
import { canonicalJson } from '../../kernel/hash.ts';

/** A text put into another one, and where. */
export interface Insertion {
  readonly at: number;
  readonly text: string;
}

/** A value inside a text; `from` is where what belongs to it begins (its key, in an object). */
interface Child {
  readonly key: string | undefined;
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

interface Container {
  readonly open: number;
  readonly close: number;
  readonly children: readonly Child[];
}

type Path = readonly string[];
type Added = { readonly kind: 'added'; readonly insertion: Insertion; readonly made: readonly Path[] };
/** What came of an addition: `there` is an equal value that somebody else put there. */
export type Addition = Added | { readonly kind: 'there' } | { readonly kind: 'taken'; readonly why: string };

const isSpace = (char: string | undefined): boolean => char !== undefined && ' \t\r\n'.includes(char);

function pastSpace(text: string, at: number): number {
  let next = at;
  while (isSpace(text[next])) next += 1;
  return next;
}

function pastString(text: string, at: number): number {
  let next = at + 1;
  while (text[next] !== '"') next += text[next] === '\\' ? 2 : 1;
  return next + 1;
}

/** The end of the value that begins here. The text is known to be JSON. */
function pastValue(text: string, at: number): number {
  if (text[at] === '"') return pastString(text, at);
  if (text[at] !== '{' && text[at] !== '[') {
    let next = at;
    while (next < text.length && !isSpace(text[next]) && !',]}'.includes(text[next] ?? '')) next += 1;
    return next;
  }
  let depth = 0;
  for (let next = at; ; next += 1) {
    const char = text[next];
    if (char === '"') next = pastString(text, next) - 1;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (depth === 0) return next + 1;
  }
}

/** What stands directly in the object or array that begins here. */
function contentOf(text: string, open: number): Container {
  const children: Child[] = [];
  let at = pastSpace(text, open + 1);
  while (text[at] !== '}' && text[at] !== ']') {
    const from = at;
    let key: string | undefined;
    if (text[open] === '{') {
      const keyEnd = pastString(text, at);
      key = String(JSON.parse(text.slice(at, keyEnd)));
      at = pastSpace(text, pastSpace(text, keyEnd) + 1);
    }
    const end = pastValue(text, at);
    children.push({ key, from, start: at, end });
    at = pastSpace(text, end);
    if (text[at] === ',') at = pastSpace(text, at + 1);
  }
  return { open, close: at, children };
}

const rootOf = (text: string): number => pastSpace(text, text.startsWith('\uFEFF') ? 1 : 0);

/** Why a text is not an object in JSON; undefined when it is one. */
export function notAnObject(text: string): string | undefined {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    return `it is not JSON (${error instanceof Error ? error.message : String(error)})`;
  }
  return text[rootOf(text)] === '{' ? undefined : 'it does not hold a JSON object';
}

/** Of two members with one name the last one counts, as for every parser. */
const memberOf = (text: string, open: number, key: string): Child | undefined =>
  contentOf(text, open).children.findLast((child) => child.key === key);

/** The value at a path; undefined: there is none. */
function find(text: string, path: Path): Child | undefined {
  let at: Child | undefined = { key: undefined, from: 0, start: rootOf(text), end: text.length };
  for (const key of path) {
    if (at === undefined || text[at.start] !== '{') return undefined;
    at = memberOf(text, at.start, key);
  }
  return at;
}

const same = (text: string, { start, end }: Child, value: unknown): boolean =>
  canonicalJson(JSON.parse(text.slice(start, end))) === canonicalJson(value);

const nameOf = (path: Path): string => path.join('.');

/** Adds a member under a path, with the objects above it that are missing. */
export function addMember(text: string, path: Path, value: unknown): Addition {
  const there = find(text, path);
  if (there === undefined) return put(text, path, value);
  return same(text, there, value)
    ? { kind: 'there' }
    : { kind: 'taken', why: `"${nameOf(path)}" is there with other values` };
}

/** Adds an item to the end of the array at a path, with the array and the objects above it that are missing. */
export function addItem(text: string, path: Path, value: unknown): Addition {
  const array = find(text, path);
  if (array === undefined) {
    const added = put(text, path, [value]);
    return added.kind === 'added' ? { ...added, made: [...added.made, path] } : added;
  }
  if (text[array.start] !== '[') return { kind: 'taken', why: `"${nameOf(path)}" is not an array` };
  const content = contentOf(text, array.start);
  if (content.children.some((item) => same(text, item, value))) return { kind: 'there' };
  return { kind: 'added', insertion: append(text, content, undefined, value), made: [] };
}

function put(text: string, path: Path, value: unknown): Addition {
  let open = rootOf(text);
  for (const [depth, key] of path.entries()) {
    if (text[open] !== '{') return { kind: 'taken', why: `"${nameOf(path.slice(0, depth))}" is not an object` };
    const next = memberOf(text, open, key);
    if (next !== undefined) open = next.start;
    else {
      const inner = path.slice(depth + 1).reduceRight<unknown>((within, name) => ({ [name]: within }), value);
      const made = path.slice(depth, -1).map((_name, index) => path.slice(0, depth + index + 1));
      return { kind: 'added', insertion: append(text, contentOf(text, open), key, inner), made };
    }
  }
  throw new Error(`"${nameOf(path)}" is there already.`);
}

/** One more child at the end of an object or array, in the manner of what is there. */
function append(
  text: string,
  { open, close, children }: Container,
  key: string | undefined,
  value: unknown,
): Insertion {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
  const written = (indent: string | undefined): string => {
    const json = indent === undefined ? JSON.stringify(value) : JSON.stringify(value, undefined, unit);
    const lines = json.replaceAll('\n', `${eol}${indent ?? ''}`);
    return key === undefined ? lines : `${JSON.stringify(key)}:${indent === undefined ? '' : ' '}${lines}`;
  };
  const last = children.at(-1);
  if (last !== undefined) {
    const before = text.slice(children.at(-2)?.end ?? open, last.from);
    const indent = /\n([ \t]*)$/.exec(before)?.[1];
    return {
      at: last.end,
      text: indent === undefined ? `,${written(undefined)}` : `,${eol}${indent}${written(indent)}`,
    };
  }
  // An empty text has no manner yet; one that has all in one line keeps it.
  const oneLine = !text.trim().includes('\n') && text.slice(0, open).includes('{');
  if (oneLine) return { at: open + 1, text: written(undefined) };
  const outer = /(?:^|\n)\uFEFF?([ \t]*)[^\n]*$/.exec(text.slice(0, open))?.[1] ?? '';
  const closing = text.slice(open + 1, close).includes('\n') ? '' : `${eol}${outer}`;
  return { at: open + 1, text: `${eol}${outer}${unit}${written(`${outer}${unit}`)}${closing}` };
}

/** Takes a member out again, and the objects that were made for it, as far as nothing else is in them; undefined: it is not there as it was put. */
export function removeMember(text: string, path: Path, value: unknown, made: readonly Path[]): string | undefined {
  const member = find(text, path);
  if (member === undefined || !same(text, member, value)) return undefined;
  return prune(dropMember(text, path), made);
}

/** The same for an item of the array at a path. */
export function removeItem(text: string, path: Path, value: unknown, made: readonly Path[]): string | undefined {
  const array = find(text, path);
  if (array === undefined || text[array.start] !== '[') return undefined;
  const content = contentOf(text, array.start);
  const index = content.children.findIndex((item) => same(text, item, value));
  return index === -1 ? undefined : prune(drop(text, content, index), made);
}

function prune(text: string, made: readonly Path[]): string {
  let left = text;
  for (const path of made.toSorted((a, b) => b.length - a.length)) {
    const container = find(left, path);
    const empty = container !== undefined && /^(?:\{\s*\}|\[\s*\])$/.test(left.slice(container.start, container.end));
    if (empty) left = dropMember(left, path);
  }
  return left;
}

function dropMember(text: string, path: Path): string {
  const parent = find(text, path.slice(0, -1));
  if (parent === undefined) return text;
  const content = contentOf(text, parent.start);
  return drop(
    text,
    content,
    content.children.findLastIndex((child) => child.key === path.at(-1)),
  );
}

function drop(text: string, { open, close, children }: Container, index: number): string {
  const [before, child, after] = [children[index - 1], children[index], children[index + 1]];
  if (child === undefined) return text;
  if (before !== undefined) return text.slice(0, before.end) + text.slice(child.end);
  if (after !== undefined) return text.slice(0, child.from) + text.slice(after.from);
  return text.slice(0, open + 1) + text.slice(close);
}
