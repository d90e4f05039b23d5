/** The second factor: time-based one-time passwords (RFC 6238: SHA-1, 30 seconds, six digits, as every authenticator app has them). */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const stepMs = 30_000;
const digits = 6;
/** A code of the step before or after counts as well: clocks differ. */
const drift = 1;

/** A new secret of 160 bits, in base32, as people type it into their app. */
export function newFactor(): string {
  return base32(randomBytes(20));
}

/** What an authenticator app reads as a QR code. */
export function factorUri(secret: string, account: string): string {
  const label = `MAOS:${encodeURIComponent(account)}`;
  return `otpauth://totp/${label}?secret=${secret}&issuer=MAOS&algorithm=SHA1&digits=${digits}&period=${stepMs / 1_000}`;
}

/** The step of time whose code this is, among those that count now; undefined: none. Every step is compared, so the time taken tells nothing. */
export function stepOf(secret: string, code: string, now: number): number | undefined {
  const current = Math.floor(now / stepMs);
  const key = bytesOf(secret);
  const given = Buffer.from(code.padEnd(digits).slice(0, 32));
  let found: number | undefined;
  for (let step = current - drift; step <= current + drift; step += 1) {
    const expected = Buffer.from(codeAt(key, step));
    if (given.length === expected.length && timingSafeEqual(given, expected)) found = step;
  }
  return found;
}

/** The code of a moment, as an app shows it. */
export function codeFor(secret: string, now: number): string {
  return codeAt(bytesOf(secret), Math.floor(now / stepMs));
}

function codeAt(key: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = mac.readUInt8(mac.length - 1) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits).padStart(digits, '0');
}

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet.charAt(Number.parseInt(five.padEnd(5, '0'), 2))).join('');
}

function bytesOf(secret: string): Buffer {
  const bits = secret
    .split('')
    .map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)));
}
