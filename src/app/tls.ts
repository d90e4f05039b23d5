import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { AppError, invalid } from '../kernel/error.ts';
import { type Keys, open, seal } from '../kernel/seal.ts';
import { replaceFile } from '../kernel/replace.ts';
import type { Config } from './config.ts';
import { type Credential, issue, makeAuthority } from './tls-certificate.ts';

/** What a server speaks TLS with, and how its clients on this machine know it. */
export interface Tls extends Credential {
  /** The file of the certificate that clients trust. */
  readonly trust: string;
  /** The name that clients look for in it; null: the address that they call. */
  readonly name: string | null;
}

const renewMs = 30 * 24 * 3_600_000;

/** The TLS of a server as it is configured; null: it speaks plain HTTP, on loopback. */
export async function tlsOf(
  config: Pick<Config, 'host' | 'tls'>,
  folder: string,
  keys: () => Promise<Keys>,
  now: number,
): Promise<Tls | null> {
  if (config.tls === null) return null;
  return config.tls === 'auto' ? ownTls(folder, await keys(), namesOf(config.host), now) : givenTls(config.tls, now);
}

/** Every name and address under which a server on this host can be reached. */
export function namesOf(host: string): string[] {
  const everywhere = host === '0.0.0.0' || host === '::';
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  // An address with a zone (fe80::1%eth0) is not one that a certificate can hold.
  const mine = addresses.map(({ address }) => address).filter((address) => !address.includes('%'));
  return [...new Set(['localhost', '127.0.0.1', '::1', ...(everywhere ? [hostname(), ...mine] : [host])])];
}

function givenTls(files: { readonly cert: string; readonly key: string }, now: number): Tls {
  const cert = readPem(files.cert);
  const key = readPem(files.key);
  const certificate = parse(cert);
  const fix = {
    fix: 'Name the PEM files of a certificate (with its chain) and of its private key: "server": {"tls": {…}}.',
  };
  if (certificate === undefined) throw invalid(`${files.cert} does not hold a certificate.`, fix);
  if (Date.parse(certificate.validTo) <= now)
    throw invalid(`The certificate in ${files.cert} has ended on ${certificate.validTo}.`, { fix: 'Renew it.' });
  if (!isKeyOf(certificate, key)) throw invalid(`${files.key} is not the private key of ${files.cert}.`, fix);
  const name = /DNS:([^,\s*]+)/.exec(certificate.subjectAltName ?? '')?.[1] ?? null;
  return { cert, key, trust: files.cert, name };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('unavailable', `A file of server.tls cannot be read: ${reason}.`, {
      fix: 'Name files that the user who starts MAOS can read.',
    });
  }
}

/**
 * Certificates of MAOS's own: the authority is made once, what it signs is made anew when it is about to end or the names have changed.
 * The private keys are sealed. Files that do not fit each other, as a crash between two of them leaves, are made again.
 */
function ownTls(folder: string, keys: Keys, names: readonly string[], now: number): Tls {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const trust = join(folder, 'ca.pem');
  const authority = load(folder, 'ca', keys) ?? store(folder, 'ca', keys, makeAuthority(now));
  const issuer = new X509Certificate(authority.cert);
  const kept = load(folder, 'server', keys);
  const good = kept !== undefined && fits(new X509Certificate(kept.cert), issuer, names, now);
  const subject = issuer.subject.replace(/^CN=/, '');
  const leaf = good ? kept : store(folder, 'server', keys, issue(authority, subject, names, now));
  return { ...leaf, trust, name: null };
}

function fits(leaf: X509Certificate, issuer: X509Certificate, names: readonly string[], now: number): boolean {
  if (!leaf.verify(issuer.publicKey) || Date.parse(leaf.validTo) < now + renewMs) return false;
  return names.every((name) => leaf.checkHost(name) !== undefined || leaf.checkIP(name) !== undefined);
}

/** A certificate with its key; undefined when one of them is missing or they do not belong together. */
function load(folder: string, name: string, keys: Keys): Credential | undefined {
  const [certFile, keyFile] = [join(folder, `${name}.pem`), join(folder, `${name}.key.sealed`)];
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
  const cert = readFileSync(certFile, 'utf8');
  const key = open(keys, readFileSync(keyFile, 'utf8').trim(), `tls/${name}.key`);
  const certificate = parse(cert);
  return certificate !== undefined && isKeyOf(certificate, key) ? { cert, key } : undefined;
}

function store(folder: string, name: string, keys: Keys, made: Credential): Credential {
  replaceFile(join(folder, `${name}.key.sealed`), `${seal(keys.current, made.key, `tls/${name}.key`)}\n`);
  replaceFile(join(folder, `${name}.pem`), made.cert);
  return made;
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function isKeyOf(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
