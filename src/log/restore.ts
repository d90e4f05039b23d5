import { existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AppError, invalid } from '../kernel/error.ts';
import { Database } from './database.ts';
import { damaged, openFault } from './fault.ts';
import { inspectDatabase, inspectHeader } from './inspect.ts';
import { holdLock } from './lock.ts';
import { openReader, prepareFolder, seal, sync } from './open.ts';
import { verifyChain } from './verify.ts';

export interface Restored {
  /** The last position of the restored log. */
  readonly position: number;
  /** Where the database that was there before is kept; undefined when there was none. */
  readonly kept: string | undefined;
}

/**
 * Puts a snapshot in the place of the database. Refuses while a server runs, and a snapshot that is damaged anywhere.
 * The present database is kept beside it. At every moment the old or the new one stands under the name.
 */
export async function restoreSnapshot(snapshotPath: string, databasePath: string): Promise<Restored> {
  if (resolve(snapshotPath) === resolve(databasePath)) {
    throw invalid(`${snapshotPath} is the database itself.`, {
      fix: 'Name a snapshot (maos admin snapshot makes one).',
    });
  }
  prepareFolder(dirname(databasePath));
  const lock = holdLock(`${databasePath}.lock`);
  const draft = `${databasePath}.restore`;
  try {
    const position = await copyVerified(snapshotPath, draft);
    const kept = keepPresent(databasePath);
    renameSync(draft, databasePath);
    sync(dirname(databasePath));
    return { position, kept };
  } finally {
    rmSync(draft, { force: true });
    lock.release();
  }
}

/** The copy is what is verified, so nothing can change in between; a WAL beside the snapshot is copied with it. */
async function copyVerified(snapshotPath: string, draft: string): Promise<number> {
  if (!existsSync(snapshotPath)) {
    throw new AppError('not_found', `There is no snapshot ${snapshotPath}.`, {
      fix: 'Name a file that a snapshot was written to.',
    });
  }
  inspectHeader(snapshotPath);
  rmSync(draft, { force: true });
  vacuumInto(snapshotPath, draft);
  const { position } = inspectDatabase(draft);
  const reader = openReader(draft);
  try {
    const { breaks } = await verifyChain(reader, 1);
    const [first] = breaks;
    if (first !== undefined) throw damaged(snapshotPath, `holds a damaged log. ${first.message.replace(/\.$/, '')}`);
  } finally {
    reader.close();
  }
  return position;
}

function vacuumInto(from: string, to: string): void {
  let database: Database | undefined;
  try {
    database = new Database(from, { readOnly: true });
    database.run('VACUUM INTO ?', to);
    seal(to);
  } catch (error) {
    throw openFault(from, error);
  } finally {
    database?.close();
  }
}

/** Gives the present database a second name. Its WAL must be gone before another file stands under the first one. */
function keepPresent(path: string): string | undefined {
  const wal = `${path}-wal`;
  const present = existsSync(path);
  if (!present && !existsSync(wal)) return undefined;
  const kept = freeName(`${path}.before-restore-${present ? foldWal(path) : 'missing'}`);
  if (existsSync(wal)) renameSync(wal, `${kept}-wal`);
  rmSync(`${path}-shm`, { force: true });
  if (!present) return undefined;
  linkSync(path, kept);
  return kept;
}

/** Moves the WAL into the file and returns its last position; a damaged file is left as it is. */
function foldWal(path: string): string {
  let database: Database | undefined;
  try {
    const { position } = inspectDatabase(path);
    database = new Database(path, { readOnly: false });
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return String(position);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return 'damaged';
  } finally {
    database?.close();
  }
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let number = 2; existsSync(name); number += 1) name = `${wanted}-${number}`;
  return name;
}
