import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlValue, Writer } from '../kernel/handler.ts';

/** More texts than the sources have; only SQL that is put together at run time can come near it. */
const cachedStatements = 1_000;

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

  constructor(path: string, options: { readonly readOnly: boolean }) {
    this.#database = new DatabaseSync(path, { readOnly: options.readOnly, timeout: 5000 });
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
