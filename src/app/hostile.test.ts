/**
 * What the doors of a whole server do with callers that mean no good: the right status, nothing changed, nothing told. The doors
 * alone are looked at in gateway/*.test.ts, the guard in auth/guard.test.ts.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { authOps } from '../auth/contract.ts';
import { localCaller } from '../kernel/caller.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Call } from '../kernel/handler.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchEvents, watchOps } from '../watch/contract.ts';
import { readConfig } from './config.ts';
import { type Server, startServer } from './server.ts';

const hour = 3_600_000;
const rates = { agent: { quota: 5, windowMs: hour }, stranger: { quota: 8, windowMs: hour } };

let root: string;
let server: Server;
let url: string;
let port: number;
let call: Call;

beforeAll(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-hostile-')));
  const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: join(root, 'home') };
  const config = { ...readConfig(environment), rates };
  server = await startServer({ config, version: '0', acts: false, listens: true, environment });
  if (server.url === null) throw new Error('The server has no doors.');
  url = server.url;
  port = Number(new URL(url).port);
  call = server.registry.as(localCaller);
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

/** The end of the log but for what the audit itself writes. */
async function changes(): Promise<LogRecord[]> {
  const { records } = await call(watchOps.events, { limit: 5_000 });
  return records
    .filter(({ type }) => type !== watchEvents.refused.type)
    .map(({ data, ...record }) => ({ ...record, data }));
}
let before = 0;
beforeEach(async () => {
  before = (await changes()).length;
});

/** What an answer may not hold: where things are, what they are made of, and what opens doors. */
const told = (): RegExp => new RegExp(`${server.token}|${root}|node_modules|\\bat .+:\\d+:\\d+|SELECT |SQLITE|src/`);

async function nothingHappened(answer: string): Promise<void> {
  expect(answer).not.toMatch(told());
  expect(await changes()).toHaveLength(before);
}

/** Sends bytes and gives all that comes back. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
    socket.once('close', () => resolve(answer));
    socket.once('error', (error: NodeJS.ErrnoException) => (answer === '' ? reject(error) : resolve(answer)));
  });
}

const body = JSON.stringify({ title: 'from a bad place' });
/** A request that would create a task if its head were right. */
const request = (lines: readonly string[], sent = body, target = 'POST /api/v1/tasks HTTP/1.1'): string =>
  `${[target, ...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${sent}`;
const sized = `Content-Length: ${Buffer.byteLength(body)}`;
const host = (): string => `Host: 127.0.0.1:${port}`;
const bearer = (): string => `Authorization: Bearer ${server.token}`;
const json = 'Content-Type: application/json';

