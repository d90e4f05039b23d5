/** Whether views that were kept up to date command by command are the ones that the log gives when it is replayed. */
import type { View } from '../kernel/handler.ts';
import type { Database } from './database.ts';
import { Views } from './views.ts';

/** All rows of a view's tables, each table in the order in which SQLite keeps it, as text that can be compared. */
export function dumpTables(database: Database, view: View): Record<string, string[]> {
  return Object.fromEntries(view.tables.map((table) => [table, dumpTable(database, table)]));
}

function dumpTable(database: Database, table: string): string[] {
  const keyed =
    database.get<{ wr: number }>("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", table)?.wr ===
    1;
  // The row id counts as well: rows that are listed without an order come in its order.
  const rows = database.all<Record<string, unknown>>(
    keyed ? `SELECT * FROM "${table}"` : `SELECT rowid AS "rowid:", * FROM "${table}" ORDER BY rowid`,
  );
  return rows.map((row) =>
    JSON.stringify(row, (_key, value: unknown) => {
      if (typeof value === 'bigint') return `${value}n`;
      return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
    }),
  );
}

/**
 * Rebuilds every view by itself and then all together, through the writer's connection, and names each table that
 * became different; empty when a rebuild gives the same tables, row for row. A view that reads another view's tables
 * in an `apply` is found by the first step.
 */
export function rebuildDifferences(database: Database, views: readonly View[]): string[] {
  const all = new Views(views);
  const before = views.map((view) => dumpTables(database, view));
  const differences = (how: string): string[] =>
    views.flatMap((view, index) => compare(how, before[index] ?? {}, dumpTables(database, view)));
  const alone = views.flatMap((view) => {
    all.prepare(database, { force: [view.name] });
    return differences(`${view.name} rebuilt by itself`);
  });
  all.prepare(database, { force: true });
  return [...alone, ...differences('all rebuilt')];
}

function compare(how: string, before: Record<string, string[]>, after: Record<string, string[]>): string[] {
  return Object.entries(before).flatMap(([table, rows]) => {
    const now = after[table] ?? [];
    const at = Array.from({ length: Math.max(rows.length, now.length) }, (_, index) => index).find(
      (index) => rows[index] !== now[index],
    );
    return at === undefined
      ? []
      : [`${how}: ${table} row ${at + 1}: ${rows[at] ?? 'nothing'} became ${now[at] ?? 'nothing'}`];
  });
}
