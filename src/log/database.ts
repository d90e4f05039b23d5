import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import type { SqlValue, Writer } from '../kernel/handler.ts';
import { type Payloads, plainPayloads, type Sealed } from './payload.ts';

/** More texts than the sources have; only SQL that is put together at run time can come near it. */
const cachedStatements = 1_000;

/** A file, named to a connection whose own database is in memory: without this it would take the name for one in memory too. */
export function fileUri(path: string): string {
  return `file:${pathToFileURL(path).pathname}?vfs=unix`;
}

/** A prepared statement, and what makes an object of a row that it gives. */
interface Prepared {
  readonly statement: StatementSync;
  readonly shape: (row: unknown) => unknown;
}

/**
 * SQLite's binding makes rows that are dictionaries without a shape: making one and reading it again costs two to three times
 * as much as an array and an object literal. So rows come as arrays, and a function with the columns' names makes the objects. Not for
 * `SELECT *`, whose columns change under the statement when a view is made anew.
 */
function prepare(database: DatabaseSync, sql: string): Prepared {
  const statement = database.prepare(sql);
  const columns = sql.includes('*')
    ? []
    : statement.columns().map(({ name }, index) => `${JSON.stringify(name)}:row[${index}]`);
  if (columns.length === 0) return { statement, shape: (row) => row };
  statement.setReturnArrays(true);
  // oxlint-disable-next-line typescript/consistent-type-assertions, typescript/no-implied-eval
  return { statement, shape: new Function('row', `return {${columns.join(',')}}`) as Prepared['shape'] };
}

/**
 * One SQLite connection with its prepared statements. Statements are cached by their text, so every call site can
 * write its SQL in place.
 */
export class Database implements Writer {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();

  /** How the data of records stands in the log of this database. */
  readonly payloads: Payloads;
  /** Under which name SQLite knows the log's file: `main`, or `store` when the views are elsewhere. */
  readonly schema: 'main' | 'store';

  constructor(path: string, options: { readonly readOnly: boolean; readonly sealed?: Sealed }) {
    const { readOnly, sealed } = options;
    this.payloads = sealed?.payloads ?? plainPayloads;
    this.schema = sealed === undefined ? 'main' : 'store';
    this.#database = new DatabaseSync(sealed === undefined ? path : `file:/${sealed.views}?vfs=memdb`, {
      readOnly,
      timeout: 5000,
    });
    if (sealed === undefined) return;
    this.#database.prepare('ATTACH ? AS store').run(`${fileUri(path)}&mode=${readOnly ? 'ro' : 'rw'}`);
    // Whoever looks for something in the log finds it opened; what writes and verifies says `store.log`.
    this.#database.function('opened', (position, stream, type, data) =>
      this.payloads.open({
        position: Number(position),
        stream: String(stream),
        type: String(type),
        data: String(data),
      }),
    );
    this.#database.exec(`CREATE TEMP VIEW log AS SELECT position, at, actor, stream, type, version,
      opened(position, stream, type, data) AS data, cause, trace, previous, hash FROM store.log`);
  }

  #prepared(sql: string): Prepared {
    let prepared = this.#statements.get(sql);
    if (prepared === undefined) {
      prepared = prepare(this.#database, sql);
      if (this.#statements.size >= cachedStatements) this.#statements.clear();
      this.#statements.set(sql, prepared);
    }
    return prepared;
  }

  get<Row extends object>(sql: string, ...values: SqlValue[]): Row | undefined {
    // The row type is declared beside the SQL that selects it; SQLite cannot know it.
    const { statement, shape } = this.#prepared(sql);
    const row = statement.get(...values);
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return row === undefined ? undefined : (shape(row) as Row);
  }

  all<Row extends object>(sql: string, ...values: SqlValue[]): Row[] {
    const { statement, shape } = this.#prepared(sql);
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return statement.all(...values).map(shape) as Row[];
  }

  run(sql: string, ...values: SqlValue[]): void {
    this.#prepared(sql).statement.run(...values);
  }

  /** Runs several statements without parameters. Cached statements stay valid: SQLite prepares them again by itself. */
  exec(sql: string): void {
    this.#database.exec(sql);
  }

  /** Forgets cached statements: needed before tables are dropped. */
  forgetStatements(): void {
    this.#statements.clear();
  }

  /** Runs `body` in a transaction of its own: all of it or nothing. */
  transaction<T>(body: () => T): T {
    this.run('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.run('COMMIT');
      return result;
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.inTransaction) this.run('ROLLBACK');
      throw error;
    }
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }
}
