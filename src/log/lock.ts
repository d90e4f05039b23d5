import { AppError } from '../kernel/error.ts';
import { Database } from './database.ts';
import { isBusy, openFault } from './fault.ts';

/**
 * Holds the right to write for as long as the process lives. It is an exclusive SQLite transaction on a file of its
 * own: the kernel drops the lock when the process dies, however it dies, so there are no stale lock files.
 */
export function holdLock(path: string): { release(): void } {
  let database: Database | undefined;
  try {
    database = new Database(path, { readOnly: false });
    database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    if (!isBusy(error)) throw openFault(path, error);
    throw new AppError('unavailable', `Another MAOS server is writing to this folder (it holds ${path}).`, {
      fix: 'Use it (maos status), stop it (maos down), or set MAOS_HOME to another folder.',
    });
  }
}
