/**
 * Makes certificates (X.509 v3, RFC 5280): an authority for one home folder, and what it signs for the server. Node can read
 * certificates but not write them; what is written here is less than two hundred lines, and a library for it brings a dozen
 * packages (docs/adr/0006-sealed-state.md).
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIP } from 'node:net';
import { bits, explicit, implicit, integer, octets, oid, sequence, set, time, utf8, yes } from './tls-der.ts';

/** A certificate and its private key, in PEM. */
export interface Credential {
  readonly cert: string;
  readonly key: string;
}

const day = 24 * 3_600_000;
const authorityDays = 3_650;
/** Longer than this is not taken by browsers. */
const leafDays = 397;
const ecdsaSha256 = sequence(oid('1.2.840.10045.4.3.2'));

interface Certificate {
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly subject: string;
  readonly subjectKey: KeyObject;
  readonly from: number;
  readonly until: number;
  readonly extensions: readonly Buffer[];
}

/** A new authority. It signs for servers, and no further authorities. */
export function makeAuthority(now: number): Credential {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // Its name is its own, so that nobody mixes it up with another of the same machine.
  const name = `MAOS local authority ${randomBytes(4).toString('hex')}`;
  const extensions = [
    extension('2.5.29.19', true, sequence(yes, integer(Buffer.from([0])))),
    // keyCertSign and cRLSign.
    extension('2.5.29.15', true, bits(Buffer.from([0x06]), 1)),
    extension('2.5.29.14', false, octets(keyId(publicKey))),
  ];
  const from = now - day;
  const until = now + authorityDays * day;
  const cert = build({
    issuer: name,
    issuerKey: privateKey,
    subject: name,
    subjectKey: publicKey,
    from,
    until,
    extensions,
  });
  return { cert, key: pem(privateKey) };
}

/** A certificate for a server that goes by these names and addresses. */
export function issue(authority: Credential, issuer: string, names: readonly string[], now: number): Credential {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuerKey = createPrivateKey(authority.key);
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    // digitalSignature
    extension('2.5.29.15', true, bits(Buffer.from([0x80]), 7)),
    // serverAuth
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', false, sequence(...names.map(alternativeName))),
    extension('2.5.29.14', false, octets(keyId(publicKey))),
    extension('2.5.29.35', false, sequence(implicit(0, keyId(createPublicKey(authority.cert))))),
  ];
  const cert = build({
    issuer,
    issuerKey,
    subject: 'MAOS server',
    subjectKey: publicKey,
    from: now - day,
    until: now + leafDays * day,
    extensions,
  });
  return { cert, key: pem(privateKey) };
}

function build({ issuer, issuerKey, subject, subjectKey, from, until, extensions }: Certificate): string {
  const serial = randomBytes(16);
  // Never 0, never negative, and always as long.
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0);
  const signed = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaSha256,
    nameOf(issuer),
    sequence(time(from), time(until)),
    nameOf(subject),
    spki(subjectKey),
    explicit(3, sequence(...extensions)),
  );
  const certificate = sequence(signed, ecdsaSha256, bits(sign('sha256', signed, issuerKey)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const nameOf = (text: string): Buffer => sequence(set(sequence(oid('2.5.4.3'), utf8(text))));
const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [yes] : []), octets(value));
}

/** The SHA-1 of the key's bits: a name for it, nothing is proved by it. A point of P-256 is the last 65 bytes. */
function keyId(key: KeyObject): Buffer {
  return createHash('sha1').update(spki(key).subarray(-65)).digest();
}

function alternativeName(name: string): Buffer {
  const family = isIP(name);
  return family === 0 ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, addressBytes(name, family));
}

function addressBytes(address: string, family: number): Buffer {
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes every address of version 6 in its shortest form, without an embedded one of version 4.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const end = tail === undefined ? [] : words(tail);
  const start = words(head);
  const all = [...start, ...Array.from({ length: 8 - start.length - end.length }, () => 0), ...end];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
