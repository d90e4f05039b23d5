import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keysOf, newKey } from '../kernel/seal.ts';
import { Database } from './database.ts';
import { openReader } from './open.ts';
import { type Sealed, sealedPayloads } from './payload.ts';
import { chain, readLog, readRecords } from './record.ts';
import { dumpTables } from './rebuild-equality.fixture.ts';
import { restoreSnapshot } from './restore.ts';
import { addAndFail, addItem, itemView, openSample, temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';
import { verifyChain } from './verify.ts';
import { Views } from './views.ts';

let place: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  place = temporaryFolder();
});
afterEach(() => place.remove());

const key = newKey('key_a');
let opened = 0;
const sealed = (by = key): Sealed => ({ views: `maos-test-${(opened += 1)}`, payloads: sealedPayloads(keysOf([by])) });
const path = (): string => join(place.folder, 'maos.db');
const bytes = (): string =>
  readdirSync(place.folder)
    .map((name) => readFileSync(join(place.folder, name), 'latin1'))
    .join('');
const words = ['a title nobody may see', 'another hidden title'];

function write(): ReturnType<typeof dumpTables> {
  const sample = openSample(place.folder, { sealed: sealed() });
  for (const title of words) expect(sample.one(addItem, { title })).toMatchObject({ ok: true });
  expect(sample.one(addAndFail, { title: words[0] })).toMatchObject({ ok: false });
  const rows = dumpTables(sample.log.database, itemView);
  sample.log.close();
  return rows;
}

it('holds nothing on the disk but envelopes, and no view', () => {
  write();
  for (const word of words) expect(bytes()).not.toContain(word);
  const file = new Database(path(), { readOnly: true });
  expect(
    file.all("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").map((row) => Object.values(row)[0]),
  ).toEqual(['log', 'reactor_position', 'view_state', 'writer']);
  expect(readLog(file, 0, 10).map(({ type, data }) => [type, data.slice(0, 15)])).toEqual([
    ['item.added', 'sealed.1.key_a.'],
    ['item.added', 'sealed.1.key_a.'],
  ]);
  file.close();
});

it('is verified without a key; what was altered is found', async () => {
  write();
  const keyless = openReader(path());
  expect(await verifyChain(keyless)).toMatchObject({ records: 2, breaks: [] });
  keyless.close();
  const tampered = new Database(path(), { readOnly: false });
  tampered.run('UPDATE log SET data = (SELECT data FROM log WHERE position = 2) WHERE position = 1');
  expect((await verifyChain(tampered)).breaks).toMatchObject([{ position: 1, problem: 'altered' }]);
  tampered.close();
});

it('has the same views after each start, and a reader sees each commit', () => {
  const rows = write();
  const memory = sealed();
  const sample = openSample(place.folder, { sealed: memory });
  expect(sample.rebuilt).toContain(itemView.name);
  expect(dumpTables(sample.log.database, itemView)).toEqual(rows);
  const reader = openReader(path(), memory);
  expect(dumpTables(reader, itemView)).toEqual(rows);
  sample.one(addItem, { title: 'a third' });
  expect(reader.get('SELECT count(*) AS n FROM item')).toEqual({ n: 3 });
  expect(readRecords(reader, 0, 10).map(({ data }) => data)).toEqual([
    { title: words[0] },
    { title: words[1] },
    { title: 'a third' },
  ]);
  // What is looked for in the log is found by what it says.
  expect(reader.all(`SELECT position FROM log WHERE instr(data, 'hidden') > 0`)).toEqual([{ position: 2 }]);
  sample.log.savePositions(new Map([['r', 3]]));
  expect(reader.get('SELECT position FROM reactor_position')).toEqual({ position: 3 });
  reader.close();
  sample.log.close();
});

it('does not open with another key, nor when a record was put in another’s place with a chain that fits', () => {
  write();
  const views = (by: Sealed): void => {
    const log = new SqliteLog(path(), by);
    try {
      new Views([itemView]).prepare(log.database);
    } finally {
      log.close();
    }
  };
  expect(() => views(sealed(newKey('key_b')))).toThrow('key_a is not there');
  expect(() => views(sealed(newKey('key_a')))).toThrow('does not open');
  // Whoever can write the file can also make hashes that fit; what they cannot make is an envelope for that place.
  const file = new Database(path(), { readOnly: false });
  const [first, second] = readLog(file, 0, 2);
  if (first === undefined || second === undefined) throw new Error('There are two records.');
  const moved = chain({ position: 0, hash: '' }, { ...first, data: second.data });
  const next = chain(moved, { ...second, data: first.data });
  for (const { position, data, previous, hash } of [moved, next])
    file.run('UPDATE log SET data = ?, previous = ?, hash = ? WHERE position = ?', data, previous, hash, position);
  file.close();
  expect(() => views(sealed())).toThrow(`What is sealed at log/1/${first.stream}/item.added does not open`);
});

it('is one from its beginning, or never', () => {
  write();
  expect(() => openSample(place.folder)).toThrow('is sealed (encryption: state)');
  const plain = temporaryFolder();
  openSample(plain.folder).log.close();
  expect(() => openSample(plain.folder, { sealed: sealed() })).toThrow('was begun without encryption');
  plain.remove();
});

it('is in a snapshot as it is on the disk, and comes back from it', async () => {
  const rows = write();
  const sample = openSample(place.folder, { sealed: sealed() });
  const snapshot = join(place.folder, 'snapshot.db');
  sample.log.snapshot(snapshot);
  sample.one(addItem, { title: 'after the snapshot' });
  sample.log.close();
  for (const word of words) expect(readFileSync(snapshot, 'latin1')).not.toContain(word);
  expect(await restoreSnapshot(snapshot, path())).toMatchObject({ position: 2 });
  const restored = openSample(place.folder, { sealed: sealed() });
  expect(dumpTables(restored.log.database, itemView)).toEqual(rows);
  restored.log.close();
});
