import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keysOf, newKey } from '../kernel/seal.ts';
import type { Config } from './config.ts';
import { issue, makeAuthority } from './tls-certificate.ts';
import { integer, oid, time } from './tls-der.ts';
import { namesOf, tlsOf } from './tls.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'maos-tls-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const now = Date.now();
const day = 24 * 3_600_000;
const keys = keysOf([newKey('key_a')]);
const base = { host: '127.0.0.1', tls: 'auto' } as const;
const made = (change: Partial<Pick<Config, 'host' | 'tls'>> = {}, at = now) =>
  tlsOf({ ...base, ...change }, folder, async () => keys, at);

function openssl(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  return status === 0 ? stdout : `openssl ended with ${status}: ${stdout}${stderr}`;
}

describe('DER', () => {
  it.each([
    ['1.2.840.10045.4.3.2', '06082a8648ce3d040302'],
    ['2.5.29.17', '0603551d11'],
    ['1.3.6.1.5.5.7.3.1', '06082b06010505070301'],
  ])('writes %s', (text, hex) => expect(oid(text).toString('hex')).toBe(hex));

  it('writes numbers that are not negative, and moments on both sides of 2050', () => {
    expect(integer(Buffer.from([0, 0, 0x80])).toString('hex')).toBe('02020080');
    expect(integer(Buffer.from([0])).toString('hex')).toBe('020100');
    expect(time(Date.UTC(2026, 10, 21, 15, 4, 5)).toString('latin1', 2)).toBe('261121150405Z');
    expect(time(Date.UTC(2050, 0, 1)).toString('hex')).toBe(`180f${Buffer.from('20500101000000Z').toString('hex')}`);
  });
});

describe('a certificate', () => {
  it('is one for openssl and for Node, and is signed by its authority alone', () => {
    const authority = makeAuthority(now);
    const issuer = new X509Certificate(authority.cert);
    const names = ['localhost', 'maos.example', '127.0.0.1', '::1', '2001:db8::7', '::ffff:10.0.0.7'];
    const leaf = issue(authority, issuer.subject.replace('CN=', ''), names, now);
    const [ca, cert] = [join(folder, 'ca.pem'), join(folder, 'leaf.pem')];
    writeFileSync(ca, authority.cert);
    writeFileSync(cert, leaf.cert);
    expect(openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', ca, cert)).toContain(': OK');
    const text = openssl('x509', '-in', cert, '-noout', '-text');
    expect(text).toContain('Version: 3 (0x2)');
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature/);
    expect(text).toContain('TLS Web Server Authentication');
    expect(text).toContain(
      'DNS:localhost, DNS:maos.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:7, IP Address:0:0:0:0:0:FFFF:A00:7',
    );
    expect(openssl('x509', '-in', ca, '-noout', '-text')).toMatch(/CA:TRUE, pathlen:0[^]*Certificate Sign, CRL Sign/);
    const parsed = new X509Certificate(leaf.cert);
    expect(parsed.checkIssued(issuer) && parsed.verify(issuer.publicKey)).toBe(true);
    expect(Date.parse(parsed.validTo) - now).toBeCloseTo(397 * day, -4);
    expect(parsed.checkHost('maos.example')).toBe('maos.example');
    expect(parsed.checkHost('other.example')).toBeUndefined();
    const stranger = makeAuthority(now);
    expect(parsed.verify(new X509Certificate(stranger.cert).publicKey)).toBe(false);
    writeFileSync(ca, stranger.cert);
    expect(openssl('verify', '-CAfile', ca, cert)).toContain('ended with 2');
  });
});

describe('the TLS of a server', () => {
  it('is none unless it is asked for', async () => {
    expect(await made({ tls: null })).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is made once, for all names of the host, with keys that nobody can read', async () => {
    const first = await made({ host: '0.0.0.0' });
    expect(await made({ host: '0.0.0.0' })).toEqual(first);
    const leaf = new X509Certificate(first?.cert ?? '');
    for (const name of namesOf('0.0.0.0')) expect(leaf.checkHost(name) ?? leaf.checkIP(name), name).toBeDefined();
    expect(namesOf('0.0.0.0')).toContain(hostname());
    for (const name of readdirSync(folder)) {
      expect(readFileSync(join(folder, name), 'utf8')).not.toContain('PRIVATE KEY');
      expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    }
  });

  it('is renewed by the same authority before it ends, and when the host has another name', async () => {
    const first = await made();
    const authority = readFileSync(join(folder, 'ca.pem'), 'utf8');
    const moved = await made({ host: '10.1.2.3' });
    expect(moved?.cert).not.toBe(first?.cert);
    expect(await made({ host: '10.1.2.3' }, now + 360 * day)).toEqual(moved);
    expect((await made({ host: '10.1.2.3' }, now + 370 * day))?.cert).not.toBe(moved?.cert);
    expect(readFileSync(join(folder, 'ca.pem'), 'utf8')).toBe(authority);
  });

  it('is made again when a crash has left files that do not fit', async () => {
    const first = await made();
    rmSync(join(folder, 'server.pem'));
    const second = await made();
    writeFileSync(join(folder, 'server.pem'), first?.cert ?? '');
    const third = await made();
    expect(third?.cert).not.toBe(first?.cert);
    expect(third?.cert).not.toBe(second?.cert);
    writeFileSync(join(folder, 'ca.pem'), 'torn');
    expect(
      new X509Certificate((await made())?.cert ?? '').verify(
        new X509Certificate(readFileSync(join(folder, 'ca.pem'))).publicKey,
      ),
    ).toBe(true);
  });

  it('of one’s own files is looked at first', async () => {
    const authority = makeAuthority(now);
    const leaf = issue(authority, new X509Certificate(authority.cert).subject.slice(3), ['maos.example'], now);
    const [cert, key, other] = ['c.pem', 'k.pem', 'o.pem'].map((name) => join(folder, name));
    if (cert === undefined || key === undefined || other === undefined) throw new Error('Three files.');
    writeFileSync(cert, leaf.cert);
    writeFileSync(key, leaf.key);
    writeFileSync(other, authority.key);
    expect(await made({ tls: { cert, key } })).toEqual({ ...leaf, trust: cert, name: 'maos.example' });
    await expect(made({ tls: { cert, key: other } })).rejects.toThrow('not the private key');
    await expect(made({ tls: { cert: key, key } })).rejects.toThrow('does not hold a certificate');
    await expect(made({ tls: { cert, key: join(folder, 'none') } })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(made({ tls: { cert, key } }, now + 400 * day)).rejects.toThrow('has ended');
  });
});
