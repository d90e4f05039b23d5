import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TestServer } from './gateway.fixture.ts';
import { SseReader } from './sse.ts';

let server: TestServer;
beforeEach(async () => {
  server = new TestServer();
  await server.start({ limits: { heartbeatMs: 100, followers: 4, subscriptionsPerSocket: 2, callsPerSocket: 3 } });
});
afterEach(() => server.remove());

const create = (title: string) => server.request('POST', '/api/v1/notes', { body: { title } });

/** An event stream: its records so far, and every id that came. */
async function stream(path: string, headers: Record<string, string> = {}) {
  const call = request(`${server.url}${path}`, { headers: { authorization: `Bearer ${server.token}`, ...headers } });
  call.end();
  const [response]: [IncomingMessage] = await new Promise((resolve, reject) => {
    call.once('response', (answer) => resolve([answer]));
    call.once('error', reject);
  });
  const reader = new SseReader();
  const ids: number[] = [];
  const titles: unknown[] = [];
  let text = '';
  response.setEncoding('utf8');
  response.on('error', () => undefined);
  response.on('data', (chunk: string) => {
    text += chunk;
    for (const { id, data } of reader.push(chunk)) {
      if (id !== undefined) ids.push(Number(id));
      if (data !== undefined) titles.push(JSON.parse(data).data.title);
    }
  });
  return { response, ids, titles, text: () => text, close: () => call.destroy() };
}

describe('an event stream', () => {
  it('gives what is stored and then what comes, each with its position', async () => {
    await create('one');
    const all = await stream('/api/v1/events?after=0');
    const fresh = await stream('/api/v1/events');
    await create('two');
    await expect.poll(() => all.titles).toEqual(['one', 'two']);
    await expect.poll(() => fresh.titles).toEqual(['two']);
    expect(all.response.headers['content-type']).toContain('text/event-stream');
    await expect.poll(() => all.text().split(': heartbeat').length).toBeGreaterThan(3);
  });

  it('filters by stream and by type, and its cursor passes over the rest', async () => {
    const { body } = await create('one');
    const id = String(body['id']);
    await server.request('POST', `/api/v1/notes/${id}/rename`, { body: { title: 'uno' } });
    await create('two');
    await server.request('DELETE', `/api/v1/notes/${id}`);
    const renamed = await stream('/api/v1/events?after=0&types=note.renamed');
    const notes = await stream('/api/v1/events?after=0&types=note.*');
    const mine = await stream(`/api/v1/events?after=0&streams=${id}&types=note.*&types=memo.removed`);
    await expect.poll(() => renamed.titles).toEqual(['uno']);
    await expect.poll(() => notes.titles).toEqual(['one', 'uno', 'two']);
    await expect.poll(() => mine.titles).toEqual(['one', 'uno', undefined]);
    await expect.poll(() => renamed.ids.at(-1)).toBe(4);
  });

  it('misses nothing and repeats nothing across a restart of the server', async () => {
    let last = '0';
    const got: unknown[] = [];
    for (let round = 0; round < 4; round += 1) {
      const events = await stream(`/api/v1/events?after=0`, { 'last-event-id': last });
      for (let n = 0; n < 5; n += 1) await create(`${round}.${n}`);
      await expect.poll(() => got.length + events.titles.length).toBeGreaterThanOrEqual(7 * round + 5);
      for (let n = 0; n < 2; n += 1) await create(`lost ${round}.${n}`);
      const ended = once(events.response, 'close');
      await server.stop();
      await ended;
      got.push(...events.titles);
      last = String(events.ids.at(-1));
      await server.start();
    }
    const rest = await stream('/api/v1/events', { 'last-event-id': last });
    const stored = server.feed
      ?.read(0, 1000)
      .map(({ data }) => (typeof data === 'object' && data !== null && 'title' in data ? data.title : ''));
    await expect.poll(() => [...got, ...rest.titles]).toEqual(stored);
  }, 20_000);

  it.each([
    ['after=-1', 400],
    ['after=x', 400],
    ['types=Task', 400],
    ['types=a*', 400],
    ['other=1', 400],
    ['after=1000', 409],
  ])('refuses %s', async (query, status) => {
    expect(await server.request('GET', `/api/v1/events?${query}`)).toMatchObject({ status });
  });

  it('refuses one too many, and takes one when another has gone', async () => {
    const streams = await Promise.all([1, 2, 3, 4].map(() => stream('/api/v1/events')));
    expect(await server.request('GET', '/api/v1/events')).toMatchObject({
      status: 429,
      body: { error: { code: 'exhausted' } },
    });
    streams[0]?.close();
    await expect.poll(async () => (await stream('/api/v1/events')).response.statusCode).toBe(200);
  });

  it('keeps nothing for a client that does not read, and serves it once it does', async () => {
    const title = 'x'.repeat(20_000);
    const socket = connect(server.port, '127.0.0.1');
    socket.write(
      `GET /api/v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${server.token}\r\n\r\n`,
    );
    await once(socket, 'readable');
    const flood = async (rounds: number): Promise<void> => {
      for (let n = 0; n < rounds; n += 1) await Promise.all(Array.from({ length: 50 }, () => create(title)));
    };
    // What is in memory is the feed's window and one page for the follower; the next 40 MB of records add nothing to it.
    await flood(20);
    const before = heap();
    await flood(40);
    // Connections of the callers may still hold their last answers for a moment.
    await expect.poll(() => heap() - before, { timeout: 5_000 }).toBeLessThan(10_000_000);
    expect(await countEvents(socket, 3_000)).toBe(3_000);
    socket.destroy();
  }, 60_000);

  it('cuts off a client that does not read for too long', async () => {
    await server.stop();
    await server.start({ limits: { stalledMs: 300, heartbeatMs: 100, followers: 2 } });
    const events = await stream('/api/v1/events');
    events.response.pause();
    const active = await stream('/api/v1/events');
    const big = await server.request('GET', '/api/v1/notes/big/1000000');
    expect(big.status).toBe(200);
    for (let n = 0; n < 600; n += 1) await create('x'.repeat(20_000));
    // Its place is free for another one; only then is it looked at, because a look reads what came.
    await expect
      .poll(async () => (await stream('/api/v1/events')).response.statusCode, { timeout: 10_000, interval: 100 })
      .toBe(200);
    await expect.poll(() => cut(events.response)).toBe(true);
    await expect.poll(() => active.titles.length).toBe(600);
  }, 30_000);
});

