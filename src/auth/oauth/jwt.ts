/**
 * Access tokens: JWTs of one kind (RFC 9068: `at+jwt`, Ed25519). What the header says is compared, never obeyed. Synchronous, because a
 * door asks at each request; a library that does this over Web Crypto cannot (docs/adr/0007).
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import * as z from 'zod';

/** What a token says. */
const claims = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z.string(),
  client_id: z.string(),
  scope: z.string(),
  /** The grant it belongs to: whether it counts is asked there. */
  grant: z.string(),
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
});
export type Claims = z.output<typeof claims>;

const header = z.strictObject({ alg: z.literal('EdDSA'), typ: z.literal('at+jwt'), kid: z.string().max(100) });
const shape = /^([A-Za-z0-9_-]{20,400})\.([A-Za-z0-9_-]{20,4000})\.([A-Za-z0-9_-]{86})$/;

/** The two halves of a new key: the public one as a JWK has it, the private one as PKCS #8 in base64url. */
export function newSigningPair(): { readonly publicKey: string; readonly privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  return { publicKey: x, privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64url') };
}

export function privateKeyFrom(text: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(text, 'base64url'), format: 'der', type: 'pkcs8' });
}

/** A public key in a key set (RFC 8037). */
export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
}

export function publicJwk(kid: string, x: string): PublicJwk {
  return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' };
}

export function signToken(kid: string, key: KeyObject, said: Claims): string {
  const body = `${part({ alg: 'EdDSA', typ: 'at+jwt', kid })}.${part(said)}`;
  return `${body}.${sign(null, Buffer.from(body), key).toString('base64url')}`;
}

/** What a token says, if a key of ours has signed it. Whether that counts by now is not asked. */
export function readToken(
  token: string,
  publicKey: (kid: string) => string | undefined,
): { readonly kid: string; readonly claims: Claims } | undefined {
  const [, head = '', body = '', signature = ''] = shape.exec(token) ?? [];
  const read = header.safeParse(json(head));
  if (!read.success) return undefined;
  const { kid } = read.data;
  const x = publicKey(kid);
  if (x === undefined) return undefined;
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const bytes = Buffer.from(signature, 'base64url');
  // Spare bits would let one signature be written in several ways.
  if (bytes.toString('base64url') !== signature) return undefined;
  if (!verify(null, Buffer.from(`${head}.${body}`), key, bytes)) return undefined;
  const said = claims.safeParse(json(body));
  return said.success ? { kid, claims: said.data } : undefined;
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function json(text: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return value;
  } catch {
    return undefined;
  }
}
