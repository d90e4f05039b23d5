import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import { createClient } from './client.ts';
import {
  createNote,
  failNote,
  getNote,
  listNotes,
  removeNote,
  renameNote,
  TestServer,
  waitNote,
  waits,
} from './gateway.fixture.ts';

const server = new TestServer();
beforeAll(() => server.start());
afterAll(() => server.remove());
const open: { close(): void }[] = [];
afterEach(() => open.splice(0).forEach((client) => client.close()));

const operations = { 'note.create': createNote, 'note.get': getNote, 'note.rename': renameNote };
function connect(options: { fetch?: typeof fetch; token?: string } = {}) {
  const client = createClient({ url: server.url, token: server.token, operations, ...options });
  open.push(client);
  return client;
}

describe.each([
  ['node:http', {}],
  ['fetch', { fetch }],
] satisfies [string, { fetch?: typeof fetch }][])('a client over %s', (_name, options) => {
  it('calls operations by noun and verb, and with what goes into path, query and body', async () => {
    const client = connect(options);
    const made = await client.note.create({ title: 'ä "quoted"', tags: ['a', 'b'] });
    expectTypeOf(made.tags).toEqualTypeOf<string[]>();
    expect(await client.note.get({ note: made.id })).toEqual(made);
    expect(await client.note.rename({ note: made.id, title: 'b' })).toMatchObject({ id: made.id, title: 'b' });
    const { asked } = await client.call(listNotes, {
      limit: 7,
      kind: ['bug'],
      urgent: false,
      above: null,
      where: { title: '&=?' },
    });
    expect(asked).toEqual({ limit: 7, kind: ['bug'], urgent: false, above: null, where: { title: '&=?' } });
    expect(await client.call(removeNote, { note: made.id, reason: 'done' })).toEqual({});
  });

  it('gets refusals as AppError', async () => {
    const client = connect(options);
    const missing = client.note.get({ note: 'a/../b?c#d' });
    await expect(missing).rejects.toThrowError(AppError);
    await expect(missing).rejects.toMatchObject({
      code: 'not_found',
      message: 'No note matches "a/../b?c#d".',
      fix: expect.any(String),
    });
    await expect(client.note.create({ title: '' })).rejects.toMatchObject({
      code: 'invalid',
      issues: [{ path: 'title' }],
    });
    await expect(client.note.get({ note: '' })).rejects.toMatchObject({ code: 'invalid' });
    await expect(client.call(failNote, {})).rejects.not.toBeInstanceOf(AppError);
    await expect(connect({ ...options, token: 'wrong' }).note.get({ note: 'x' })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('repeats a call with a key, and gives one up with a signal', async () => {
    const client = connect(options);
    const key = `key-${_name}`;
    expect(await client.note.create({ title: 'k' }, { key })).toEqual(
      await client.note.create({ title: 'k' }, { key }),
    );
    const stop = new AbortController();
    const aborted = waits.aborted;
    const call = client.call(waitNote, {}, { signal: stop.signal });
    await expect.poll(() => waits.started).toBeGreaterThan(aborted);
    stop.abort();
    await expect(call).rejects.toThrowError(/abort/i);
    await expect.poll(() => waits.aborted).toBe(aborted + 1);
  });

  it('says when no server answers, or something else does', async () => {
    const client = createClient({ url: 'http://127.0.0.1:9', token: 'x', ...options });
    const refused = client.call(getNote, { note: 'x' });
    // A browser's fetch does not open port 9 at all; what matters is that this is told.
    await expect(refused).rejects.toThrowError(_name === 'node:http' ? /No MAOS server answers.*ECONNREFUSED/ : /./);
    const other = createServer((_request, response) => response.end('<html>'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    const lost = createClient({ url, token: 'x', ...options });
    await expect(lost.call(getNote, { note: 'x' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('not from a MAOS'),
    });
    lost.close();
    other.closeAllConnections();
    other.close();
  });

  it('follows over restarts of the server, each record once', async () => {
    const client = connect(options);
    const stop = new AbortController();
    const seen: LogRecord[] = [];
    const following = (async () => {
      for await (const record of client.follow({ after: 0, filter: { types: ['note.*'] }, signal: stop.signal }))
        seen.push(record);
    })();
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 10; n += 1) {
        const title = `${_name} ${round}.${n}`;
        await client.note.create({ title }, { key: title.replace(' ', '-') });
      }
      await server.stop();
      await server.start();
    }
    const last = await client.note.create({ title: `${_name} end` }, { key: `${_name}-end` });
    await expect.poll(() => seen.at(-1)?.stream, { timeout: 10_000 }).toBe(last.id);
    stop.abort();
    await following;
    const stored = server.feed?.read(0, 10_000).filter((record) => record.type.startsWith('note.'));
    expect(seen.map((record) => record.position)).toEqual(stored?.map((record) => record.position));
    expect(seen).toEqual(stored);
  }, 20_000);

  it('refuses to follow what cannot be followed', async () => {
    await expect(connect(options).follow({ after: 1_000_000 }).next()).rejects.toMatchObject({ code: 'conflict' });
    await expect(
      connect({ ...options, token: 'x' })
        .follow()
        .next(),
    ).rejects.toMatchObject({ code: 'unauthenticated' });
    const stop = new AbortController();
    const iterator = connect(options).follow({ signal: stop.signal });
    const next = iterator.next();
    stop.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