/** Whether the other side has closed although we did not read on. */
function cut(response: IncomingMessage): boolean {
  response.resume();
  return response.errored !== null || response.complete;
}

const byName = (a: string, b: string): number => a.localeCompare(b);

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Bytes in use once all garbage is gone. */
function heap(): number {
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}

async function countEvents(socket: Socket, wanted: number): Promise<number> {
  let count = 0;
  let rest = '';
  for await (const chunk of socket) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    count += lines.filter((line) => line.startsWith('data: ')).length;
    if (count >= wanted) return count;
  }
  return count;
}

interface Frame {
  readonly type: string;
  readonly id: string | null;
  readonly record?: { readonly position: number; readonly data: { readonly title?: string } };
  readonly error?: { readonly code: string };
  readonly output?: unknown;
  readonly after?: number;
}

async function open(
  headers: Record<string, string> = { authorization: `Bearer ${server.token}` },
  protocols: string[] = [],
) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/live`, protocols, { headers });
  const frames: Frame[] = [];
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString())));
  await once(socket, 'open');
  return { socket, frames, send: (frame: unknown) => socket.send(JSON.stringify(frame)) };
}

/** The status with which an upgrade is refused. */
async function refused(
  headers: Record<string, string>,
  path = '/api/v1/live',
  protocols: string[] = [],
): Promise<number | undefined> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`, protocols, { headers });
  socket.on('error', () => undefined);
  const [, response]: IncomingMessage[] = await once(socket, 'unexpected-response');
  response?.resume();
  return response?.statusCode;
}

