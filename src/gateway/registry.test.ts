import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemCaller } from '../kernel/caller.ts';
import { outside, TestServer } from './gateway.fixture.ts';

const server = new TestServer();
beforeAll(() => server.start());
afterAll(() => server.remove());

let key: string;
beforeEach(() => {
  key = `key-${server.feed?.head}`;
});

const head = (): number => server.feed?.head ?? -1;
const post = (path: string, body: unknown, idempotencyKey = key) =>
  server.request('POST', `/api/v1/notes${path}`, { body, headers: { 'idempotency-key': idempotencyKey } });
const refused = { status: 409, body: { error: { code: 'conflict', fix: expect.stringContaining('new key') } } };

describe('an action with an idempotency key', () => {
  it('writes once, and a repetition gives what was written, though the world has changed since', async () => {
    const first = await post('/import', { source: 'Paper' });
    expect(first).toMatchObject({ status: 200, body: { title: 'paper' } });
    const [reads, before] = [outside.reads, head()];
    expect((await post('/import', { source: 'Paper' })).body).toEqual(first.body);
    expect(outside.reads).toBe(reads + 1);
    expect(head()).toBe(before);
  });

  it('is refused with another input, also with one that leads to the same writes', async () => {
    await post('/import', { source: 'Paper' });
    const before = head();
    expect(await post('/import', { source: 'paper' })).toMatchObject(refused);
    expect(await post('/import', { source: 'stone' })).toMatchObject(refused);
    expect(head()).toBe(before);
  });

  it('is refused where the key was used for a command, and a command where it was used for an action', async () => {
    await post('', { title: 'plain' });
    expect(await post('/import', { source: 'plain' })).toMatchObject(refused);
    await post('/import', { source: 'other' }, `${key}-2`);
    expect(await post('', { title: 'other' }, `${key}-2`)).toMatchObject(refused);
  });

  it('that has written nothing leaves its key free', async () => {
    expect(await post('/import', { source: 'nowhere' })).toMatchObject({ status: 404 });
    expect(await post('/import', { source: 'somewhere' })).toMatchObject({ status: 200 });
  });

  it('that destroys looks at the world anew, and is refused with another input', async () => {
    const { body } = await post('', { title: 'doomed' }, `${key}-made`);
    const path = `/${String(body['id'])}/drop`;
    expect(await post(path, {})).toMatchObject({ status: 200, body: { title: 'dropped' } });
    expect(await post(path, {})).toMatchObject({ status: 404 });
    expect(await post(path, { title: 'x' })).toMatchObject(refused);
    const { body: other } = await post('', { title: 'next' }, `${key}-next`);
    expect(await post(`/${String(other['id'])}/drop`, {})).toMatchObject(refused);
    expect((await server.request('GET', `/api/v1/notes/${String(other['id'])}`)).status).toBe(200);
  });

  it('cannot be given a key that stands for a place inside another call', async () => {
    await post('/import', { source: 'inner' });
    const { registry } = server;
    const options = { caller: systemCaller('test'), key: `${key} note.create 1` };
    await expect(registry?.call('note.create', { title: 'forged' }, options)).rejects.toMatchObject({
      code: 'invalid',
    });
  });
});
