import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Actor } from '../kernel/actor.ts';
import { ManualClock } from '../kernel/clock.ts';
import { AppError, type ErrorData, errorFrom } from '../kernel/error.ts';
import type { Handler, View } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import type { InputOf, Operation, OutputOf } from '../kernel/operation.ts';
import type { Database } from '../log/database.ts';
import { Pipeline } from '../log/pipeline.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { Views } from '../log/views.ts';

/** A real core in a folder of its own: log, views and pipeline, with a clock that the test moves. */
export interface TestCore {
  readonly clock: ManualClock;
  readonly database: Database;
  readonly pipeline: Pipeline;
  /** Parses the input, carries the operation out and checks its output; throws its refusal. */
  call<Op extends Operation>(operation: Op, input: InputOf<Op>): OutputOf<Op>;
  /** As `call`, for an operation that must refuse: gives the refusal. */
  refusal<Op extends Operation>(operation: Op, input: InputOf<Op>): ErrorData;
  /** Every row of the views' tables, in a fixed order. */
  dump(): Record<string, object[]>;
  /** Computes all views again from the log. */
  rebuild(): void;
  close(): void;
}

export function openTestCore(views: readonly View[], handlers: readonly Handler[]): TestCore {
  const folder = mkdtempSync(join(tmpdir(), 'maos-core-'));
  const log = new SqliteLog(join(folder, 'maos.db'));
  // A test does not outlive a power cut, and thousands of fsyncs would be most of its time.
  log.database.exec('PRAGMA synchronous = OFF');
  const prepared = new Views(views);
  prepared.prepare(log.database);
  const clock = new ManualClock();
  const pipeline = new Pipeline({ log, views: prepared, handlers, now: () => clock.now(), newId });
  const actor: Actor = { kind: 'system', id: 'test' };
  const call = <Op extends Operation>(operation: Op, input: InputOf<Op>): OutputOf<Op> => {
    const parsed: unknown = operation.input.parse(input);
    const [result] = pipeline.submit([
      { operation: operation.name, input: parsed, actor, call: 'call_1', trace: 'trace_1' },
    ]);
    if (result === undefined) throw new Error('The pipeline gave no result.');
    if (!result.ok) throw errorFrom(result.error);
    // The operation's own schema has just parsed it.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return operation.output.parse(result.output) as OutputOf<Op>;
  };
  return {
    clock,
    database: log.database,
    pipeline,
    call,
    refusal(operation, input) {
      try {
        call(operation, input);
      } catch (error) {
        if (error instanceof AppError) return { code: error.code, message: error.message, fix: error.fix ?? '' };
        throw error;
      }
      throw new Error(`${operation.name} did not refuse.`);
    },
    dump: () =>
      Object.fromEntries(
        views
          .flatMap((view) => view.tables)
          .map((table) => [table, log.database.all(`SELECT * FROM ${table} ORDER BY 1, 2`)]),
      ),
    rebuild: () => void prepared.prepare(log.database, { force: true }),
    close() {
      log.close();
      rmSync(folder, { recursive: true });
    },
  };
}
