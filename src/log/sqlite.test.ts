import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { logConformance, makeRecords } from './conformance.fixture.ts';
import { openReader } from './open.ts';
import { temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';

logConformance({
  name: 'SQLite',
  open: (folder) => new SqliteLog(join(folder, 'maos.db')),
  openSnapshot: (path) => new SqliteLog(path),
  takeOver: (_log, folder, holder) => {
    const other = new DatabaseSync(join(folder, 'maos.db'));
    other.prepare('UPDATE writer SET fence = fence + 1, holder = ?').run(holder);
    other.close();
  },
});

describe('the SQLite log', () => {
  let place: ReturnType<typeof temporaryFolder>;
  beforeEach(() => (place = temporaryFolder()));
  afterEach(() => place.remove());

  it('makes its folder, for its owner alone', () => {
    const path = join(place.folder, 'new', 'home', 'maos.db');
    new SqliteLog(path).close();
    expect(statSync(join(place.folder, 'new', 'home')).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('shows a reader each commit at once, and nothing before', () => {
    const log = new SqliteLog(join(place.folder, 'maos.db'));
    const reader = openReader(join(place.folder, 'maos.db'));
    const count = (): number => reader.get<{ n: number }>('SELECT count(*) AS n FROM log')?.n ?? -1;
    log.begin();
    log.append(0, makeRecords(log.head(), 3));
    expect(count()).toBe(0);
    log.database.run('COMMIT');
    expect(count()).toBe(3);
    expect(() => reader.run('DELETE FROM log')).toThrow(/readonly/);
    reader.close();
    log.close();
  });

  it('refuses a record that another writer appended to the file', () => {
    const log = new SqliteLog(join(place.folder, 'maos.db'));
    const [record] = makeRecords(log.head(), 1);
    if (record === undefined) throw new Error('no record');
    const other = new DatabaseSync(join(place.folder, 'maos.db'));
    other.prepare(`INSERT INTO log VALUES (?, 1, '', '', '', 1, '', '', '', '', '')`).run(1);
    other.close();
    expect(() => log.append(0, [record])).toThrow(/another writer was faster/);
    expect(log.head().position).toBe(0);
    log.close();
  });

  it('leaves no half snapshot when it fails', () => {
    const log = new SqliteLog(join(place.folder, 'maos.db'));
    mkdirSync(join(place.folder, 'full'));
    writeFileSync(join(place.folder, 'full', 'file'), '');
    expect(() => log.snapshot(join(place.folder, 'full', 'file', 'x'))).toThrow(/cannot be opened/);
    log.append(0, makeRecords(log.head(), 100));
    log.database.exec('BEGIN');
    expect(() => log.snapshot(join(place.folder, 'full', 'y'))).toThrow(/VACUUM/);
    log.database.exec('ROLLBACK');
    expect(readdirSync(join(place.folder, 'full'))).toEqual(['file']);
    expect(existsSync(join(place.folder, 'full', 'y'))).toBe(false);
    log.close();
  });

  it('keeps reactor positions, and commits fully again after them', () => {
    const log = new SqliteLog(join(place.folder, 'maos.db'));
    log.savePositions(
      new Map([
        ['a', 3],
        ['b', 4],
      ]),
    );
    log.savePositions(new Map([['a', 5]]));
    expect(log.database.all('SELECT * FROM reactor_position ORDER BY name')).toEqual([
      { name: 'a', position: 5 },
      { name: 'b', position: 4 },
    ]);
    expect(log.database.get('PRAGMA synchronous')).toEqual({ synchronous: 2 });
    log.close();
  });
});
