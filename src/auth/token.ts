/**
 * The local token: 256 random bits in a file that only its owner can read. Whoever can read the file may use the server,
 * which is exactly who may already read and write the server's files.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { AppError } from '../kernel/error.ts';

const shape = /^[A-Za-z0-9_-]{43}$/;

/** The token in the file, made first if there is none. Two servers that start together end with the same token. */
export function ensureToken(path: string): string {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    writeSync(file, `${randomBytes(32).toString('base64url')}\n`);
    fsyncSync(file);
    // A link appears whole or not at all, and never replaces what is there.
    linkSync(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    closeSync(file);
    rmSync(draft, { force: true });
  }
  return readToken(path);
}

/** Reads a token file. Refuses one that others can read or that holds something else. */
export function readToken(path: string): string {
  const file = openToken(path);
  try {
    const { mode } = fstatSync(file);
    if ((mode & 0o077) !== 0) {
      throw new AppError(
        'forbidden',
        `${path} can be read by others (mode ${(mode & 0o777).toString(8)}), so it is no secret.`,
        {
          fix: `Delete it and start the server again for a new token. If nobody else can have read it: chmod 600 '${path}'.`,
        },
      );
    }
    const token = readFileSync(file, 'latin1').trim();
    if (shape.test(token)) return token;
  } finally {
    closeSync(file);
  }
  throw new AppError('unauthenticated', `${path} does not hold a token of MAOS.`, {
    fix: 'Delete it and start the server again (maos up), which makes a new one.',
  });
}

/** Whether two tokens are the same, in a time that does not tell how much of them is; their length is no secret. */
export function sameToken(given: string, expected: string): boolean {
  return (
    given.length === expected.length && timingSafeEqual(Buffer.from(given, 'latin1'), Buffer.from(expected, 'latin1'))
  );
}

function openToken(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      throw new AppError('unauthenticated', `There is no token at ${path}.`, {
        fix: 'Start the server (maos up), which makes it.',
      });
    }
    if (hasCode(error, 'ELOOP')) {
      throw new AppError('forbidden', `${path} is a symbolic link; a token is a plain file.`, {
        fix: `Delete the link: rm '${path}'.`,
      });
    }
    if (hasCode(error, 'EACCES')) {
      throw new AppError('forbidden', `${path} belongs to someone else.`, {
        fix: 'Set MAOS_HOME to a folder of your own.',
      });
    }
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
