import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { makeRecords } from './conformance.fixture.ts';
import { networkFileSystem } from './open.ts';
import { addItem, openSample, temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';

let place: ReturnType<typeof temporaryFolder>;
let path: string;
beforeEach(() => {
  place = temporaryFolder();
  path = join(place.folder, 'maos.db');
});
afterEach(() => place.remove());

/** A healthy database with some records. */
function make(count = 200): void {
  const sample = openSample(place.folder);
  for (let index = 0; index < count; index += 1) sample.one(addItem, { title: `item number ${index}` });
  sample.log.close();
}

/** Opens, expects a refusal with a fix that leaves every byte as it is, and returns its message. */
function refused(): string {
  const files = [path, `${path}-wal`];
  const bytes = (): (Buffer | undefined)[] =>
    files.map((file) => (existsSync(file) && statSync(file).size > 0 ? readFileSync(file) : undefined));
  const before = bytes();
  let error: unknown;
  try {
    new SqliteLog(path).close();
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof AppError)) throw new Error('It was opened, or refused with another error.', { cause: error });
  expect(error.code).toBe('unavailable');
  expect(error.fix).toMatch(/\w+.*\.$/);
  expect(error.message).toContain(place.folder);
  expect(bytes().map((now, index) => now?.equals(before[index] ?? Buffer.of()) ?? before[index] === undefined)).toEqual(
    [true, true],
  );
  return error.message;
}

function overwrite(offset: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

describe('opening refuses', () => {
  it.each([
    ['the magic of the header', 3, /is not a SQLite database/],
    ['the application id', 69, /another program/],
    ['the page size', 16, /damaged|cut off/],
    ['the first page', 105, /damaged/],
  ])('a file with flipped bytes in %s', (_what, offset, message) => {
    make();
    overwrite(offset, Buffer.from([0xa5, 0x5a]));
    expect(refused()).toMatch(message);
  });

  it('a file with flipped bytes in any page of the middle, or opens it whole', () => {
    make();
    const healthy = join(place.folder, 'healthy');
    copyFileSync(path, healthy);
    const { size } = statSync(path);
    let refusals = 0;
    for (let page = 1; page < size / 4096; page += 1) {
      copyFileSync(healthy, path);
      // The start of a page holds its structure: no page may be taken for an empty one.
      overwrite(page * 4096, Buffer.alloc(16, 0xa5));
      expect(refused(), `page ${page}`).toMatch(/damaged/);
      refusals += 1;
    }
    expect(refusals).toBeGreaterThan(10);
  });

  it('a record near the end that was altered, also when SQLite sees no damage', () => {
    make();
    const database = new DatabaseSync(path);
    database.exec(`UPDATE log SET data = '{"title":"another"}' WHERE position = 195`);
    database.close();
    expect(refused()).toMatch(/Record 195 .* was altered/);
  });

  it.each([0.5, 0.9])('a file that was cut off at %s of its length', (part) => {
    make();
    truncateSync(path, Math.floor(statSync(path).size * part));
    expect(refused()).toMatch(/is cut off: \d+ of \d+ bytes/);
  });

  it('a large file that was cut off', () => {
    const log = new SqliteLog(path);
    log.append(0, makeRecords(log.head(), 2_000, 'x'.repeat(10_000)));
    log.close();
    expect(statSync(path).size).toBeGreaterThan(16 * 1024 * 1024);
    truncateSync(path, 18 * 1024 * 1024);
    expect(refused()).toMatch(/is cut off/);
  });

  it('an empty file, a short one, and one that is no database', () => {
    writeFileSync(path, '');
    expect(refused()).toMatch(/is empty/);
    writeFileSync(path, 'SQLite format 3\0');
    expect(refused()).toMatch(/is not a SQLite database/);
    writeFileSync(path, '{"tasks": []}\n'.repeat(100));
    expect(refused()).toMatch(/is not a SQLite database/);
  });

  it('a folder in place of the file', () => {
    mkdirSync(path);
    expect(() => new SqliteLog(path)).toThrow(/cannot be opened/);
  });

  it("another program's database, also one that has a WAL", () => {
    const other = new DatabaseSync(path);
    other.exec('PRAGMA journal_mode = WAL; CREATE TABLE tasks (id); INSERT INTO tasks VALUES (1);');
    expect(refused()).toMatch(/another program/);
    other.close();
    expect(refused()).toMatch(/another program/);
  });

  it('a database that a newer MAOS wrote, also when only the WAL says so', () => {
    make();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 3;');
    copyFileSync(path, join(place.folder, 'copy'));
    copyFileSync(`${path}-wal`, join(place.folder, 'copy-wal'));
    newer.close();
    expect(refused()).toMatch(/newer MAOS \(format 3; this one reads up to 2\)/);
    copyFileSync(join(place.folder, 'copy'), path);
    copyFileSync(join(place.folder, 'copy-wal'), `${path}-wal`);
    expect(refused()).toMatch(/newer MAOS/);
  });

  it('a folder from which the database has gone', () => {
    mkdirSync(join(place.folder, 'transcripts', 'session_1'), { recursive: true });
    expect(refused()).toMatch(/is missing, but .*transcripts remain/);
    rmSync(join(place.folder, 'transcripts'), { recursive: true });
    writeFileSync(`${path}-wal`, 'something');
    expect(refused()).toMatch(/is missing, but .*-wal remain/);
    expect(existsSync(path)).toBe(false);
  });

  it('a second writer, in this process and in another one, until the first is gone', async () => {
    make();
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./crash.fixture.ts', import.meta.url)), 'hold', path],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(refused()).toMatch(/Another MAOS server is writing/);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    const log = new SqliteLog(path);
    expect(refused()).toMatch(/Another MAOS server is writing/);
    log.append(200, makeRecords(log.head(), 1));
    log.close();
    new SqliteLog(path).close();
  });

  it('a file that it may not write', () => {
    make();
    chmodSync(path, 0o000);
    const script = `
      if (process.getuid() === 0) process.setuid(65534);
      const { SqliteLog } = await import(${JSON.stringify(new URL('./sqlite.ts', import.meta.url).href)});
      try { new SqliteLog(${JSON.stringify(path)}); } catch (error) { console.log(error.code, error.fix); }
    `;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(stdout).toMatch(/^unavailable Check that .* belong to you/);
  });

  it.each([
    [0x6969, 'NFS'],
    [0xff534d42, 'CIFS'],
    [-11317950, 'CIFS'],
    [0x01021997, '9P'],
    [0xef53, undefined],
    [0x01021994, undefined],
  ])('file systems over a network: 0x%s is %s', (magic, name) => {
    expect(networkFileSystem(magic)).toBe(name);
  });
});

describe('opening takes', () => {
  it('what an earlier start left half made', () => {
    writeFileSync(`${path}.new`, 'half');
    writeFileSync(`${path}.new-journal`, 'half');
    const log = new SqliteLog(path);
    expect(log.head().position).toBe(0);
    log.close();
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  it('a WAL that a crash left, with all that was committed', () => {
    make(10);
    const copy = join(place.folder, 'crashed', 'maos.db');
    mkdirSync(dirname(copy));
    const sample = openSample(place.folder);
    sample.one(addItem, { title: 'only in the WAL' });
    copyFileSync(path, copy);
    copyFileSync(`${path}-wal`, `${copy}-wal`);
    sample.log.close();
    const log = new SqliteLog(copy);
    expect(log.head().position).toBe(11);
    expect(log.read(10, 1)[0]?.data).toContain('only in the WAL');
    log.close();
  });
});
