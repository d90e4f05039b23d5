import { createHash, randomBytes } from 'node:crypto';
import { sha256 } from '../../kernel/hash.ts';

/** A new code, and the hash by which it is known from then on. */
export function newCode(): { readonly code: string; readonly hash: string } {
  const code = `maosc_${randomBytes(32).toString('base64url')}`;
  return { code, hash: sha256(code) };
}

/** A new refresh token, and its hash. */
export function newRefreshToken(): { readonly token: string; readonly hash: string } {
  const token = `maosr_${randomBytes(32).toString('base64url')}`;
  return { token, hash: sha256(token) };
}

/** The challenge that belongs to a verifier (RFC 7636, S256); undefined: it is none. */
export function challengeOf(verifier: string): string | undefined {
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return undefined;
  return createHash('sha256').update(verifier).digest('base64url');
}
