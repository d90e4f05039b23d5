import { X509Certificate } from 'node:crypto';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { issue, makeAuthority } from '../../app/tls-certificate.ts';
import { ManualClock } from '../../kernel/clock.ts';
import { isPublicAddress } from './address.ts';
import { Documents } from './document.ts';

const authority = makeAuthority(Date.now());
const name = new X509Certificate(authority.cert).subject.replace(/^CN=/, '');
const certificate = issue(authority, name, ['client.example'], Date.now());

let server: Server;
let answer: (response: ServerResponse) => void;
let asked: number;
let looked: number;
let clock: ManualClock;
let address: string;

beforeAll(async () => {
  server = createServer({ cert: certificate.cert, key: certificate.key }, (_request, response) => {
    asked += 1;
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  address = `https://client.example:${typeof bound === 'object' ? (bound?.port ?? 0) : 0}/client.json`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});
beforeEach(() => {
  [asked, looked] = [0, 0];
  clock = new ManualClock();
  answer = (response) => give(response, described());
});

const described = (change: object = {}): object => ({
  client_id: address,
  client_name: 'A client',
  redirect_uris: ['https://client.example/callback'],
  ...change,
});

function give(response: ServerResponse, value: unknown, type = 'application/json', status = 200): void {
  response.writeHead(status, { 'content-type': type });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
}

const at = (...addresses: string[]): readonly LookupAddress[] =>
  addresses.map((one) => ({ address: one, family: one.includes(':') ? 6 : 4 }));

/** By default its host is found at this machine, and that is allowed. */
function documents({ inner = true, found = at('127.0.0.1'), trusted = true } = {}): Documents {
  const lookup = async (): Promise<readonly LookupAddress[]> => {
    looked += 1;
    return found;
  };
  return new Documents({ clock, inner, lookup, ...(trusted ? { ca: authority.cert } : {}) });
}

describe('the document of a client', () => {
  it('is read, once for a while, from the address that was looked at', async () => {
    const some = documents();
    const wanted = {
      name: 'A client',
      document: address,
      uri: address,
      redirectUris: ['https://client.example/callback'],
    };
    expect(await some.get(address)).toEqual(wanted);
    expect(some.has(address)).toBe(true);
    await some.get(address);
    expect([asked, looked]).toEqual([1, 1]);
    clock.advance(5 * 60_000);
    expect(some.has(address)).toBe(false);
    await some.get(address);
    expect([asked, looked]).toEqual([2, 2]);
  });

  it.each([
    ['is of another address', () => described({ client_id: 'https://other.example/client.json' }), /client_id/],
    ['holds a secret', () => described({ client_secret: 'x' }), /secret/],
    ['wants a secret', () => described({ token_endpoint_auth_method: 'client_secret_post' }), /public/],
    ['names no address', () => described({ redirect_uris: [] }), /redirect_uris/],
    ['names an address of the system', () => described({ redirect_uris: ['ms-msdt:/x'] }), /scheme/],
    ['is no JSON', () => '<html>', /not JSON/],
    ['is larger than a document is', () => described({ more: 'x'.repeat(20_000) }), /larger/],
  ])('is refused when it %s', async (_what, value, why) => {
    answer = (response) => give(response, value());
    await expect(documents().get(address)).rejects.toThrow(why);
  });

  it('is refused when it is sent as something else, or from elsewhere', async () => {
    answer = (response) => give(response, described(), 'text/html');
    await expect(documents().get(address)).rejects.toThrow('application/json');
    answer = (response) => {
      response.writeHead(302, { location: 'https://127.0.0.1/' });
      response.end();
    };
    await expect(documents().get(address)).rejects.toThrow('answered 302');
    await expect(documents({ trusted: false }).get(address)).rejects.toThrow('cannot be reached');
  });

  it('is not waited for longer than five seconds; then it is asked for again soon', async () => {
    const begun = new Promise<void>((resolve) => {
      answer = (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{');
        resolve();
      };
    });
    const some = documents();
    const read = some.get(address);
    await begun;
    clock.advance(5_000);
    await expect(read).rejects.toThrow('longer than 5 s');
    expect(some.has(address)).toBe(true);
    clock.advance(30_000);
    expect(some.has(address)).toBe(false);
  });

  it.each([
    ['loopback', at('127.0.0.1')],
    ['a private network', at('10.1.2.3')],
    ['one private address among others', at('93.184.216.34', '192.168.0.1')],
    ['an address in the form of another', at('::ffff:127.0.0.1')],
    ['nothing', []],
  ])('is not asked for at a host that leads to %s', async (_what, found) => {
    await expect(documents({ inner: false, found }).get(address)).rejects.toThrow(/private network|not known/);
    expect(asked).toBe(0);
  });

  it.each([
    'http://client.example/client.json',
    'https://client.example/',
    'https://user:pass@client.example/c',
    'https://client.example/c#x',
    'https://client.example/a/../c',
    'https://CLIENT.example/c',
    `https://client.example/${'x'.repeat(600)}`,
    'https://',
  ])('is not asked for at %s', (text) => {
    expect(() => documents().get(text)).toThrow('plain https');
  });
});

describe('an address', () => {
  it.each(['1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '2a00:1450:4001::1'])('%s is public', (text) => {
    expect(isPublicAddress(text)).toBe(true);
  });

  it.each([
    ...[
      '0.0.0.0',
      '10.0.0.1',
      '100.64.0.1',
      '127.0.0.1',
      '127.255.255.255',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
    ],
    ...['192.168.1.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', 'localhost', ''],
    ...[
      '::',
      '::1',
      '::ffff:1.1.1.1',
      '::127.0.0.1',
      'fe80::1',
      'fc00::1',
      'fd12::1',
      'ff02::1',
      '2001:db8::1',
      '2002:7f00:1::',
    ],
    ...['64:ff9b::7f00:1', '2001::1', 'fec0::1'],
  ])('%s is not', (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });
});
