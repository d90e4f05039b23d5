/**
 * Passwords are kept as Argon2id with the figures that OWASP names (19 MiB, two rounds, one lane), in the usual text form, so that
 * the figures can be raised later: each hash says with which it was made.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError } from '../kernel/error.ts';
import { Lanes, type Source } from './lanes.ts';

const cost = { memory: 19_456, passes: 2, parallelism: 1 } as const;
const tagLength = 32;
const shape = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]{16,})\$([A-Za-z0-9+/]{32,})$/;

/** A new hash of a password, with a salt of its own. */
export async function hashPassword(password: string, source = self): Promise<string> {
  const salt = randomBytes(16);
  const tag = await derive(password, salt, cost, source);
  const { memory, passes, parallelism } = cost;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${text(salt)}$${text(tag)}`;
}

/** Whether a password is the one of a hash. Without a hash it takes as long, and is wrong. */
export async function passwordFits(password: string, hash: string | undefined, source = self): Promise<boolean> {
  const read = hash === undefined ? null : shape.exec(hash);
  const [, memory, passes, parallelism, salt = '', tag = ''] = read ?? shape.exec(nobody) ?? [];
  const expected = Buffer.from(tag, 'base64');
  const figures = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  const given = await derive(password, Buffer.from(salt, 'base64'), figures, source);
  return given.length === expected.length && timingSafeEqual(given, expected) && read !== null;
}

/** What the password of a user that there is not is compared with. */
const nobody = `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** Each hash takes 19 MiB and a processor. Who waits, waits at most about two seconds. */
const lanes = new Lanes({ lanes: 2, most: 64, perSource: 8 });
const self: Source = { key: '', known: true };

/** Refuses whoever would have to wait too long, before anything is noted about the attempt. */
export function refuseCrowd(source: Source): void {
  lanes.refuseCrowd(source);
}

interface Figures {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

function derive(password: string, salt: Buffer, figures: Figures, source: Source): Promise<Buffer> {
  return lanes.run(source, () => once(password, salt, figures));
}

function once(password: string, nonce: Buffer, figures: Figures): Promise<Buffer> {
  if (typeof argon2 !== 'function') {
    throw new AppError('unavailable', 'This Node has no Argon2, so nobody can log in with a password.', {
      fix: 'Run MAOS with Node 24.7 or later.',
    });
  }
  // The same letters can be typed in two ways (é as one sign or as two): they are the same password.
  const message = password.normalize('NFC');
  return new Promise((resolve, reject) => {
    argon2('argon2id', { message, nonce, tagLength, ...figures }, (error, tag) =>
      error === null ? resolve(tag) : reject(error),
    );
  });
}

function text(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
