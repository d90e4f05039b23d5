import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { AppError } from '../kernel/error.ts';
import { checkLink } from './chain.ts';
import { Database } from './database.ts';
import { damaged, openFault } from './fault.ts';
import type { Head } from './port.ts';
import { readHead, readLog } from './record.ts';

/** "MAOS" as SQLite's application id: another program's database is never taken for ours. */
export const applicationId = 0x4d414f53;
/** The format of the log table. Raised only when a newer MAOS writes what an older one would misread. */
export const plainFormat = 1;
/** The payloads of all records are sealed, and the file holds no views. */
export const sealedFormat = 2;

/** How many records at the end of the log are verified at each start. */
const tail = 1_000;
/** A file up to this size is checked as a whole at each start; about 25 ms. */
const quickCheckLimit = 16 * 1024 * 1024;

/**
 * Says whether a file is certainly a healthy database of ours, and changes nothing in it: first by its own bytes, then
 * through a connection that cannot write. Returns its head; throws what is wrong and what to do.
 */
export function inspectDatabase(path: string): Head {
  inspectHeader(path);
  let database: Database | undefined;
  try {
    database = new Database(path, { readOnly: true });
    refuseFormat(path, versionOf(database, 'application_id'), versionOf(database, 'user_version'));
    if (statSync(path).size <= quickCheckLimit) quickCheck(database, path);
    return verifyTail(database, path);
  } catch (error) {
    throw openFault(path, error);
  } finally {
    database?.close();
  }
}

/** Looks at the first bytes before SQLite does: an empty or foreign file must not become a database by being opened. */
export function inspectHeader(path: string): void {
  const header = Buffer.alloc(100);
  const { length, size } = readStart(path, header);
  if (length === 0) throw damaged(path, 'is empty');
  if (length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw damaged(path, 'is not a SQLite database');
  refuseFormat(path, header.readUInt32BE(68), header.readUInt32BE(60));
  // While a WAL holds pages that are not yet in the file, the file may be shorter than its header says.
  const walSize = existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0;
  const expected = header.readUInt32BE(28) * pageSize(header);
  if (walSize === 0 && size < expected) throw damaged(path, `is cut off: ${size} of ${expected} bytes are there`);
}

function readStart(path: string, header: Buffer): { length: number; size: number } {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    return { length: readSync(file, header, 0, header.length, 0), size: fstatSync(file).size };
  } catch (error) {
    throw openFault(path, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** 65,536 does not fit the field and stands there as 1. */
function pageSize(header: Buffer): number {
  const stored = header.readUInt16BE(16);
  return stored === 1 ? 65_536 : stored;
}

function versionOf(database: Database, pragma: 'application_id' | 'user_version'): number {
  return database.get<Record<string, number>>(`PRAGMA ${pragma}`)?.[pragma] ?? 0;
}

function refuseFormat(path: string, id: number, version: number): void {
  if (id !== applicationId) {
    throw new AppError('unavailable', `${path} is a database of another program.`, {
      fix: 'Set MAOS_HOME to a folder of its own; nothing was changed in this one.',
    });
  }
  if (version > sealedFormat) {
    throw new AppError(
      'unavailable',
      `${path} was written by a newer MAOS (format ${version}; this one reads up to ${sealedFormat}).`,
      {
        fix: 'Update MAOS, or restore a snapshot from before the update; nothing was changed.',
      },
    );
  }
}

/** Whether a log is sealed is decided when it is begun (docs/adr/0006-sealed-state.md). */
export function refuseOtherFormat(path: string, wanted: typeof plainFormat | typeof sealedFormat): void {
  const header = Buffer.alloc(100);
  readStart(path, header);
  const found = header.readUInt32BE(60);
  if (found === wanted) return;
  if (wanted === plainFormat) {
    throw new AppError(
      'unavailable',
      `${path} is sealed (encryption: state), and this MAOS is set to write plain data.`,
      {
        fix: 'Set "encryption": "state" in config.json, or MAOS_ENCRYPTION=state. A sealed log stays one.',
      },
    );
  }
  throw new AppError('unavailable', `${path} was begun without encryption; what is in it stays as it was written.`, {
    fix: 'Take "encryption" out of config.json again, or begin a new home: set MAOS_HOME to an empty folder.',
  });
}

function quickCheck(database: Database, path: string): void {
  const row = database.get<{ quick_check: string }>('PRAGMA quick_check(1)');
  if (row?.quick_check !== 'ok') throw damaged(path, `is damaged: ${row?.quick_check ?? 'it cannot be checked'}`);
}

function verifyTail(database: Database, path: string): Head {
  const head = readHead(database);
  const from = Math.max(0, head.position - tail);
  let before: Head = { position: from, hash: from === 0 ? '' : (readLog(database, from - 1, 1)[0]?.hash ?? '') };
  for (const record of readLog(database, from, tail)) {
    const broken = checkLink(before, record);
    if (broken !== undefined) throw damaged(path, `holds a damaged log. ${broken.message.replace(/\.$/, '')}`);
    before = record;
  }
  return head;
}