describe('a WebSocket', () => {
  it('follows with a filter and calls operations', async () => {
    await create('one');
    const { frames, send, socket } = await open();
    send({ type: 'follow', id: 'f', after: 0, filter: { types: ['note.*'] } });
    send({ type: 'call', id: 'c', operation: 'note.create', input: { title: 'two' }, trace: 't-1' });
    await expect
      .poll(() => frames.map((frame) => frame.record?.data.title ?? frame.type))
      .toEqual(expect.arrayContaining(['following', 'one', 'two', 'result']));
    expect(frames.find((frame) => frame.type === 'result')).toMatchObject({
      id: 'c',
      output: { title: 'two' },
      position: 2,
    });
    send({ type: 'unfollow', id: 'f' });
    await expect.poll(() => frames.at(-1)?.type).toBe('unfollowed');
    await create('three');
    send({ type: 'call', id: 'd', operation: 'note.list' });
    await expect.poll(() => frames.at(-1)?.id).toBe('d');
    expect(frames.filter((frame) => frame.type === 'record')).toHaveLength(2);
    socket.close();
  });

  it('refuses bad frames and goes on', async () => {
    const { frames, send, socket } = await open();
    socket.send('{"type":');
    socket.send(Buffer.from([1, 2]));
    socket.send('['.repeat(10_000));
    send({ type: 'follow' });
    send({ type: 'follow', id: 'f', after: 99 });
    send({ type: 'follow', id: 'f', extra: 1 });
    send({ type: 'call', id: 'c', operation: 'note.creat' });
    send({ type: 'call', id: 'c', operation: 'note.create', input: { title: 1 } });
    send({ type: 'call', id: 'c', operation: 'note.fail' });
    await expect
      .poll(() => frames.map((frame) => String(frame.error?.code)).toSorted(byName))
      .toEqual(
        [
          'invalid',
          'invalid',
          'invalid',
          'invalid',
          'invalid',
          'conflict',
          'not_found',
          'invalid',
          'internal',
        ].toSorted(byName),
      );
    expect(server.failures).toHaveLength(1);
    expect(JSON.stringify(frames)).not.toContain('secret');
    socket.close();
  });

  it('bounds follows and calls', async () => {
    const { frames, send, socket } = await open();
    for (const id of ['a', 'b', 'c', 'a']) send({ type: 'follow', id });
    for (const id of ['d', 'e', 'e2', 'f']) send({ type: 'call', id, operation: 'note.wait' });
    await expect
      .poll(() => frames.flatMap((frame) => (frame.error === undefined ? [] : [`${frame.id} ${frame.error.code}`])))
      .toEqual(['c exhausted', 'a conflict', 'f exhausted']);
    socket.close();
  });

  it('is not opened without the token, from another site, or under another name', async () => {
    const authorization = `Bearer ${server.token}`;
    expect(await refused({})).toBe(401);
    expect(await refused({ authorization: 'Bearer wrong' })).toBe(401);
    expect(await refused({ authorization, origin: 'http://evil.example' })).toBe(403);
    expect(await refused({ authorization, origin: 'null' })).toBe(403);
    expect(await refused({ authorization, host: 'evil.example' })).toBe(403);
    expect(await refused({ authorization }, '/api/v1/other')).toBe(404);
    expect(await refused({}, '/api/v1/live', ['maos.v1', 'bearer.wrong'])).toBe(401);
    const browser = await open({ origin: server.url }, ['maos.v1', `bearer.${server.token}`]);
    expect(browser.socket.protocol).toBe('maos.v1');
    browser.socket.close();
    expect(await server.request('GET', '/api/v1/live')).toMatchObject({ status: 426 });
  });

  it('drops a client that does not answer pings, and frames that are too large', async () => {
    const dead = await open();
    dead.socket.pause();
    const large = await open();
    large.send({ type: 'call', id: 'c', operation: 'note.create', input: { title: 'x'.repeat(2_000_000) } });
    const [code] = await once(large.socket, 'close');
    expect(code).toBe(1009);
    await after(500);
    dead.socket.resume();
    await once(dead.socket, 'close');
  });

  it('waits for a slow client, and gives it everything in order', async () => {
    await server.stop();
    await server.start({ limits: { heartbeatMs: 60_000 } });
    const { frames, send, socket } = await open();
    send({ type: 'follow', id: 'f' });
    await expect.poll(() => frames.length).toBe(1);
    socket.pause();
    const flood = async (rounds: number): Promise<void> => {
      for (let n = 0; n < rounds; n += 1)
        await Promise.all(Array.from({ length: 50 }, () => create('x'.repeat(20_000))));
    };
    await flood(20);
    const before = heap();
    await flood(20);
    // Connections of the callers may still hold their last answers for a moment.
    await expect.poll(() => heap() - before, { timeout: 5_000 }).toBeLessThan(10_000_000);
    socket.resume();
    await expect.poll(() => frames.length, { timeout: 10_000 }).toBe(2_001);
    expect(frames.slice(1).map((frame) => frame.record?.position)).toEqual(
      Array.from({ length: 2_000 }, (_, index) => index + 1),
    );
    socket.close();
  }, 60_000);

  it('is told that the server stops', async () => {
    const { socket } = await open();
    const closed = once(socket, 'close');
    await server.stop();
    expect((await closed)[0]).toBe(1001);
    await server.start();
  });
});
