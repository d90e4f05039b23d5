/**
 * Signed messages: Ed25519 over who signs, when, a nonce and the message. Whoever checks one knows that it is from that signer,
 * unchanged, of now, and seen for the first time.
 *
 * S1. A message is accepted at most once: its nonce is remembered for as long as its time would be accepted.
 * S2. A full memory refuses new messages; it never forgets one that could be replayed.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';
import { AppError } from './error.ts';

/** The two halves of a key, each 32 bytes in base64url. */
export interface SigningKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** Who signs, and with what. */
export interface Signer {
  /** The id under which others find the public half: `agent_x/3`. */
  readonly id: string;
  readonly privateKey: string;
}

/** What travels with a message. */
export interface Signature {
  readonly signer: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly nonce: string;
  /** base64url, 64 bytes. */
  readonly signature: string;
}

// The heads of PKCS #8 and SPKI for Ed25519 (RFC 8410): the key itself follows.
const privateHead = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicHead = Buffer.from('302a300506032b6570032100', 'hex');
const keyShape = /^[A-Za-z0-9_-]{43}$/;
/** Says what a private key is, so that it can be found, and hidden, where it does not belong. */
const privateWord = 'maosk_';
const nonceShape = /^[A-Za-z0-9_-]{8,64}$/;

/** A new pair of keys. */
export function newSigningKeys(): SigningKeys {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64url'),
    privateKey: `${privateWord}${privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32).toString('base64url')}`,
  };
}

/** Signs a message. The nonce is used once: a fresh id. */
export function sign(
  message: string,
  { id, privateKey }: Signer,
  { now, nonce }: { readonly now: number; readonly nonce: string },
): Signature {
  const raw = Buffer.from(privateKey.replace(privateWord, ''), 'base64url');
  const key = createPrivateKey({ key: Buffer.concat([privateHead, raw]), format: 'der', type: 'pkcs8' });
  const signature = signBytes(undefined, signedBytes(message, id, now, nonce), key).toString('base64url');
  return { signer: id, at: now, nonce, signature };
}

export interface VerifyOptions {
  readonly now: number;
  /** The public half of a signer that may speak; undefined when there is none of this id. */
  readonly publicKey: (signer: string) => string | undefined;
  /** What was accepted already. */
  readonly seen: NonceMemory;
  /** Who must have signed it, when that is known from elsewhere. */
  readonly signer?: string;
}

/** Accepts a signed message, once; throws `unauthenticated` with what is wrong. */
export function verify(message: string, given: Signature, { now, publicKey, seen, signer }: VerifyOptions): void {
  const { at, nonce, signature } = given;
  if (signer !== undefined && given.signer !== signer)
    throw refused(`${shorten(given.signer)} signed it, not ${signer}`);
  if (!Number.isSafeInteger(at) || !nonceShape.test(nonce)) throw refused('its time or its nonce has no sense');
  if (Math.abs(now - at) > seen.windowMs) {
    const seconds = Math.round(Math.abs(now - at) / 1000);
    throw refused(
      `it is ${seconds} s ${at < now ? 'old' : 'ahead of the clock here'}`,
      'Sign it again; set the clock if it is wrong.',
    );
  }
  const raw = publicKey(given.signer);
  if (raw === undefined) throw refused(`nobody is known as ${shorten(given.signer)}`);
  if (!isSignedBy(raw, signedBytes(message, given.signer, at, nonce), signature))
    throw refused('its signature is not of this signer and message');
  // Last, so that a stranger cannot use up the nonces of others.
  seen.take(given.signer, nonce, at, now);
}

function isSignedBy(raw: string, bytes: Buffer, signature: string): boolean {
  if (!keyShape.test(raw)) throw new Error('A public key is 32 bytes in base64url.');
  const key = createPublicKey({
    key: Buffer.concat([publicHead, Buffer.from(raw, 'base64url')]),
    format: 'der',
    type: 'spki',
  });
  const given = Buffer.from(signature, 'base64url');
  return given.toString('base64url') === signature && given.length === 64 && verifyBytes(undefined, bytes, key, given);
}

/** The nonces of what was accepted within a window of time. */
export class NonceMemory {
  /** How far the time of a message may be from now, before and after. */
  readonly windowMs: number;
  readonly #limit: number;
  /** By when they can be forgotten. */
  readonly #until = new Map<string, number>();

  constructor(options: { readonly windowMs?: number; readonly limit?: number } = {}) {
    this.windowMs = options.windowMs ?? 5 * 60_000;
    this.#limit = options.limit ?? 100_000;
  }

  get size(): number {
    return this.#until.size;
  }

  /** Remembers a nonce; refuses one that is remembered. */
  take(signer: string, nonce: string, at: number, now: number): void {
    const key = `${signer}\n${nonce}`;
    if ((this.#until.get(key) ?? -1) >= now) throw refused('it was accepted before: this is a replay');
    if (this.#until.size >= this.#limit) this.#forget(now);
    if (this.#until.size >= this.#limit) {
      throw new AppError('exhausted', `${this.#limit} signed messages came within ${this.windowMs} ms.`, {
        fix: 'Send fewer, and this one again later.',
      });
    }
    this.#until.set(key, at + this.windowMs);
  }

  #forget(now: number): void {
    for (const [key, until] of this.#until) if (until < now) this.#until.delete(key);
  }
}

/** Lengths stand before texts, so that two different messages never give the same bytes. */
function signedBytes(message: string, signer: string, at: number, nonce: string): Buffer {
  const parts = [signer, String(at), nonce, message].map((text) => `${Buffer.byteLength(text)}:${text}`);
  return Buffer.from(`maos.signature.1\n${parts.join('')}`, 'utf8');
}

function refused(why: string, fix = 'Have its signer sign it anew, with its own key.'): AppError {
  return new AppError('unauthenticated', `The signed message was not accepted: ${why}.`, { fix });
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
