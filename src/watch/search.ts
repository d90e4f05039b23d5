import type { Reader, SqlValue } from '../kernel/handler.ts';
import type { StoredRecord } from '../log/port.ts';

/** What of the log is wanted; all of it must fit. */
export interface Search {
  readonly stream?: string | undefined;
  readonly type?: string | undefined;
  readonly actor?: string | undefined;
  readonly operation?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly text?: string | undefined;
}

/** So many records are looked at before others may go on: about five milliseconds. */
const stretch = 20_000;

interface Where {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The end of the log now. */
export function headOf(db: Reader): number {
  return db.get<{ head: number | null }>('SELECT max(position) AS head FROM log')?.head ?? 0;
}

/**
 * Records after a position and up to `head` that fit, in order, in pages of at most `limit`. The log has no index by anything but
 * its position (it would cost a third of what can be written), so what is wanted is looked for record by record, in stretches between
 * which the server answers others.
 */
export async function* pages(
  db: Reader,
  search: Search,
  { after, head, limit }: { readonly after: number; readonly head: number; readonly limit: number },
): AsyncGenerator<StoredRecord[]> {
  const { sql, values } = whereOf(search);
  const text = `SELECT * FROM log WHERE position > ? AND position <= ?${sql} ORDER BY position LIMIT ?`;
  let from = after;
  while (from < head) {
    const to = Math.min(head, from + stretch);
    const found = db.all<StoredRecord>(text, from, to, ...values, limit);
    if (found.length > 0) yield found;
    from = found.length === limit ? (found.at(-1)?.position ?? to) : to;
    if (from < head) await breathe();
  }
}

function whereOf({ stream, type, actor, operation, since, until, text }: Search): Where {
  const parts: string[] = [];
  const values: SqlValue[] = [];
  const add = (sql: string, ...more: SqlValue[]): void => {
    parts.push(` AND ${sql}`);
    values.push(...more);
  };
  if (stream !== undefined) add('stream = ?', stream);
  if (type !== undefined) addPattern(add, 'type', type);
  // A refusal is written down by MAOS itself: who was refused, and what, stands in its data.
  const refused = (field: string): string => `(type = 'audit.refused' AND instr(data, ?) > 0) OR ${field}`;
  if (actor !== undefined) {
    const kind = actor.endsWith('*') ? actor.slice(0, -1) : undefined;
    const inData = `"actor":${kind === undefined ? JSON.stringify(actor) : JSON.stringify(kind).slice(0, -1)}`;
    if (kind === undefined) add(`(${refused('actor = ?')})`, inData, actor);
    else add(`(${refused('substr(actor, 1, length(?)) = ?')})`, inData, kind, kind);
  }
  if (operation !== undefined) {
    add(`(${refused('substr(cause, 1, length(?)) = ?')})`, JSON.stringify(operation), `${operation} `, `${operation} `);
  }
  if (since !== undefined) add('at >= ?', since);
  if (until !== undefined) add('at < ?', until);
  // The data is JSON: a quote or a line break in it is written with a backslash.
  if (text !== undefined) add('instr(lower(data), lower(?)) > 0', JSON.stringify(text).slice(1, -1));
  return { sql: parts.join(''), values };
}

function addPattern(add: (sql: string, ...values: SqlValue[]) => void, column: string, pattern: string): void {
  if (!pattern.endsWith('*')) add(`${column} = ?`, pattern);
  else add(`substr(${column}, 1, length(?)) = ?`, pattern.slice(0, -1), pattern.slice(0, -1));
}
