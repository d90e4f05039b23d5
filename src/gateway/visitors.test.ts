import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { TestServer } from './gateway.fixture.ts';
import { Visitors } from './visitors.ts';

let clock: ManualClock;
let visitors: Visitors;
let server: Server;
const sockets: Socket[] = [];
const accepted: Socket[] = [];
beforeEach(async () => {
  clock = new ManualClock();
  visitors = new Visitors(clock, 2);
  server = createServer((socket) => {
    accepted.push(socket);
    visitors.enter(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of [...sockets.splice(0), ...accepted.splice(0)]) socket.destroy();
  server.close();
  await once(server, 'close');
});

/** A connection as the server sees it. */
async function visit(): Promise<{ mine: Socket; theirs: Socket }> {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const came = once(server, 'connection');
  const mine = connect(port, '127.0.0.1');
  mine.on('error', () => undefined);
  sockets.push(mine);
  await came;
  const theirs = accepted.at(-1);
  if (theirs === undefined) throw new Error('Nobody came.');
  return { mine, theirs };
}

it('the oldest that has shown nothing goes, once it has had its time', async () => {
  const first = await visit();
  await visit();
  await visit();
  expect(visitors.size).toBe(3);
  clock.advance(5_000);
  const gone = once(first.mine, 'close');
  await visit();
  await gone;
  expect(visitors.size).toBe(3);
});

it('who has shown a credential stays', async () => {
  const known = await visit();
  visitors.admitted(known.theirs);
  clock.advance(5_000);
  for (let times = 0; times < 5; times += 1) await visit();
  expect(known.theirs.destroyed).toBe(false);
  expect(visitors.size).toBe(5);
});

it('who has gone is forgotten', async () => {
  const { mine, theirs } = await visit();
  mine.destroy();
  if (!theirs.destroyed) await once(theirs, 'close');
  expect(visitors.size).toBe(0);
});

it('an address that is not of this machine has no more than four times as many', async () => {
  const enter = async (): Promise<boolean> => {
    const { theirs } = await visit();
    const far = new Proxy(theirs, {
      get: (socket, name) => {
        if (name === 'remoteAddress') return '192.0.2.7';
        if (name === 'remotePort') return visitors.size;
        const value: unknown = Reflect.get(socket, name);
        return typeof value === 'function' ? value.bind(socket) : value;
      },
    });
    visitors.admitted(theirs);
    visitors.enter(far);
    return !theirs.destroyed;
  };
  const entered: boolean[] = [];
  for (let times = 0; times < 9; times += 1) entered.push(await enter());
  expect(entered).toEqual([true, true, true, true, true, true, true, true, false]);
});

it('a gateway ends the connection that says nothing, and keeps the one that has shown a token', async () => {
  const gateway = new TestServer();
  try {
    await gateway.start({ clock, limits: { strangers: 1 } });
    const open = async (): Promise<Socket> => {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.on('error', () => undefined).resume();
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    };
    const known = await open();
    const answered = once(known, 'data');
    known.write(
      `GET /api/v1/notes HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nAuthorization: Bearer ${gateway.token}\r\n\r\n`,
    );
    expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 200 /);
    const silent = await open();
    // Answered only after the silent one was taken, for connections are taken in turn.
    expect((await gateway.request('GET', '/health')).status).toBe(200);
    clock.advance(5_000);
    const ended = once(silent, 'close');
    await open();
    await ended;
    expect(known.destroyed).toBe(false);
  } finally {
    // Nobody moves the clock for the grace that open connections would get.
    for (const socket of sockets) socket.destroy();
    await gateway.remove();
  }
});
