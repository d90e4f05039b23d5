import { AppError } from '../kernel/error.ts';

/** SQLite's result codes, without their extensions, that say something about the storage and not about a command. */
const faults: ReadonlyMap<number, 'busy' | 'disk' | 'damaged'> = new Map([
  [5, 'busy'],
  [6, 'busy'],
  [7, 'disk'],
  [8, 'disk'],
  [10, 'disk'],
  [11, 'damaged'],
  [13, 'disk'],
  [14, 'disk'],
  [26, 'damaged'],
]);

const full = 13;
const constraint = 19;

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

/** Somebody else holds a lock on the file. */
export function isBusy(error: unknown): boolean {
  return faults.get(sqliteCode(error) ?? 0) === 'busy';
}

/** A row with this key is there already. */
export function isConstraint(error: unknown): boolean {
  return sqliteCode(error) === constraint;
}

/** A failure of the storage while a transaction was written, told as ours; undefined for any other error. */
export function writeFault(error: unknown): AppError | undefined {
  const kind = faults.get(sqliteCode(error) ?? 0);
  if (kind === undefined || !(error instanceof Error)) return undefined;
  const message = `The log could not be written (${error.message}); nothing was changed.`;
  switch (kind) {
    case 'busy':
      return new AppError('unavailable', message, {
        fix: 'Close the other program that has the database open, and call again.',
      });
    case 'disk':
      return new AppError('unavailable', message, {
        fix: 'Free disk space in MAOS_HOME and call again; agents that are running go on.',
      });
    case 'damaged':
      return new AppError('unavailable', message, {
        fix: 'Stop the server (maos down) and restore the newest snapshot (maos restore).',
      });
  }
}

/** A file that is not, or no longer, a healthy database. */
export function damaged(path: string, what: string): AppError {
  return new AppError('unavailable', `${path} ${what}.`, {
    fix: `Restore the newest snapshot (maos restore), or keep ${path} for recovery and move it away. Nothing was changed.`,
  });
}

/** A failure to open or read a database file, told as ours. */
export function openFault(path: string, error: unknown): unknown {
  if (error instanceof AppError) return error;
  const kind = faults.get(sqliteCode(error) ?? 0);
  const message = error instanceof Error ? error.message : String(error);
  if (kind === 'damaged') return damaged(path, `is damaged: ${message}`);
  // A number that no record of ours can hold, or a table that every database of ours has.
  if (/too large to be represented|no such (table|column)/.test(message))
    return damaged(path, `is damaged: ${message}`);
  if (kind === 'busy') {
    return new AppError('unavailable', `${path} is in use by another program.`, {
      fix: 'Close that program and try again.',
    });
  }
  if (sqliteCode(error) === full) {
    return new AppError('unavailable', `There is no room for ${path}.`, {
      fix: 'Free disk space there and try again.',
    });
  }
  if (kind === undefined && !(error instanceof Error && 'syscall' in error)) return error;
  return new AppError('unavailable', `${path} cannot be opened: ${message}.`, {
    fix: `Check that ${path} and its folder belong to you and can be written.`,
  });
}
