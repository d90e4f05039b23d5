import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { codeFor } from '../auth/totp.ts';
import { SseReader } from '../gateway/sse.ts';
import type { LogRecord } from '../kernel/event.ts';
import { exec } from '../kernel/exec.ts';
import { Entrance } from './identity.fixture.ts';
import { program } from './program.fixture.ts';

let entrance: Entrance;
beforeAll(async () => {
  entrance = await new Entrance().start();
});
afterAll(() => entrance.destroy());

const password = 'correct horse battery';
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const idOf = (value: unknown): string =>
  typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string' ? value.id : '';

describe('a user', () => {
  it('is made by the owner of the machine, logs in, and is who they are', async () => {
    await entrance.owner('POST', '/users', { name: 'ada', role: 'admin', password });
    const token = await entrance.login('ada', password);
    expect(token).toMatch(/^maosl_[\w-]{43}$/);
    const account = await entrance.ask('GET', '/account', token);
    expect(account.body).toMatchObject({ actor: 'user:ada', scopes: ['*'], teams: null });
    expect(text(account.body['credential'])).toMatch(/^login_/);
  });

  it('is refused with the same words, whether the name or the password is wrong, or the user disabled', async () => {
    await entrance.owner('POST', '/users', { name: 'bob', role: 'viewer', password });
    await entrance.owner('PATCH', '/users/bob', { disabled: true });
    const answers = await Promise.all(
      [
        { name: 'nobody', password },
        { name: 'ada', password: 'wrong horse battery' },
        { name: 'bob', password },
      ].map((given) => entrance.ask('POST', '/logins', null, given)),
    );
    expect(new Set(answers.map(({ status, text: told }) => `${status} ${told}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(401);
  });

  it('does not come in without a credential anywhere else', async () => {
    for (const [method, path] of [
      ['GET', '/users'],
      ['GET', '/logins'],
      ['POST', '/users'],
      ['GET', '/events'],
      ['GET', '/account'],
    ] as const)
      expect((await entrance.ask(method, path, null)).status).toBe(401);
    expect((await entrance.ask('POST', '/logins', 'maosl_wrong', { name: 'ada', password })).status).toBe(401);
  });

  it.each([
    ['a short password', { name: 'eve', password: 'short' }, 400],
    ['their own name as password', { name: 'evelyn', password: 'evelyn-1234' }, 400],
    ['a name that was given once', { name: 'ada', password }, 409],
    ['a reserved name', { name: 'local', password }, 409],
    ['a role that there is not', { name: 'eve', role: 'root', password }, 400],
    ['a field that there is not', { name: 'eve', admin: true, password }, 400],
  ])('is not made with %s', async (_what, input, status) => {
    expect((await entrance.ask('POST', '/users', entrance.server.token, input)).status).toBe(status);
  });

  it('loses everything at once when disabled, when removed, and with a new password', async () => {
    for (const [name, path, method, body] of [
      ['dis', '/users/dis', 'PATCH', { disabled: true }],
      ['rem', '/users/rem', 'DELETE', undefined],
      ['new', '/users/new/reset', 'POST', { password: `${password}!` }],
    ] as const) {
      const token = await entrance.loggedIn(name, 'viewer');
      const key = await entrance.ask('POST', '/keys', token, { name: 'program' });
      expect((await entrance.ask('GET', '/runs', text(key.body['token']))).status).toBe(200);
      await entrance.owner(method, path, body);
      expect((await entrance.ask('GET', '/account', token)).status).toBe(401);
      expect((await entrance.ask('GET', '/runs', text(key.body['token']))).status).toBe(name === 'new' ? 200 : 401);
    }
  });

  it('changes their own password only with the one they have, and not their own role', async () => {
    const token = await entrance.loggedIn('carl', 'admin');
    const wrong = await entrance.ask('POST', '/account/password', token, {
      current: 'wrong',
      password: 'another horse',
    });
    expect(wrong.status).toBe(401);
    expect((await entrance.ask('PATCH', '/users/carl', token, { role: 'viewer' })).status).toBe(409);
    expect((await entrance.ask('DELETE', '/users/carl', token)).status).toBe(409);
    const current = 'correct horse 4 battery';
    expect(
      (await entrance.ask('POST', '/account/password', token, { current, password: 'another horse' })).status,
    ).toBe(200);
    expect((await entrance.ask('GET', '/account', token)).status).toBe(401);
    expect(await entrance.login('carl', 'another horse')).toMatch(/^maosl_/);
  });

  it('has to wait after wrong passwords, and the right one is refused meanwhile too', async () => {
    await entrance.owner('POST', '/users', { name: 'slow', role: 'viewer', password });
    const statuses: number[] = [];
    for (let i = 0; i < 6; i += 1)
      statuses.push((await entrance.ask('POST', '/logins', null, { name: 'slow', password: 'wrong one' })).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
    const right = await entrance.ask('POST', '/logins', null, { name: 'slow', password });
    expect(right.status).toBe(429);
    expect(right.body.error?.fix).toMatch(/again in \d+ s/);
    expect(Number(right.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('a second factor', () => {
  it('is asked for once it was confirmed; a code is good once, a recovery code too', async () => {
    const token = await entrance.loggedIn('tess', 'viewer');
    const right = 'correct horse 4 battery';
    const begun = await entrance.ask('POST', '/account/factor', token, {});
    const secret = text(begun.body['secret']);
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    // Begun only: it is not asked for.
    await entrance.login('tess', right);
    expect((await entrance.ask('POST', '/account/factor/confirm', token, { code: '000000' })).status).toBe(401);
    const code = codeFor(secret, Date.now());
    const confirmed = await entrance.ask('POST', '/account/factor/confirm', token, { code });
    const recovery = confirmed.body['recovery'];
    expect(recovery).toHaveLength(10);
    const without = await entrance.ask('POST', '/logins', null, { name: 'tess', password: right });
    expect(without).toMatchObject({ status: 401, body: { error: { details: { needs: 'code' } } } });
    // The code that confirmed it is spent.
    expect((await entrance.ask('POST', '/logins', null, { name: 'tess', password: right, code })).status).toBe(401);
    const next = codeFor(secret, Date.now() + 30_000);
    const both = [next, next].map((given) =>
      entrance.ask('POST', '/logins', null, { name: 'tess', password: right, code: given }),
    );
    expect((await Promise.all(both)).map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
    const [first = ''] = Array.isArray(recovery) ? recovery.map(String) : [];
    await entrance.login('tess', right, first.toUpperCase().replace('-', ' '));
    expect((await entrance.ask('POST', '/logins', null, { name: 'tess', password: right, code: first })).status).toBe(
      401,
    );
  });
});

describe('a key', () => {
  it('does no more than it was given, and never more than its maker', async () => {
    const token = await entrance.loggedIn('kay', 'coordinator');
    const made = await entrance.ask('POST', '/keys', token, { name: 'reader', scopes: ['task:read'] });
    const key = text(made.body['token']);
    expect(key).toMatch(/^maos_[\w-]{43}$/);
    expect((await entrance.ask('GET', '/tasks', key)).status).toBe(200);
    expect((await entrance.ask('GET', '/runs', key)).status).toBe(403);
    expect((await entrance.ask('GET', '/events', key)).status).toBe(403);
    expect((await entrance.ask('POST', '/keys', key, { name: 'child' })).status).toBe(403);
    expect((await entrance.ask('POST', '/keys', token, { name: 'root', scopes: ['*'] })).status).toBe(403);
    expect((await entrance.ask('POST', '/keys', token, { name: 'users', scopes: ['user:write'] })).status).toBe(403);
    const all = await entrance.ask('POST', '/keys', token, { name: 'all', scopes: ['task:*'] });
    const wide = text(all.body['token']);
    expect((await entrance.ask('POST', '/tasks', wide, { title: 'made by a key' })).status).toBe(200);
    await entrance.owner('PATCH', '/users/kay', { role: 'viewer' });
    expect((await entrance.ask('POST', '/tasks', wide, { title: 'no more' })).status).toBe(403);
    expect((await entrance.ask('GET', '/tasks', wide)).status).toBe(200);
  });

  it('is revoked at once, by its owner, and by nobody else who is not an administrator', async () => {
    const token = await entrance.loggedIn('rev', 'viewer');
    const other = await entrance.loggedIn('oth', 'viewer');
    const made = await entrance.ask('POST', '/keys', token, { name: 'mine' });
    const id = idOf(made.body['key']);
    const absent = await entrance.ask('DELETE', '/keys/key_000000000000', other);
    const theirs = await entrance.ask('DELETE', `/keys/${id}`, other);
    expect([absent.status, theirs.status]).toEqual([404, 404]);
    expect(theirs.text.replace(id, 'key_000000000000')).toBe(absent.text);
    expect((await entrance.ask('DELETE', `/keys/${id}`, token)).status).toBe(200);
    expect((await entrance.ask('GET', '/runs', text(made.body['token']))).status).toBe(401);
  });

  it('takes no idempotency key, because what belongs to one is kept', async () => {
    const headers = { 'idempotency-key': 'once' };
    const answer = await entrance.ask('POST', '/keys', entrance.server.token, { name: 'x' }, headers);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid' } } });
  });
});

describe('an end of access', () => {
  it('ends an open event stream before the next record, and hides who may come in', async () => {
    const token = await entrance.loggedIn('sue', 'viewer');
    const response = await fetch(`${entrance.url}/api/v1/events?after=0`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const seen: LogRecord[] = [];
    const reader = new SseReader();
    const decoder = new TextDecoder();
    let acted = false;
    for await (const chunk of response.body ?? []) {
      for (const { data } of reader.push(decoder.decode(chunk, { stream: true })))
        if (data !== undefined) seen.push(JSON.parse(data));
      if (acted) continue;
      acted = true;
      await entrance.owner('POST', '/tasks', { title: 'seen' });
      await entrance.owner('PATCH', '/users/sue', { disabled: true });
      await entrance.owner('POST', '/tasks', { title: 'unseen' });
    }
    expect(JSON.stringify(seen)).toContain('"seen"');
    expect(JSON.stringify(seen)).not.toContain('unseen');
    expect(seen.filter(({ type }) => /^(?:user|login|key)\./.test(type))).toEqual([]);
  });

  it('closes an open WebSocket at once, and nothing is called over it any more', async () => {
    const token = await entrance.loggedIn('web', 'viewer');
    const socket = new WebSocket(`${entrance.url.replace('http', 'ws')}/api/v1/live`, ['maos.v1', `bearer.${token}`]);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    const frames: string[] = [];
    socket.on('message', (data) => frames.push(Buffer.isBuffer(data) ? data.toString() : ''));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'call', id: '1', operation: 'task.list' }));
    await expect.poll(() => frames.length).toBe(1);
    await entrance.ask('POST', '/logins/end', token, {});
    socket.send(JSON.stringify({ type: 'call', id: '2', operation: 'task.list' }));
    expect(await closed).toBe(1008);
    expect(frames.slice(1).join('')).not.toContain('"result"');
  });
});

it('a shell makes the first administrator, with a password that is no argument', async () => {
  const environment = { PATH: process.env['PATH'] ?? '', HOME: entrance.root, MAOS_HOME: join(entrance.root, 'home') };
  const maos = (env: Record<string, string>, input: string, ...words: string[]) =>
    exec(process.execPath, [program(), ...words], { env, input });
  const made = await maos(
    environment,
    `${password}\n`,
    'user',
    'create',
    'root',
    '--role',
    'admin',
    '--password-stdin',
    '--json',
  );
  expect(made).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(made.stdout)).toMatchObject({ name: 'root', role: 'admin' });
  // With a token of theirs in the environment a shell calls as they do.
  const theirs = { ...environment, MAOS_URL: entrance.url, MAOS_TOKEN: await entrance.login('root', password) };
  const account = await maos(theirs, '', 'account', 'get', '--json');
  expect(JSON.parse(account.stdout)).toMatchObject({ actor: 'user:root' });
});

it('leaves no password, token, code or secret in the log', async () => {
  const bytes = entrance.bytes();
  expect(bytes).toContain('user.created');
  for (const secret of ['correct horse', 'another horse', 'maosl_', 'maos_', 'maosa_'])
    expect(bytes.includes(secret), secret).toBe(false);
});
