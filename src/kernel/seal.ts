/**
 * Envelopes: text that can be read and changed only with a key, and only where it was put. AES-256-GCM with a nonce of 96 random
 * bits. What an envelope is bound to (the stream, the field) is authenticated with it, so that one cannot stand in for another.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AppError } from './error.ts';

/** `sealed.<version>.<key id>.<nonce>.<ciphertext and tag>`; nothing that is JSON begins so. */
const shape = /^sealed\.1\.([a-z0-9_]{1,64})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;
const start = 'sealed.';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** A key for envelopes. Its id stands in each envelope that it closed. */
export interface SealingKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** The keys that open envelopes; the newest of them closes new ones. */
export interface Keys {
  readonly current: SealingKey;
  /** The current one last. */
  readonly all: readonly SealingKey[];
  find(id: string): SealingKey | undefined;
}

/** 256 random bits under an id that tells nothing of them. */
export function newKey(id: string): SealingKey {
  return { id, bytes: randomBytes(keyBytes) };
}

/** A set of keys as `Keys`: the last one is current. */
export function keysOf(keys: readonly SealingKey[]): Keys {
  const current = keys.at(-1);
  if (current === undefined) throw new Error('A set of keys holds at least one.');
  const byId = new Map(keys.map((key) => [key.id, key]));
  return { current, all: keys, find: (id) => byId.get(id) };
}

/** Whether a text claims to be an envelope. */
export function isSealed(text: string): boolean {
  return text.startsWith(start);
}

/** The id of the key that closed an envelope; refuses a text that is none. */
export function keyIdOf(envelope: string): string {
  return partsOf(envelope).id;
}

/** Closes a text into an envelope that opens only with this key and only for the same `place`. */
export function seal(key: SealingKey, text: string, place: string): string {
  const nonce = randomBytes(nonceBytes);
  const body = encrypt(key.bytes, nonce, Buffer.from(text, 'utf8'), associated(key.id, place));
  return `${start}1.${key.id}.${nonce.toString('base64url')}.${body.toString('base64url')}`;
}

/** Opens an envelope. Refuses what is none, a key that is not there, and one that was changed or stands elsewhere than it was put. */
export function open(keys: Pick<Keys, 'find'>, envelope: string, place: string): string {
  const { id, nonce, body } = partsOf(envelope);
  const key = keys.find(id);
  if (key === undefined) {
    throw new AppError('unavailable', `The key ${id} is not there, so what it sealed (${place}) cannot be read.`, {
      fix: 'Put the key back that this data was written with: the files "keys.json" and "key" of this MAOS_HOME, or its passphrase.',
      details: { key: id },
    });
  }
  return decrypt(key.bytes, nonce, body, associated(id, place), place).toString('utf8');
}

/** Closes bytes: nonce, ciphertext and tag. For files, whose key id stands in their head. */
export function sealBytes(key: SealingKey, bytes: Uint8Array, place: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  return Buffer.concat([nonce, encrypt(key.bytes, nonce, bytes, associated(key.id, place))]);
}

/** By how much bytes grow when they are sealed. */
export const sealedOverhead = nonceBytes + tagBytes;

/** The reverse of `sealBytes`. */
export function openBytes(key: SealingKey, sealed: Uint8Array, place: string): Buffer {
  if (sealed.length < sealedOverhead) throw altered(place);
  const body = sealed.subarray(nonceBytes);
  return decrypt(key.bytes, sealed.subarray(0, nonceBytes), body, associated(key.id, place), place);
}

/** AES-256-GCM itself: ciphertext and tag. Exported for the known answers that it is tested with. */
export function encrypt(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, data: Uint8Array): Buffer {
  if (key.length !== keyBytes || nonce.length !== nonceBytes) throw new Error('A key has 32 bytes, and a nonce 12.');
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(data);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, nonce: Uint8Array, body: Uint8Array, data: Uint8Array, place: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(data);
  decipher.setAuthTag(body.subarray(body.length - tagBytes));
  const plain = decipher.update(body.subarray(0, body.length - tagBytes));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    throw altered(place);
  }
}

function partsOf(envelope: string): { id: string; nonce: Buffer; body: Buffer } {
  const [, id, nonce, body] = shape.exec(envelope) ?? [];
  if (id !== undefined && nonce !== undefined && body !== undefined) {
    const parts = { id, nonce: Buffer.from(nonce, 'base64url'), body: Buffer.from(body, 'base64url') };
    // Spare bits at the end of the text would let one envelope be written in several ways.
    if (parts.body.toString('base64url') === body) return parts;
  }
  const newer = /^sealed\.(\d+)\./.exec(envelope)?.[1];
  if (newer !== undefined && newer !== '1') {
    throw new AppError('unavailable', `This was sealed by a newer MAOS (envelope version ${newer}).`, {
      fix: 'Update MAOS.',
    });
  }
  throw new AppError('invalid', 'This is not a sealed text of MAOS, or a part of it is missing.');
}

function associated(id: string, place: string): Buffer {
  return Buffer.from(`maos.sealed.1\n${id}\n${place}`, 'utf8');
}

function altered(place: string): AppError {
  return new AppError(
    'invalid',
    `What is sealed at ${place} does not open: it was changed, moved there from elsewhere, or closed with another key of the same name.`,
    { fix: 'Restore it from a snapshot or a copy; nothing of it can be trusted.' },
  );
}
