/** A small room that the tests of the log write with. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { Actor } from '../kernel/actor.ts';
import { conflict } from '../kernel/error.ts';
import { event } from '../kernel/event.ts';
import { command, type Handler, on, query, type View } from '../kernel/handler.ts';
import { seededIds } from '../kernel/id.ts';
import { operation } from '../kernel/operation.ts';
import { idempotencyView } from './idempotency.ts';
import { type CommandCall, type CommandResult, Pipeline, type PipelineOptions } from './pipeline.ts';
import type { Sealed } from './payload.ts';
import { SqliteLog } from './sqlite.ts';
import { Views } from './views.ts';

export const itemAdded = event('item.added', () =>
  z.strictObject({ title: z.string(), weight: z.number().optional() }),
);
const itemRenamed = event('item.renamed', () => z.strictObject({ title: z.string() }));
const itemRemoved = event('item.removed', () => z.strictObject({}));

export const itemView: View = {
  name: 'item',
  tables: ['item', 'item_title'],
  schema: `
    CREATE TABLE item (id TEXT PRIMARY KEY, title TEXT NOT NULL, weight REAL, renames INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE INDEX item_weight ON item (weight);
    CREATE TABLE item_title (title TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (title, id)) STRICT, WITHOUT ROWID;
  `,
  applies: [
    on(itemAdded, (db, { stream, data, at }) => {
      db.run(
        'INSERT OR REPLACE INTO item VALUES (?, ?, ?, 0, ?)',
        stream,
        data.title,
        'weight' in data ? (data.weight ?? -1) : null,
        at,
      );
      db.run('INSERT OR IGNORE INTO item_title VALUES (?, ?)', data.title, stream);
    }),
    on(itemRenamed, (db, { stream, data }) => {
      db.run('UPDATE item SET title = ?, renames = renames + 1 WHERE id = ?', data.title, stream);
      db.run('INSERT OR IGNORE INTO item_title VALUES (?, ?)', data.title, stream);
    }),
    on(itemRemoved, (db, { stream }) => db.run('DELETE FROM item WHERE id = ?', stream)),
  ],
};

const spec = { summary: 'For the tests.', effect: 'write', scope: 'item:write', route: 'POST /items' } as const;
const titled = z.strictObject({ title: z.string() });
const ided = z.strictObject({ id: z.string() });

export const addItem = operation({ ...spec, name: 'item.add', input: () => titled, output: () => ided });
export const addAndFail = operation({ ...spec, name: 'item.addAndFail', input: () => titled, output: () => ided });
export const addTwo = operation({
  ...spec,
  name: 'item.addTwo',
  input: () => titled,
  output: () => z.strictObject({ id: z.string(), failed: z.boolean() }),
});
export const countItems = operation({
  ...spec,
  name: 'item.count',
  effect: 'read',
  input: () => z.strictObject({}),
  output: () => z.number(),
});
export const touchItem = operation({
  ...spec,
  name: 'item.touch',
  input: () => z.strictObject({}),
  output: () => z.undefined(),
});

export const itemHandlers: readonly Handler[] = [
  command(addItem, (ctx, { title }) => {
    const id = ctx.newId('item');
    ctx.emit(itemAdded, id, { title });
    return { id };
  }),
  command(addAndFail, (ctx, { title }) => {
    ctx.emit(itemAdded, ctx.newId('item'), { title });
    ctx.emit(itemAdded, ctx.newId('item'), { title });
    throw conflict('It was decided to fail.', { fix: 'Do not call it.' });
  }),
  // Adds one before, and one after, an inner command that fails and is caught.
  command(addTwo, (ctx, { title }) => {
    const { id } = ctx.call(addItem, { title: `${title} before` });
    let failed = false;
    try {
      ctx.call(addAndFail, { title: `${title} inner` });
    } catch {
      failed = true;
    }
    ctx.emit(itemRenamed, id, { title: `${title} after ${ctx.call(countItems, {})}` });
    return { id, failed };
  }),
  query(countItems, (ctx) => ctx.db.get<{ n: number }>('SELECT count(*) AS n FROM item')?.n ?? 0),
  command(touchItem, (ctx) => {
    ctx.emit(itemRemoved, 'item_none', {});
    return undefined;
  }),
];

export const alice: Actor = { kind: 'user', id: 'alice' };
export const bob: Actor = { kind: 'user', id: 'bob' };

let calls = 0;

/** A call of one of the sample's operations. */
export function call(op: { readonly name: string }, input: unknown, more: Partial<CommandCall> = {}): CommandCall {
  calls += 1;
  return { operation: op.name, input, actor: alice, call: `call_${calls}`, trace: `call_${calls}`, ...more };
}

/** A folder for one test, and how to remove it. */
export function temporaryFolder(): { folder: string; remove: () => void } {
  mkdirSync(tmpdir(), { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'maos-log-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface Sample {
  readonly path: string;
  readonly log: SqliteLog;
  readonly views: Views;
  readonly pipeline: Pipeline;
  readonly rebuilt: readonly string[];
  /** Carries out one call in a transaction of its own. */
  one(op: { readonly name: string }, input: unknown, more?: Partial<CommandCall>): CommandResult;
}

/** Opens the sample's log in a folder, as the product does. */
export function openSample(
  folder: string,
  options: Partial<PipelineOptions> & { views?: Views; sealed?: Sealed } = {},
): Sample {
  const path = join(folder, 'maos.db');
  const log = new SqliteLog(path, options.sealed);
  const views = options.views ?? new Views([idempotencyView, itemView]);
  const rebuilt = views.prepare(log.database);
  let now = 1_700_000_000_000;
  const pipeline = new Pipeline({
    handlers: itemHandlers,
    now: () => (now += 1),
    newId: seededIds(log.head().position + 7),
    ...options,
    log,
    views,
  });
  const one: Sample['one'] = (op, input, more) => {
    const [result] = pipeline.submit([call(op, input, more)]);
    if (result === undefined) throw new Error('The pipeline gave no result.');
    return result;
  };
  return { path, log, views, pipeline, rebuilt, one };
}
