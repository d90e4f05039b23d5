/** What installing and taking back do to the text of one file. Pure: reads and writes nothing. */
import { sha256 } from '../../kernel/hash.ts';
import type { Entry, Target } from './entries.ts';
import { addItem, addMember, type Addition, type Insertion, notAnObject, removeItem, removeMember } from './json.ts';
import { addBlock, removeBlock } from './toml.ts';

/** An entry that was put into a file, with the objects made for it. */
interface Put {
  readonly entry: Entry;
  readonly made: readonly (readonly string[])[];
}

/** What was done to a file. While it still has this hash, undoing the insertions from the last to the first gives what it was. */
export interface FileRecord {
  readonly file: string;
  readonly created: boolean;
  /** Folders that were made for it, the outermost first. */
  readonly folders: readonly string[];
  readonly puts: readonly Put[];
  readonly insertions: readonly Insertion[];
  readonly after: string;
}

/** What a file becomes (null: there is none), and what was not done, with the reason. */
export interface Change {
  readonly text: string | null;
  readonly record: FileRecord | undefined;
  readonly left: readonly string[];
}

const contentHash = (text: string): string => sha256(text);

const apply = (text: string, { at, text: added }: Insertion): string => text.slice(0, at) + added + text.slice(at);

function isAsWritten(text: string, record: FileRecord): boolean {
  return contentHash(text) === record.after;
}

/** The text before the insertions. */
function before(text: string, record: FileRecord): string {
  return record.insertions.reduceRight(
    (left, { at, text: added }) => left.slice(0, at) + left.slice(at + added.length),
    text,
  );
}

function add(text: string, entry: Entry): Addition {
  switch (entry.kind) {
    case 'member':
      return addMember(text, entry.path, entry.value);
    case 'item':
      return addItem(text, entry.path, entry.value);
    case 'block':
      return addBlock(text, entry.text, entry.name);
    case 'whole':
      if (text === entry.text) return { kind: 'there' };
      if (text !== '') return { kind: 'taken', why: 'a file of that name is there' };
      return { kind: 'added', insertion: { at: 0, text: entry.text }, made: [] };
  }
}

/** The text without an entry; undefined: it is not there as it was put. */
function remove(text: string, { entry, made }: Put): string | undefined {
  switch (entry.kind) {
    case 'member':
      return removeMember(text, entry.path, entry.value, made);
    case 'item':
      return removeItem(text, entry.path, entry.value, made);
    case 'block':
      return removeBlock(text, entry.text);
    case 'whole':
      return text === entry.text ? '' : undefined;
  }
}

const isJson = (file: string): boolean => file.endsWith('.json');
const isBlank = (text: string): boolean => text.replace(/^\uFEFF/, '').trim() === '';

/** Puts the entries of a target into a file that holds `text` now. */
export function installed(target: Target, text: string | null, old: FileRecord | undefined): Change {
  const was = text === null ? undefined : old;
  if (text !== null && was !== undefined && !isAsWritten(text, was) && isComplete(target, text, was)) {
    return { text, record: was, left: [] };
  }
  const taken = text === null || was === undefined ? text : takenBack(text, was).text;
  const start = taken ?? '';
  if (isJson(target.file) && !isBlank(start)) {
    const why = notAnObject(start);
    if (why !== undefined) return { text, record: old, left: [why] };
  }
  const insertions: Insertion[] = [];
  const puts: Put[] = [];
  const left: string[] = [];
  let now = start;
  const insert = (insertion: Insertion): void => {
    insertions.push(insertion);
    now = apply(now, insertion);
  };
  for (const entry of target.entries) {
    if (isJson(target.file) && isBlank(now)) insert({ at: now.length, text: '{}\n' });
    const addition = add(now, entry);
    if (addition.kind === 'taken') left.push(addition.why);
    if (addition.kind !== 'added') continue;
    insert(addition.insertion);
    puts.push({ entry, made: addition.made });
  }
  if (puts.length === 0) return { text, record: undefined, left };
  const created = taken === null;
  const record = { file: target.file, created, folders: old?.folders ?? [], puts, insertions, after: contentHash(now) };
  return { text: now, record, left };
}

/** Whether all that should be in a file is in it, put there by us, though something else in it was changed. */
function isComplete({ entries }: Target, text: string, { puts }: FileRecord): boolean {
  const wanted = entries.map((entry) => JSON.stringify(entry));
  const ours = puts.filter((put) => remove(text, put) !== undefined).map(({ entry }) => JSON.stringify(entry));
  return wanted.length === ours.length && wanted.every((entry) => ours.includes(entry));
}

/** Takes back what was put into a file that holds `text` now. */
export function takenBack(text: string | null, record: FileRecord): Change {
  if (text === null) return { text, record: undefined, left: [] };
  if (isAsWritten(text, record))
    return { text: record.created ? null : before(text, record), record: undefined, left: [] };
  if (isJson(record.file)) {
    const why = isBlank(text) ? undefined : notAnObject(text);
    if (why !== undefined) return { text, record: undefined, left: [why] };
  }
  let now = text;
  const left: string[] = [];
  for (const put of record.puts) {
    const without = remove(now, put);
    if (without !== undefined) now = without;
    else if (mentions(now, put.entry)) left.push(`${named(put.entry)} was changed since`);
  }
  const empty = isBlank(now) || (isJson(record.file) && /^\{\s*\}$/.test(now.trim()));
  return { text: record.created && empty ? null : now, record: undefined, left };
}

function named(entry: Entry): string {
  switch (entry.kind) {
    case 'member':
    case 'item':
      return `"${entry.path.join('.')}"`;
    case 'block':
      return `"mcp_servers.${entry.name}"`;
    case 'whole':
      return 'it';
  }
}

/** Whether something is where an entry was put; if not, the user has taken it out. */
function mentions(text: string, entry: Entry): boolean {
  switch (entry.kind) {
    case 'member':
      return addMember(isBlank(text) ? '{}' : text, entry.path, entry.value).kind === 'taken';
    case 'item':
      return text.includes('maos');
    case 'block':
      return addBlock(text, entry.text, entry.name).kind === 'taken';
    case 'whole':
      return true;
  }
}
