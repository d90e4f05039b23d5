import { columnsOf } from './columns.ts';
import { money, relative, span } from './moment.ts';
import { tableLines, type Column } from './table.ts';
import type { Style, Terminal } from './terminal.ts';
import { clean, oneLine, wrap } from './text.ts';

type Values = Readonly<Record<string, unknown>>;

/** An operation's answer for a person. */
export function showLines(noun: string, value: unknown, terminal: Terminal, now: number): string[] {
  if (Array.isArray(value)) return listLines(noun, value, terminal, now);
  if (!isValues(value)) return [plain(value)];
  const [list, ...others] = Object.entries(value).filter(([, inner]) => isTable(inner));
  const texts = Object.values(value).filter((inner) => typeof inner === 'string' && inner.includes('\n'));
  if (list === undefined || others.length > 0 || texts.length > 0) return detailLines(value, terminal, now);
  const [name, rows] = list;
  const rest = Object.fromEntries(Object.entries(value).filter(([key]) => key !== name && key !== 'next'));
  const next = value['next'];
  const more = typeof next === 'string' ? ['', `There are more: add --cursor ${next}`] : [];
  if (Object.keys(rest).length > 0 && Array.isArray(rows) && rows.length === 0)
    return [...detailLines({ ...rest, [name]: 'none' }, terminal, now), ...more];
  const about = Object.keys(rest).length === 0 ? [] : [...detailLines(rest, terminal, now), ''];
  return [...about, ...listLines(noun, Array.isArray(rows) ? rows : [], terminal, now), ...more];
}

/** Objects as a table, other values a line each. */
function listLines(noun: string, list: readonly unknown[], terminal: Terminal, now: number): string[] {
  const rows = list.filter(isValues);
  if (rows.length === 0) return list.length === 0 ? ['Nothing.'] : list.map(plain);
  const keys = columnsOf(noun, rows);
  const short = terminal.interactive ? shortIds(rows) : new Map<string, string>();
  const columns: Column[] = keys.map((key) => ({
    title: spaced(key).toUpperCase(),
    ...(rows.some((row) => typeof row[key] === 'number') && !isMoment(key) ? { side: 'right' as const } : {}),
    ...(key === 'state' || key === 'severity' ? { style: stateStyle } : {}),
    ...(key === 'id' || key === 'state' || isMoment(key) ? { solid: true } : {}),
  }));
  const cells = rows.map((row) =>
    keys.map((key) => {
      const text = cell(key, row[key], terminal, now);
      return short.get(text) ?? text;
    }),
  );
  return tableLines(columns, cells, terminal.width(), terminal.style);
}

/** A thing's fields, one below the other; texts of several lines stand at the end. */
function detailLines(value: Values, terminal: Terminal, now: number): string[] {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const blocks = entries.filter(([, inner]) => isBlock(inner));
  const simple = entries.filter(([, inner]) => !isBlock(inner));
  const indent = Math.max(0, ...simple.map(([key]) => spaced(key).length)) + 2;
  const room = Math.max(20, terminal.width() - indent);
  const lines = simple.flatMap(([key, inner]) => {
    const text = cell(key, inner, terminal, now);
    const [first = '', ...others] = wrap(text, room);
    const name = terminal.style('dim', spaced(key).padEnd(indent));
    const shown = terminal.style(key === 'state' ? stateStyle(text) : undefined, first);
    return [`${name}${shown}`.trimEnd(), ...others.map((line) => ' '.repeat(indent) + line)];
  });
  return [...lines, ...blocks.flatMap(([key, inner]) => block(key, inner, terminal, now))];
}

function block(key: string, value: unknown, terminal: Terminal, now: number): string[] {
  const title = ['', terminal.style('bold', spaced(key))];
  if (typeof value === 'string') return [...title, ...clean(value).trimEnd().split('\n')];
  const narrow: Terminal = { ...terminal, width: () => terminal.width() - 2 };
  const inner = isValues(value) ? detailLines(value, narrow, now) : showLines(key, value, narrow, now);
  return [...title, ...inner.map((line) => `  ${line}`.trimEnd())];
}

function isBlock(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\n');
  if (isTable(value)) return Array.isArray(value) && value.length > 0;
  return isValues(value) && Object.values(value).some((inner) => typeof inner === 'object' && inner !== null);
}

/** A list of things; an empty list may be one. */
function isTable(value: unknown): boolean {
  return Array.isArray(value) && value.every(isValues);
}

/** A value on one line. What it means is told by its name: `createdAt` is a time, `timeoutMs` a length of time. */
function cell(key: string, value: unknown, terminal: Terminal, now: number): string {
  if (typeof value === 'number') {
    if (isMoment(key)) return terminal.interactive ? relative(value, now) : new Date(value).toISOString();
    if (key === 'ms' || key.endsWith('Ms')) return span(value);
    return key.endsWith('Usd') ? money(value) : String(value);
  }
  return plain(value);
}

function plain(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'string') return oneLine(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(plain).join(', ');
  if (!isValues(value)) return oneLine(JSON.stringify(value) ?? '');
  const entries = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return entries.length === 0 ? '-' : entries.map(([key, inner]) => `${key}=${plain(inner)}`).join(' ');
}

function isMoment(key: string): boolean {
  return /^(?:at|since|until|notBefore)$|[a-z]At$/.test(key);
}

/** `createdAt` → `created`, `costUsd` → `cost`, `maxConcurrentTasks` → `max concurrent tasks` */
function spaced(key: string): string {
  return key.replace(/(?<=[a-z])(?:At|Usd|Ms)$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

const good = new Set(['done', 'succeeded', 'landed', 'ready', 'ok']);
const bad = new Set(['failed', 'rejected', 'conflict', 'problem']);
const busy = new Set(['running', 'claimed', 'starting', 'working']);
const open = new Set(['waiting', 'paused', 'notice', 'delayed', 'stopping']);

/** The colour of a state. */
export function stateStyle(state: string): Style | undefined {
  if (good.has(state)) return 'green';
  if (bad.has(state)) return 'red';
  if (busy.has(state)) return 'cyan';
  return open.has(state) ? 'yellow' : undefined;
}

const idPattern = /^[a-z]+_[0-9a-hjkmnp-tv-z]{12}$/;
const fewest = 4;

/** Every id in these rows with as few letters as tell it from the others that begin like it. */
function shortIds(rows: readonly Values[]): ReadonlyMap<string, string> {
  const ids = new Set(
    rows.flatMap((row) =>
      Object.values(row)
        .filter((value) => typeof value === 'string')
        .filter((value) => idPattern.test(value)),
    ),
  );
  const length = (letters: number): boolean =>
    new Set([...ids].map((id) => id.slice(0, id.indexOf('_') + 1 + letters))).size === ids.size;
  let letters = fewest;
  while (letters < 12 && !length(letters)) letters += 1;
  return new Map([...ids].map((id) => [id, id.slice(0, id.indexOf('_') + 1 + letters)]));
}

function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
