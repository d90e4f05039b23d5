import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { AppError } from '../kernel/error.ts';
import { Database } from './database.ts';
import { openFault } from './fault.ts';
import { applicationId, inspectDatabase, plainFormat, refuseOtherFormat, sealedFormat } from './inspect.ts';
import type { Sealed } from './payload.ts';

const viewState =
  'CREATE TABLE view_state (name TEXT PRIMARY KEY, definition TEXT NOT NULL, tables TEXT NOT NULL) STRICT;';

// There is no index on the stream: ids are random, so it would write one more page for every record (it took a third of
// the throughput), and what a room wants to know about one of its things stands in its own tables.
const logSchema = `
  PRAGMA application_id = ${applicationId};
  BEGIN;
  CREATE TABLE log (
    position INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL,
    version INTEGER NOT NULL, data TEXT NOT NULL, cause TEXT NOT NULL, trace TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  ${viewState}
  CREATE TABLE reactor_position (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
  CREATE TABLE writer (holder TEXT NOT NULL, fence INTEGER NOT NULL) STRICT;
  INSERT INTO writer VALUES ('', 0);
  COMMIT;
`;

// A WAL of 8,000 pages (32 MB) costs a sixth less than one of 4,000: a page that is written often is checkpointed once.
const writerSettings = (schema: string): string => `
  PRAGMA ${schema}.journal_mode = WAL; PRAGMA ${schema}.synchronous = FULL; PRAGMA wal_autocheckpoint = 8000;
  PRAGMA ${schema}.journal_size_limit = 67108864; PRAGMA ${schema}.cache_size = -16000; PRAGMA temp_store = MEMORY;
`;

/** File systems whose locks cannot be trusted with SQLite, by the magic number of statfs. */
const networkFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
]);

/** The name of the network file system with this magic number, or undefined for a local one. */
export function networkFileSystem(magic: number): string | undefined {
  return networkFileSystems.get(magic >>> 0);
}

/** Makes a folder that is missing, for its owner alone. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw openFault(folder, error);
  }
}

/** Makes the folder of the database when it is new; refuses one on a network file system. */
export function prepareFolder(folder: string): void {
  makeFolder(folder);
  const name = networkFileSystem(statfsSync(folder).type);
  if (name === undefined) return;
  throw new AppError(
    'unavailable',
    `${folder} is on a network file system (${name}), where SQLite can lose committed work.`,
    {
      fix: 'Set MAOS_HOME to a folder on a local disk.',
    },
  );
}

/** Opens a database file for writing, making it if the folder is new; refuses what is not certainly a healthy database of ours. */
export function openDatabase(path: string, sealed?: Sealed): Database {
  const format = sealed === undefined ? plainFormat : sealedFormat;
  if (!existsSync(path)) createDatabase(path, format);
  else {
    inspectDatabase(path);
    refuseOtherFormat(path, format);
  }
  let database: Database | undefined;
  try {
    database = new Database(path, { readOnly: false, ...(sealed === undefined ? {} : { sealed }) });
    database.exec(writerSettings(database.schema));
    // The views are in memory, and so is what is known of them: they are computed at each start.
    if (sealed !== undefined) database.exec(`PRAGMA main.journal_mode = MEMORY; ${viewState}`);
    return database;
  } catch (error) {
    database?.close();
    throw openFault(path, error);
  }
}

/** A second connection that only reads; sees each commit as soon as it is made. */
export function openReader(path: string, sealed?: Sealed): Database {
  try {
    const database = new Database(path, { readOnly: true, ...(sealed === undefined ? {} : { sealed }) });
    database.exec('PRAGMA cache_size = -4000; PRAGMA query_only = 1;');
    return database;
  } catch (error) {
    throw openFault(path, error);
  }
}

/** Makes a whole file, or what was renamed in a folder, survive a power cut. */
export function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Makes a copy of a database nobody else's to read, and certain to be on the disk. */
export function seal(path: string): void {
  chmodSync(path, 0o600);
  sync(path);
}

/** Made under another name and renamed, so that a crash never leaves half a database under the real one. */
function createDatabase(path: string, format: number): void {
  const leftovers = [`${path}-wal`, join(dirname(path), 'transcripts')].filter((entry) => holdsSomething(entry));
  if (leftovers.length > 0) {
    throw new AppError(
      'unavailable',
      `${path} is missing, but ${leftovers.join(' and ')} remain: this is not a new installation.`,
      {
        fix: 'Restore the database (maos restore SNAPSHOT), or move the whole folder away to start empty.',
      },
    );
  }
  const draft = `${path}.new`;
  for (const old of [draft, `${draft}-journal`]) rmSync(old, { force: true });
  let database: Database | undefined;
  try {
    database = new Database(draft, { readOnly: false });
    chmodSync(draft, 0o600);
    database.exec(`PRAGMA user_version = ${format}; ${logSchema}`);
  } catch (error) {
    throw openFault(path, error);
  } finally {
    database?.close();
  }
  renameSync(draft, path);
  sync(dirname(path));
}

function holdsSomething(path: string): boolean {
  if (!existsSync(path)) return false;
  const stat = statSync(path);
  return stat.isDirectory() ? readdirSync(path).length > 0 : stat.size > 0;
}
