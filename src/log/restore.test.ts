import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restoreSnapshot } from './restore.ts';
import { addItem, openSample, type Sample, temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';

let place: ReturnType<typeof temporaryFolder>;
let path: string;
let snapshot: string;
let sample: Sample;
beforeEach(() => {
  place = temporaryFolder();
  path = join(place.folder, 'maos.db');
  snapshot = join(place.folder, 'snapshot');
  sample = openSample(place.folder);
  add('a', 'b', 'c');
  sample.log.snapshot(snapshot);
  add('d', 'e');
});
afterEach(() => {
  sample.log.close();
  place.remove();
});

function add(...titles: string[]): void {
  for (const title of titles) sample.one(addItem, { title });
}

/** The titles in a database, from its log and from its view. */
function titles(file: string): { log: string; view: string } {
  const log = new SqliteLog(file);
  try {
    const view = log.database.all<{ title: string }>('SELECT title FROM item ORDER BY rowid').map((row) => row.title);
    return {
      log: log
        .read(0, 100)
        .map((record) => /"title":"(\w+)"/.exec(record.data)?.[1])
        .join(''),
      view: view.join(''),
    };
  } finally {
    log.close();
  }
}

const files = (): string[] =>
  readdirSync(place.folder)
    .filter((name) => !name.endsWith('.lock'))
    .toSorted();

describe('restoring a snapshot', () => {
  it('puts it in the place of the database, and keeps that with its position in its name', async () => {
    sample.log.close();
    const restored = await restoreSnapshot(snapshot, path);
    expect(restored).toEqual({ position: 3, kept: `${path}.before-restore-5` });
    expect(titles(path)).toEqual({ log: 'abc', view: 'abc' });
    expect(titles(`${path}.before-restore-5`)).toEqual({ log: 'abcde', view: 'abcde' });
    expect(titles(snapshot)).toEqual({ log: 'abc', view: 'abc' });
    const again = await restoreSnapshot(`${path}.before-restore-5`, path);
    expect(again).toEqual({ position: 5, kept: `${path}.before-restore-3` });
    expect(titles(path).log).toBe('abcde');
    expect((await restoreSnapshot(snapshot, path)).kept).toBe(`${path}.before-restore-5-2`);
  });

  it('keeps what only the WAL of a killed server held', async () => {
    copyFileSync(path, join(place.folder, 'crash'));
    copyFileSync(`${path}-wal`, join(place.folder, 'crash-wal'));
    sample.log.close();
    copyFileSync(join(place.folder, 'crash'), path);
    copyFileSync(join(place.folder, 'crash-wal'), `${path}-wal`);
    const { kept } = await restoreSnapshot(snapshot, path);
    expect(titles(path).log).toBe('abc');
    expect(titles(kept ?? '').log).toBe('abcde');
  });

  it('replaces a damaged database, and keeps it as it is', async () => {
    sample.log.close();
    writeFileSync(path, 'damaged');
    writeFileSync(`${path}-wal`, 'damaged too');
    const { kept } = await restoreSnapshot(snapshot, path);
    expect(kept).toBe(`${path}.before-restore-damaged`);
    expect(readFileSync(kept ?? '', 'utf8')).toBe('damaged');
    expect(readFileSync(`${kept}-wal`, 'utf8')).toBe('damaged too');
    expect(titles(path).log).toBe('abc');
  });

  it('fills the place of a missing database, and puts its WAL aside', async () => {
    sample.log.close();
    rmSync(path);
    writeFileSync(`${path}-wal`, 'left over');
    expect(await restoreSnapshot(snapshot, path)).toEqual({ position: 3, kept: undefined });
    expect(titles(path).log).toBe('abc');
    expect(files()).toContain('maos.db.before-restore-missing-wal');
  });

  it('works in a folder that is new', async () => {
    const other = join(place.folder, 'new', 'maos.db');
    expect(await restoreSnapshot(snapshot, other)).toEqual({ position: 3, kept: undefined });
    expect(titles(other).log).toBe('abc');
  });

  it('refuses while a server runs', async () => {
    await expect(restoreSnapshot(snapshot, path)).rejects.toMatchObject({
      code: 'unavailable',
      fix: expect.stringContaining('maos down'),
    });
    add('f');
    expect(sample.log.head().position).toBe(6);
  });

  it('refuses a snapshot whose log was altered anywhere, and leaves the database', async () => {
    sample.log.close();
    const vandal = new DatabaseSync(snapshot);
    vandal.exec(`UPDATE log SET data = '{"title":"x"}' WHERE position = 1`);
    vandal.close();
    const before = { files: files(), bytes: readFileSync(path) };
    await expect(restoreSnapshot(snapshot, path)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('Record 1'),
    });
    expect({ files: files(), bytes: readFileSync(path) }).toEqual(before);
  });

  it.each([
    ['nothing', (file: string) => rmSync(file), 'not_found'],
    ['an empty file', (file: string) => writeFileSync(file, ''), 'unavailable'],
    ['half a snapshot', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 8192)), 'unavailable'],
    [
      'another program’s database',
      (file: string) => writeFileSync(file, readFileSync(file).fill(0, 68, 72)),
      'unavailable',
    ],
  ])('refuses %s', async (_what, spoil, code) => {
    sample.log.close();
    spoil(snapshot);
    const before = files();
    await expect(restoreSnapshot(snapshot, path)).rejects.toMatchObject({ code, fix: expect.any(String) });
    expect(files()).toEqual(before);
    expect(titles(path).log).toBe('abcde');
  });

  it('refuses the database itself', async () => {
    sample.log.close();
    await expect(restoreSnapshot(path, path)).rejects.toMatchObject({ code: 'invalid' });
  });
});
