import { conflict, notFound } from './error.ts';
import type { Reader } from './handler.ts';

/** Where the ids of one sort of thing are found. The names come from code, never from a caller. */
export interface IdTable {
  readonly table: string;
  readonly column: string;
  /** What ids begin with, without the underscore: `task`. */
  readonly prefix: string;
  /** What a person calls it. */
  readonly what: string;
}

/** How many candidates an ambiguous beginning shows. */
const shown = 5;

/** The ids that `text` can mean: itself when it is one, else those it begins; at most six. */
export function matchIds(db: Reader, ids: IdTable, text: string): string[] {
  const bare = text.trim().toLowerCase();
  const start = bare.startsWith(`${ids.prefix}_`) ? bare : `${ids.prefix}_${bare}`;
  const sql = `SELECT ${ids.column} AS id FROM ${ids.table} WHERE ${ids.column} >= ? AND ${ids.column} < ? ORDER BY ${ids.column} LIMIT ${shown + 1}`;
  const found = db.all<{ id: string }>(sql, start, `${start}\u{10ffff}`).map(({ id }) => id);
  return found[0] === start ? [start] : found;
}

/** The one id that `text` means: a whole id or a unique beginning of one, with or without its prefix. */
export function resolveId(db: Reader, ids: IdTable, text: string): string {
  const [first, ...others] = matchIds(db, ids, text);
  if (first === undefined) {
    throw notFound(ids.what, text, `List them (maos ${ids.what} list) and use an id or the beginning of one.`);
  }
  if (others.length === 0) return first;
  const candidates = [first, ...others].slice(0, shown);
  const more = others.length >= shown ? ', …' : '';
  throw conflict(`"${text}" fits several of them (${ids.what}): ${candidates.join(', ')}${more}.`, {
    fix: 'Use more letters of the id.',
    details: { candidates },
  });
}
