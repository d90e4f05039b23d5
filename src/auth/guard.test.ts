import { describe, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { createGuard } from './guard.ts';

const token = 'x'.repeat(43);
const guard = createGuard({ token, port: 4711, origins: ['http://dash.example:3000'] });
const good = { host: '127.0.0.1:4711', authorization: `Bearer ${token}` };

describe('the guard', () => {
  it.each([
    good,
    { ...good, host: 'localhost:4711' },
    { ...good, host: 'LOCALHOST:4711' },
    { ...good, host: '[::1]:4711' },
    { ...good, origin: 'http://127.0.0.1:4711' },
    { ...good, origin: 'http://localhost:4711' },
    { ...good, origin: 'http://dash.example:3000' },
    { host: good.host, 'sec-websocket-protocol': `maos.v1, bearer.${token}` },
    { host: good.host, 'sec-websocket-protocol': `bearer.${token}` },
  ])('lets in %j', (headers) => {
    expect(guard.authenticate(headers, '/')).toEqual(localCaller);
  });

  it.each([
    { ...good, host: undefined },
    { ...good, host: '127.0.0.1' },
    { ...good, host: '127.0.0.1:4712' },
    { ...good, host: 'evil.example:4711' },
    { ...good, host: '127.0.0.1.evil.example:4711' },
    { ...good, host: '127.0.0.1:4711@evil.example' },
    { ...good, origin: 'null' },
    { ...good, origin: '' },
    { ...good, origin: 'http://evil.example' },
    { ...good, origin: 'https://127.0.0.1:4711' },
    { ...good, origin: 'http://127.0.0.1:3000' },
    { ...good, origin: 'http://dash.example:3000.evil.example' },
  ])('forbids %j, whatever the token', (headers) => {
    expect(() => guard.authenticate(headers, '/')).toThrowError(expect.objectContaining({ code: 'forbidden' }));
    expect(() => guard.admit(headers)).toThrowError(expect.objectContaining({ code: 'forbidden' }));
  });

  it.each([
    { host: good.host },
    { ...good, authorization: '' },
    { ...good, authorization: 'Bearer ' },
    { ...good, authorization: token },
    { ...good, authorization: `Basic ${token}` },
    { ...good, authorization: `Bearer ${token}x` },
    { ...good, authorization: `Bearer ${token.slice(1)}` },
    { host: good.host, 'sec-websocket-protocol': 'bearer.wrong' },
  ])('does not know %j', (headers) => {
    expect(() => guard.authenticate(headers, '/')).toThrowError(expect.objectContaining({ code: 'unauthenticated' }));
  });

  it('takes the bare name on port 80', () => {
    const web = createGuard({ token, port: 80 });
    expect(web.authenticate({ ...good, host: 'localhost' }, '/')).toEqual(localCaller);
    expect(() => guard.admit({ host: 'localhost' })).toThrow('This server is not');
  });
});
