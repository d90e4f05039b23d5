/** Tokens: 256 random bits behind a word that says what they are, so that a scanner for leaked secrets can find them. */
import { randomBytes } from 'node:crypto';
import { sha256 } from '../kernel/hash.ts';

const prefixes = { key: 'maos_', login: 'maosl_', session: 'maosa_' } as const;
export type CredentialKind = keyof typeof prefixes;

/** A new token, and the hash by which it is known from then on. A token is as random as a hash, so a plain SHA-256 is enough. */
export function newToken(kind: CredentialKind): { readonly token: string; readonly hash: string } {
  const token = `${prefixes[kind]}${randomBytes(32).toString('base64url')}`;
  return { token, hash: sha256(token) };
}

/** Ten codes for the day the phone is gone, each good once. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: 10 }, () => {
    const letters = randomBytes(10).toString('hex');
    return `${letters.slice(0, 10)}-${letters.slice(10)}`;
  });
}

/** How a recovery code is known: 80 random bits need no salt. Spaces and case do not count. */
export function recoveryHash(code: string): string {
  return sha256(code.replaceAll(/[\s-]/g, '').toLowerCase());
}

const known = /^maos[la]?_[A-Za-z0-9_-]{43}$/;

/** Whether a text can be a token that this room gave out. */
export function isToken(text: string): boolean {
  return known.test(text);
}
