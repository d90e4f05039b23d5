import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { createClient } from '../gateway/client.ts';
import { watchOps } from '../watch/contract.ts';
import { readConfig } from './config.ts';
import { findServer } from './connect.ts';
import { placesIn } from './places.ts';
import { program } from './program.fixture.ts';
import { type Server, startServer } from './server.ts';

let home: string;
let server: Server;
let url: string;
let ca: string;
const environment = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: home,
  MAOS_HOME: home,
  MAOS_TLS: 'auto',
});

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'maos-tls-doors-'));
  const env = environment();
  server = await startServer({ config: readConfig(env), version: '0', acts: false, listens: true, environment: env });
  url = server.url ?? '';
  ca = readFileSync(join(placesIn(home).tls, 'ca.pem'), 'utf8');
});

afterAll(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

/** The code of the error with which a connection failed, or the protocol that was agreed on. */
function handshake(options: { ca?: string; minVersion?: 'TLSv1.2'; maxVersion?: 'TLSv1.2' }): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ...options });
    socket.once('secureConnect', () => {
      resolve(socket.getProtocol() ?? 'none');
      socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

describe('a server with TLS', () => {
  it('speaks TLS 1.3 and nothing older, and is known by its authority alone', async () => {
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await handshake({ ca })).toBe('TLSv1.3');
    expect(await handshake({ ca, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).toMatch(/PROTOCOL_VERSION/);
    expect(await handshake({})).toMatch(/SELF_SIGNED|UNABLE_TO/);
  });

  it('does not answer in the clear', async () => {
    await expect(fetch(url.replace('https:', 'http:'))).rejects.toThrow('fetch failed');
  });

  it('is called by the typed client with the file of MAOS_HOME, and followed', async () => {
    const client = createClient({ url, token: server.token, trust: { ca } });
    expect(await client.call(watchOps.status, {})).toMatchObject({ version: '0' });
    client.close();
    const blind = createClient({ url, token: server.token });
    await expect(blind.call(watchOps.status, {})).rejects.toThrow(/certificate/);
    blind.close();
  });

  it('keeps its guard: token, host and origin', async () => {
    const status = (headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const sent = request(`${url}/api/v1/projects`, { ca, servername: 'localhost', headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.once('error', reject);
        sent.end();
      });
    const authorization = `Bearer ${server.token}`;
    expect(await status({ authorization, origin: url })).toBe(200);
    expect(await status({ authorization, origin: url.replace('https', 'http') })).toBe(403);
    expect(await status({ authorization, host: 'evil.example' })).toBe(403);
    expect(await status({})).toBe(401);
  });

  it('opens WebSockets', async () => {
    const socket = new WebSocket(`${url.replace('https', 'wss')}/api/v1/live`, ['maos.v1', `bearer.${server.token}`], {
      ca,
    });
    await once(socket, 'open');
    expect(socket.protocol).toBe('maos.v1');
    socket.close();
    await once(socket, 'close');
  });

  it('is found and used by the shell', async () => {
    expect(await findServer(home)).toMatchObject({ url, trust: { ca } });
    const child = spawn(process.execPath, [program(), 'status', '--json'], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    expect(out).toContain(url);
  });
});

it('with a certificate of one’s own, is known by that file and the name in it', async () => {
  const { issue, makeAuthority } = await import('./tls-certificate.ts');
  const { X509Certificate } = await import('node:crypto');
  const { writeFileSync } = await import('node:fs');
  const authority = makeAuthority(Date.now());
  const leaf = issue(authority, new X509Certificate(authority.cert).subject.slice(3), ['maos.example'], Date.now());
  const own = mkdtempSync(join(tmpdir(), 'maos-tls-own-'));
  const [cert, key] = [join(own, 'cert.pem'), join(own, 'key.pem')];
  writeFileSync(cert, leaf.cert);
  writeFileSync(key, leaf.key);
  writeFileSync(join(own, 'config.json'), JSON.stringify({ server: { tls: { cert, key } } }));
  const env = { PATH: process.env['PATH'], HOME: own, MAOS_HOME: own };
  const other = await startServer({
    config: readConfig(env),
    version: '0',
    acts: false,
    listens: true,
    environment: env,
  });
  try {
    const found = await findServer(own);
    expect(found).toMatchObject({ url: other.url, trust: { ca: leaf.cert, name: 'maos.example' } });
    const client = createClient({
      url: other.url ?? '',
      token: other.token,
      ...(found?.trust === undefined ? {} : { trust: found.trust }),
    });
    expect(await client.call(watchOps.status, {})).toMatchObject({ version: '0' });
    client.close();
  } finally {
    await other.close();
    rmSync(own, { recursive: true, force: true });
  }
});