describe('a request that is not what it seems', () => {
  it('is answered when nothing is wrong with it', async () => {
    expect(await raw(request([host(), bearer(), json, sized]))).toMatch(/^HTTP\/1\.1 200 [^]*from a bad place/);
    expect(await changes()).toHaveLength(before + 1);
  });

  it.each<[string, () => string[], number]>([
    ['comes for a name that was pointed here (DNS rebinding)', () => [`Host: rebind.example:${port}`, bearer()], 403],
    [
      'hides the real host behind a proxy header',
      () => [
        'Host: evil.example',
        `X-Forwarded-Host: 127.0.0.1:${port}`,
        `Forwarded: host=127.0.0.1:${port}`,
        bearer(),
      ],
      403,
    ],
    ['names two hosts', () => [host(), 'Host: evil.example', bearer()], 400],
    ['has a host with somebody before it', () => [`Host: 127.0.0.1:${port}@evil.example`, bearer()], 403],
    ['has a host that only begins right', () => [`Host: 127.0.0.1:${port}.evil.example`, bearer()], 403],
    ['comes from a page of another site', () => [host(), 'Origin: https://evil.example', bearer()], 403],
    ['comes from a page without an origin', () => [host(), 'Origin: null', bearer()], 403],
    ['comes from the same name on another port', () => [host(), 'Origin: http://127.0.0.1:1', bearer()], 403],
    ['comes from our name over another protocol', () => [host(), `Origin: ftp://127.0.0.1:${port}`, bearer()], 403],
    [
      'is a form of another site, which needs no preflight',
      () => [host(), 'Origin: https://evil.example', 'Content-Type: text/plain'],
      403,
    ],
    ['has no token', () => [host()], 401],
    ['has a token that lacks its last letter', () => [host(), bearer().slice(0, -1)], 401],
    ['has a token with something after it', () => [host(), `${bearer()}x`], 401],
    ['has the token in another case', () => [host(), bearer().toLowerCase()], 401],
    ['has the token under another scheme', () => [host(), `Authorization: Basic ${server.token}`], 401],
    [
      'has the token in a cookie',
      () => [host(), `Cookie: token=${server.token}; authorization=Bearer ${server.token}`],
      401,
    ],
    ['has two tokens, one of which is right', () => [host(), bearer(), 'Authorization: Bearer wrong'], 400],
    [
      'has two origins',
      () => [host(), `Origin: http://127.0.0.1:${port}`, 'Origin: https://evil.example', bearer()],
      400,
    ],
    ['has an empty token', () => [host(), 'Authorization: Bearer '], 401],
    ['has a token of half a megabyte', () => [host(), `Authorization: Bearer ${'x'.repeat(500_000)}`], 431],
    [
      'asks for another method by a header',
      () => [host(), 'X-HTTP-Method-Override: GET', 'Authorization: Bearer wrong'],
      401,
    ],
  ])('and %s', async (_what, lines, status) => {
    const answer = await raw(request([...lines(), json, sized]));
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    await nothingHappened(answer);
  });

  it('has the token in the address, where logs and histories keep it', async () => {
    const answer = await raw(
      request(
        [host(), json, sized],
        body,
        `POST /api/v1/tasks?token=${server.token}&access_token=${server.token} HTTP/1.1`,
      ),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    await nothingHappened(answer);
  });

  it.each<[string, string[], string]>([
    ['two lengths', ['Content-Length: 5', `Content-Length: ${body.length}`], body],
    [
      'a length and chunks (smuggling)',
      [sized, 'Transfer-Encoding: chunked'],
      `0\r\n\r\nGET /api/v1/tasks HTTP/1.1\r\n\r\n`,
    ],
    ['chunks of a chunked sort', ['Transfer-Encoding: xchunked'], body],
    ['a header with a space before its colon', ['Content-Length : 5'], body],
    ['a header over two lines', ['X-A: a\r\n b: c', 'Transfer-Encoding: chunked, identity'], body],
    ['a zero byte in a header', ['X-A: a\0b', sized], body],
    ['a length below zero', ['Content-Length: -1'], body],
  ])('and has %s', async (_what, lines, sent) => {
    const answer = await raw(request([host(), bearer(), json, ...lines], sent));
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    await nothingHappened(answer);
  });

  it.each([
    '/api/v1/../../etc/passwd',
    '/api/v1/tasks/..%2f..%2fadmin%2frebuild',
    '/api/v1/tasks/%2e%2e/%2e%2e/health',
    '/api/v1//tasks',
    '/api/v1/tasks/%00',
    '/API/V1/TASKS',
    '/api/v1/agents/..%5c..%5ctoken/transcript',
    '//evil.example/api/v1/tasks',
    '/metrics/../health',
  ])('and asks for %s', async (path) => {
    const answer = await raw(request([host(), bearer()], '', `GET ${path} HTTP/1.1`));
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
    await nothingHappened(answer);
  });
});

describe('a credential', () => {
  it('that was revoked or is of somebody disabled opens nothing from then on, not even what is open', async () => {
    const made = await call(authOps.createKey, { name: 'soon gone', role: 'worker' });
    const answer = (): Promise<Response> =>
      fetch(`${url}/api/v1/tasks`, { headers: { authorization: `Bearer ${made.token}` } });
    expect((await answer()).status).toBe(200);
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/live`, {
      headers: { authorization: `Bearer ${made.token}` },
    });
    await once(socket, 'open');
    await call(authOps.revokeKey, { key: made.key.id });
    before = (await changes()).length;
    const refused = await answer();
    expect(refused.status).toBe(401);
    const closed = once(socket, 'close');
    socket.send(JSON.stringify({ type: 'call', id: 'a', operation: 'task.list', input: {} }));
    await closed;
    await nothingHappened(await refused.text());
  });

  it('does what its scopes say and nothing more, and each refusal is written down once', async () => {
    const { token, key } = await call(authOps.createKey, { name: 'viewer', role: 'viewer' });
    before = (await changes()).length;
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    for (let times = 0; times < 50; times += 1) {
      const refused = await fetch(`${url}/api/v1/tasks`, { method: 'POST', headers, body });
      expect(refused.status).toBe(403);
      await nothingHappened(await refused.text());
    }
    expect((await fetch(`${url}/metrics`, { headers })).status).toBe(403);
    const written = async (): Promise<unknown> => {
      const asked = { type: watchEvents.refused.type, operation: taskOps.create.name };
      const { records } = await call(watchOps.events, asked);
      return records
        .map((record) => watchEvents.refused.schema.parse(record.data))
        .filter(({ credential }) => credential === key.id || credential?.includes(key.id) === true);
    };
    // It is on its way to the log when the refusal is answered.
    const one = expect.objectContaining({ code: 'forbidden', count: 1, operations: ['task.create'] });
    await expect.poll(written).toEqual([one]);
  });
});

describe('a connection', () => {
  it('of another site’s page is not made, though the browser knows the token', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { host: 'rebind.example' }]) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/live`, ['maos.v1', `bearer.${server.token}`], {
        headers,
      });
      const [, response] = await once(socket, 'unexpected-response');
      expect(response.statusCode).toBe(403);
      response.destroy();
    }
    await nothingHappened('');
  });

  it('that never ends its request does not keep others out', async () => {
    const slow: Socket[] = [];
    for (let number = 0; number < 300; number += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`POST /api/v1/tasks HTTP/1.1\r\n${host()}\r\nX-Slow: `);
      slow.push(socket);
    }
    await Promise.all(slow.map(async (socket) => (socket.connecting ? once(socket, 'connect') : [])));
    const answered = await fetch(`${url}/api/v1/tasks`, { headers: { authorization: `Bearer ${server.token}` } });
    expect(answered.status).toBe(200);
    for (const socket of slow) socket.destroy();
    await nothingHappened('');
  });
});

