import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlValue, Writer } from '../kernel/handler.ts';

/** More texts than the sources have; only SQL that is put together at run time can come near it. */
const cachedStatements = 1_000;

/**
 * One SQLite connection with its prepared statements. Statements are cached by their text, so every call site can
 * write its SQL in place.
 */
export class Database implements Writer {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, options: { readonly readOnly: boolean }) {
    this.#database = new DatabaseSync(path, { readOnly: options.readOnly, timeout: 5000 });
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      if (this.#statements.size >= cachedStatements) this.#statements.clear();
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  get<Row extends object>(sql: string, ...values: SqlValue[]): Row | undefined {
    // The row type is declared beside the SQL that selects it; SQLite cannot know it.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  all<Row extends object>(sql: string, ...values: SqlValue[]): Row[] {
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return this.#statement(sql).all(...values) as unknown as Row[];
  }

  run(sql: string, ...values: SqlValue[]): void {
    this.#statement(sql).run(...values);
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
