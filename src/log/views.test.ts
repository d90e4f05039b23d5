import fc from 'fast-check';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { on, type View } from '../kernel/handler.ts';
import { idempotencyView } from './idempotency.ts';
import { openReader } from './open.ts';
import { chain } from './record.ts';
import { dumpTables, rebuildDifferences } from './rebuild-equality.fixture.ts';
import {
  addAndFail,
  addItem,
  addTwo,
  alice,
  bob,
  call,
  itemAdded,
  itemView,
  openSample,
  temporaryFolder,
} from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';
import { definition, Views } from './views.ts';

let place: ReturnType<typeof temporaryFolder>;
beforeEach(() => (place = temporaryFolder()));
afterEach(() => place.remove());

const seed = Number(process.env['MAOS_TEST_SEED'] ?? 20_261);

/** Appends events that no command would make in this order. */
function append(log: SqliteLog, views: Views, type: string, stream: string, data: object): void {
  const draft = {
    at: 1,
    actor: 'user:alice',
    stream,
    type,
    version: 1,
    data: JSON.stringify(data),
    cause: 'call_1',
    trace: 'call_1',
  };
  const record = chain(log.head(), draft);
  log.append(log.head().position, [record]);
  views.apply(log.database, record);
}

describe('a rebuild', () => {
  it('gives the same tables, row for row, after any commands', () => {
    const title = fc.string({ maxLength: 8 });
    const key = fc.option(fc.constantFrom('k1', 'k2'), { nil: undefined });
    const move = fc.record({
      op: fc.constantFrom(addItem, addAndFail, addTwo),
      title,
      key,
      actor: fc.constantFrom(alice, bob),
    });
    fc.assert(
      fc.property(fc.array(fc.array(move, { minLength: 1, maxLength: 6 }), { maxLength: 12 }), (batches) => {
        const { folder, remove } = temporaryFolder();
        const sample = openSample(folder);
        try {
          for (const batch of batches) {
            sample.pipeline.submit(
              batch.map((item) =>
                call(
                  item.op,
                  { title: item.title },
                  { actor: item.actor, ...(item.key === undefined ? {} : { key: item.key }) },
                ),
              ),
            );
          }
          expect(rebuildDifferences(sample.log.database, [idempotencyView, itemView])).toEqual([]);
        } finally {
          sample.log.close();
          remove();
        }
      }),
      { seed, numRuns: 25 },
    );
  });

  it('gives the same tables, row for row, after any events', () => {
    const stream = fc.constantFrom('item_1', 'item_2', 'item_3');
    const event = fc.oneof(
      fc.record({
        type: fc.constant('item.added'),
        stream,
        data: fc.record({ title: fc.string(), weight: fc.double({ noNaN: true }) }, { requiredKeys: ['title'] }),
      }),
      fc.record({ type: fc.constant('item.renamed'), stream, data: fc.record({ title: fc.string() }) }),
      fc.record({ type: fc.constant('item.removed'), stream, data: fc.constant({}) }),
      fc.record({ type: fc.constant('other.happened'), stream, data: fc.constant({}) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const { folder, remove } = temporaryFolder();
        const { log, views } = openSample(folder);
        try {
          for (const { type, stream: id, data } of events) append(log, views, type, id, data);
          expect(rebuildDifferences(log.database, [idempotencyView, itemView])).toEqual([]);
        } finally {
          log.close();
          remove();
        }
      }),
      { seed, numRuns: 25 },
    );
  });

  it('is found out when it gives other rows', () => {
    let luck = 0;
    const random: View = {
      name: 'random',
      tables: ['random'],
      schema: 'CREATE TABLE random (id TEXT NOT NULL, luck INTEGER NOT NULL) STRICT;',
      applies: [on(itemAdded, (db, { stream }) => db.run('INSERT INTO random VALUES (?, ?)', stream, (luck += 1)))],
    };
    const views = new Views([idempotencyView, itemView, random]);
    const sample = openSample(place.folder, { views });
    sample.one(addItem, { title: 'a' });
    expect(rebuildDifferences(sample.log.database, [itemView, random])[0]).toMatch(
      /^random rebuilt by itself: random row 1: .*"luck":1.* became .*"luck":2/,
    );
    sample.log.close();
  });

  it('names the record that a view cannot apply, and leaves the old tables', () => {
    const sample = openSample(place.folder);
    sample.one(addItem, { title: 'a' });
    const picky: View = {
      ...itemView,
      version: 2,
      applies: [on(itemAdded, (db) => db.run('INSERT INTO item (id) VALUES (?)', 'x'))],
    };
    expect(() => new Views([idempotencyView, picky]).prepare(sample.log.database)).toThrow(
      /record 1 \(item\.added of item_.*NOT NULL/,
    );
    expect(dumpTables(sample.log.database, itemView)['item']).toHaveLength(1);
    expect(sample.log.database.inTransaction).toBe(false);
    sample.log.close();
  });
});

describe('at start', () => {
  const start = (...views: View[]): string[] => {
    const log = new SqliteLog(join(place.folder, 'maos.db'));
    try {
      return new Views(views).prepare(log.database);
    } finally {
      log.close();
    }
  };

  it('rebuilds a view whose SQL, functions or version changed, and nothing else', () => {
    expect(start(idempotencyView, itemView)).toEqual(['idempotency', 'item']);
    expect(start(idempotencyView, itemView)).toEqual([]);
    expect(
      start(idempotencyView, { ...itemView, schema: `${itemView.schema} CREATE INDEX item_at ON item (at);` }),
    ).toEqual(['item']);
    expect(start(idempotencyView, { ...itemView, applies: itemView.applies.slice(1) })).toEqual(['item']);
    expect(start(idempotencyView, { ...itemView, version: 2 })).toEqual(['item']);
    expect(start(idempotencyView, { ...itemView, version: 2 })).toEqual([]);
  });

  it('does not mind layout, comments and quotes, but the texts of strings', () => {
    const of = (code: string): string => {
      const run: () => void = () => undefined;
      run.toString = () => code;
      return definition({ name: 'x', tables: [], schema: '', applies: [{ type: 'x', run }] });
    };
    const base = of(`(db, { data }) => db.run('INSERT', data.list.join(' '), 1)`);
    expect(of(`(db, { data }) =>\n  // don't mind\n  db.run("INSERT", /* it's fine */ data.list.join(" "), 1)`)).toBe(
      base,
    );
    expect(of(`(db, { data }) => db.run('INSERT', data.list.join(''), 1)`)).not.toBe(base);
    expect(of(`(db, { data }) => db.run('INSERT', data.list.join(' '), 2)`)).not.toBe(base);
  });

  it('drops tables that a view no longer has, and those of a view that is gone', () => {
    const two: View = {
      name: 'two',
      tables: ['two_a', 'two_b'],
      schema: 'CREATE TABLE two_a (x); CREATE TABLE two_b (x);',
      applies: [],
    };
    start(itemView, two);
    start(itemView, { ...two, tables: ['two_a'], schema: 'CREATE TABLE two_a (x);' });
    const log = new SqliteLog(join(place.folder, 'maos.db'));
    const tables = (): unknown[] =>
      log.database
        .all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'two%'")
        .map((row) => row.name);
    expect(tables()).toEqual(['two_a']);
    log.close();
    start(itemView);
    const again = new SqliteLog(join(place.folder, 'maos.db'));
    expect(again.database.all("SELECT 1 FROM sqlite_master WHERE name LIKE 'two%'")).toEqual([]);
    again.close();
  });

  it('moves a table from one view to another', () => {
    const table = 'CREATE TABLE shared (x INTEGER) STRICT;';
    start({ name: 'one', tables: ['shared'], schema: table, applies: [] });
    expect(start({ name: 'two', tables: ['shared'], schema: table, applies: [] })).toEqual(['two']);
    expect(start({ name: 'two', tables: ['shared'], schema: table, applies: [] })).toEqual([]);
  });

  it('refuses tables that are not listed, or listed twice', () => {
    const view: View = {
      name: 'x',
      tables: ['x'],
      schema: 'CREATE TABLE x (a); CREATE TABLE x_more (a);',
      applies: [],
    };
    expect(() => start(view)).toThrow('must list exactly the tables that its schema makes; see x_more');
    expect(() => start({ ...view, tables: ['x', 'x_more', 'y'] })).toThrow('see y');
    expect(() => new Views([view, { ...view, name: 'y' }])).toThrow('both make the table "x"');
  });
});

describe('statements that were prepared before a rebuild', () => {
  it('see the new tables, in the writer and in readers', () => {
    const sample = openSample(place.folder);
    const reader = openReader(sample.path);
    sample.one(addItem, { title: 'a' });
    const sql = 'SELECT * FROM item';
    const columns = (): string[][] =>
      [sample.log.database, reader].map((database) => Object.keys(database.get(sql) ?? {}));
    expect(columns()).toEqual([
      ['id', 'title', 'weight', 'renames', 'at'],
      ['id', 'title', 'weight', 'renames', 'at'],
    ]);
    const changed: View = {
      ...itemView,
      schema: 'CREATE TABLE item (title TEXT NOT NULL, id TEXT PRIMARY KEY) STRICT;',
      tables: ['item'],
      applies: [on(itemAdded, (db, { stream, data }) => db.run('INSERT INTO item VALUES (?, ?)', data.title, stream))],
    };
    new Views([idempotencyView, changed]).prepare(sample.log.database);
    expect(columns()).toEqual([
      ['title', 'id'],
      ['title', 'id'],
    ]);
    expect(reader.get(sql)).toMatchObject({ title: 'a' });
    reader.close();
    sample.log.close();
  });
});

describe('kill -9 in the middle of a rebuild', () => {
  it('leaves the old tables, and the next start finishes it', async () => {
    const sample = openSample(place.folder);
    for (let index = 0; index < 50; index += 1) sample.one(addItem, { title: String(index) });
    const before = dumpTables(sample.log.database, itemView);
    sample.log.close();
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./crash.fixture.ts', import.meta.url)), 'rebuild', sample.path],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));

    const reader = openReader(sample.path);
    expect(dumpTables(reader, itemView)).toEqual(before);
    reader.close();
    const log = new SqliteLog(sample.path);
    const next: View = { ...itemView, version: 2 };
    expect(new Views([idempotencyView, next]).prepare(log.database)).toEqual(['item']);
    expect(dumpTables(log.database, itemView)).toEqual(before);
    expect(new Views([idempotencyView, next]).prepare(log.database)).toEqual([]);
    log.close();
  });
});