describe('who calls too often', () => {
  it('is refused with the time to wait, and others are not', async () => {
    const agent = {
      actor: { kind: 'agent', id: 'ag_eager' },
      scopes: ['task:read'],
      teams: null,
      credential: 'session ag_eager/1',
    } as const;
    const other = { ...agent, actor: { kind: 'agent', id: 'ag_calm' }, credential: 'session ag_calm/1' } as const;
    for (let times = 0; times < 5; times += 1) await server.registry.call('task.list', {}, { caller: agent });
    await expect(server.registry.call('task.list', {}, { caller: agent })).rejects.toMatchObject({
      code: 'exhausted',
      headers: { 'retry-after': '720' },
    });
    await server.registry.call('task.list', {}, { caller: other });
  });

  it('is told over REST what is left', async () => {
    const answer = await fetch(`${url}/api/v1/tasks`, { headers: { authorization: `Bearer ${server.token}` } });
    expect(answer.headers.get('ratelimit-policy')).toMatch(/^"user";q=\d+;w=60$/);
    expect(answer.headers.get('ratelimit')).toMatch(/^"user";r=\d+;t=\d+$/);
  });

  it('is told over MCP too', async () => {
    const answer = await fetch(`${url}/mcp`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${server.token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
      }),
    });
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
    expect(answer.headers.get('ratelimit-policy')).toMatch(/^"user";q=\d+;w=60$/);
    expect(answer.headers.get('ratelimit')).toMatch(/^"user";r=\d+;t=\d+$/);
  });
});

describe('who has shown nothing', () => {
  const ask = (sent: string): Promise<Response> =>
    fetch(`${url}/api/v1/logins`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: sent });

  it('may send a few kilobytes, so often, and is counted before anything is read', async () => {
    const large = await ask(JSON.stringify({ name: 'ada', password: 'x'.repeat(9_000) }));
    expect(large.status).toBe(413);
    const statuses: number[] = [];
    for (let times = 0; times < 8; times += 1) statuses.push((await ask('{"name":')).status);
    expect(statuses).toEqual([400, 400, 400, 400, 400, 400, 400, 429]);
    const refused = await ask('{');
    expect(Object.fromEntries(refused.headers)).toMatchObject({
      'retry-after': '450',
      'ratelimit-policy': '"stranger";q=8;w=3600',
      ratelimit: expect.stringMatching(/^"stranger";r=0;t=3600$/),
    });
    await nothingHappened(await refused.text());
  });
});

describe('what was refused', () => {
  it('is counted where Prometheus reads it, behind the token', async () => {
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${server.token}` } });
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const text = await answer.text();
    expect(text).toMatch(/^maos_calls_total\{operation="task.create",caller="user",outcome="forbidden"\} 50$/m);
    expect(text).toMatch(/^maos_refusals_total\{code="unauthenticated"\} [1-9]/m);
    expect(text).toMatch(/^maos_call_duration_seconds_count\{operation="task.list"\} [1-9]/m);
    expect(text).toMatch(/^maos_log_position [1-9]\d*$/m);
  });

  it('stands in the log in few records, without what was shown', async () => {
    const { records } = await call(watchOps.events, { type: watchEvents.refused.type, limit: 5_000 });
    expect(records.length).toBeGreaterThan(0);
    expect(records.length).toBeLessThan(10);
    expect(records.every(({ actor }) => actor === 'system:audit')).toBe(true);
    expect(JSON.stringify(records)).not.toMatch(told());
    expect(JSON.stringify(records)).not.toContain('evil.example');
  });

  it('can be read as CSV and JSON lines, by who may', async () => {
    const headers = { authorization: `Bearer ${server.token}` };
    expect((await fetch(`${url}/api/v1/audit/export`)).status).toBe(401);
    expect((await fetch(`${url}/api/v1/audit/export?format=exe`, { headers })).status).toBe(400);
    const csv = await fetch(`${url}/api/v1/audit/export?format=csv`, { headers });
    expect(csv.headers.get('content-type')).toContain('text/csv');
    expect(await csv.text()).toMatch(/^position,at,time,actor,[^]*audit\.refused/);
    const lines = (await (await fetch(`${url}/api/v1/audit/export`, { headers })).text()).trimEnd().split('\n');
    const records: { position: number }[] = lines.map((line) => JSON.parse(line));
    expect(records.map(({ position }) => position)).toEqual(records.map((_, index) => index + 1));
    const { token } = await call(authOps.createKey, { name: 'worker', role: 'worker' });
    expect((await fetch(`${url}/api/v1/audit/export`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(
      403,
    );
  });
});

it('what the server writes down about failures holds no secret', () => {
  const log = join(root, 'home/server.log');
  const text = (() => {
    try {
      return readFileSync(log, 'utf8');
    } catch {
      return '';
    }
  })();
  expect(text).not.toContain(server.token);
});
