import type { Apply, View } from '../kernel/handler.ts';
import type { LogRecord } from '../kernel/event.ts';
import { sha256 } from '../kernel/hash.ts';
import type { Database } from './database.ts';
import type { StoredRecord } from './port.ts';
import { parseRecord, readLog } from './record.ts';

/** How many records are read at a time during a rebuild. */
const chunk = 5_000;

type Applies = ReadonlyMap<string, readonly Apply[]>;

/** What the tables of a view were made from. */
interface State {
  readonly name: string;
  readonly definition: string;
  readonly tables: readonly string[];
}

/**
 * All rooms' tables, kept equal to the log. Each apply runs in the transaction that appends its record, so a table is
 * never ahead of the log or behind it.
 */
export class Views {
  readonly #applies: Applies;
  readonly #views: readonly View[];

  constructor(views: readonly View[]) {
    this.#views = views;
    this.#applies = appliesOf(views);
    const owners = new Map<string, string>();
    for (const { name, tables } of views) {
      for (const table of tables) {
        if (owners.has(table))
          throw new Error(`The views "${owners.get(table)}" and "${name}" both make the table "${table}".`);
        owners.set(table, name);
      }
    }
  }

  /** Applies a record as it is stored, so that it is seen exactly as a rebuild will see it. */
  apply(database: Database, record: StoredRecord): void {
    applyTo(database, this.#applies, record);
  }

  /**
   * Makes the tables that are missing, rebuilds those whose definition changed since they were filled (all, or those
   * named, with `force`), and drops those of views that are no more. One transaction: a crash leaves the old tables.
   * Returns the names of what was rebuilt.
   */
  prepare(database: Database, options: { readonly force?: boolean | readonly string[] } = {}): string[] {
    const { force = false } = options;
    const states = new Map(readStates(database).map((state) => [state.name, state]));
    const stale = this.#views.filter(
      (view) =>
        force === true ||
        (force !== false && force.includes(view.name)) ||
        states.get(view.name)?.definition !== definition(view),
    );
    const gone = [...states.values()].filter((state) => !this.#views.some((view) => view.name === state.name));
    if (stale.length === 0 && gone.length === 0) return [];
    database.forgetStatements();
    // A rebuild visits all tables at random; what it cannot hold in memory it would write and read again and again.
    database.exec('PRAGMA cache_size = -256000');
    try {
      database.transaction(() => {
        for (const state of gone) forget(database, state);
        for (const view of stale) dropTables(database, [...(states.get(view.name)?.tables ?? []), ...view.tables]);
        for (const view of stale) create(database, view);
        replay(database, appliesOf(stale));
      });
    } finally {
      database.exec('PRAGMA cache_size = -16000; PRAGMA shrink_memory;');
    }
    return stale.map((view) => view.name);
  }
}

function appliesOf(views: readonly View[]): Applies {
  const applies = new Map<string, Apply[]>();
  for (const apply of views.flatMap((view) => view.applies)) {
    const same = applies.get(apply.type);
    if (same === undefined) applies.set(apply.type, [apply]);
    else same.push(apply);
  }
  return applies;
}

function applyTo(database: Database, applies: Applies, stored: StoredRecord): void {
  const run = applies.get(stored.type);
  if (run === undefined) return;
  // `on` paired each function with the definition that names the type, so the data has the shape it expects.
  // oxlint-disable-next-line typescript/consistent-type-assertions
  const record = parseRecord(stored, database.payloads) as LogRecord<never>;
  for (const apply of run) apply.run(database, record);
}

// What is left out: comments and layout, so that sources and the compiled package have the same definition. What is kept
// as it is: the texts of strings.
const insignificant = /\/\/[^\n]*|\/\*[^]*?\*\/|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\s+/g;

function codeOf(text: string): string {
  return text.replaceAll(insignificant, (_all, literal: string | undefined) =>
    literal === undefined ? '' : /^"[^'"]*"$/.test(literal) ? `'${literal.slice(1, -1)}'` : literal,
  );
}

/**
 * Changes whenever the SQL or an apply function changes; layout and comments do not count. What an apply function calls
 * or captures is not seen: raise the view's `version` when that changes.
 */
export function definition(view: View): string {
  const applies = view.applies.map((apply) => `${apply.type}=${codeOf(apply.run.toString())}`);
  return sha256([view.schema.replaceAll(/\s+/g, ' ').trim(), ...applies, String(view.version ?? 1)].join('\n'));
}

function readStates(database: Database): State[] {
  const rows = database.all<{ name: string; definition: string; tables: string }>(
    'SELECT name, definition, tables FROM view_state',
  );
  return rows.map((row) => ({ ...row, tables: JSON.parse(row.tables) }));
}

function forget(database: Database, { name, tables }: State): void {
  dropTables(database, tables);
  database.run('DELETE FROM view_state WHERE name = ?', name);
}

function dropTables(database: Database, tables: readonly string[]): void {
  for (const table of tables) database.exec(`DROP TABLE IF EXISTS "${table}"`);
}

/** Makes a view's tables; refuses a table that is not listed, because nothing would drop it before the next rebuild. */
function create(database: Database, view: View): void {
  const before = tableNames(database);
  database.exec(view.schema);
  const made = tableNames(database).difference(before);
  const wrong = [...made.symmetricDifference(new Set(view.tables))];
  if (wrong.length > 0)
    throw new Error(
      `The view "${view.name}" must list exactly the tables that its schema makes; see ${wrong.join(', ')}.`,
    );
  database.run(
    'INSERT OR REPLACE INTO view_state VALUES (?, ?, ?)',
    view.name,
    definition(view),
    JSON.stringify(view.tables),
  );
}

function tableNames(database: Database): Set<string> {
  const rows = database.all<{ name: string }>(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite_%'",
  );
  return new Set(rows.map((row) => row.name));
}

function replay(database: Database, applies: Applies): void {
  for (let position = 0; ;) {
    const records = readLog(database, position, chunk);
    for (const record of records) {
      try {
        applyTo(database, applies, record);
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(
          `The views cannot be computed: record ${record.position} (${record.type} of ${record.stream}): ${reason}`,
          { cause },
        );
      }
    }
    const last = records.at(-1);
    if (last === undefined || records.length < chunk) return;
    position = last.position;
  }
}
