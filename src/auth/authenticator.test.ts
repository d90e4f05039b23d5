import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Caller, systemCaller } from '../kernel/caller.ts';
import { AuthRoom } from './auth.fixture.ts';
import { authOps } from './contract.ts';
import { newToken } from './secret.ts';

const hour = 3_600_000;
const password = 'correct horse battery';
let room: AuthRoom;
beforeEach(() => {
  room = new AuthRoom({ idleMs: 12 * hour, absoluteMs: 48 * hour });
});
afterEach(() => room.destroy());

/** A user’s caller, by a token that has to be good. */
function good(token: string): Caller {
  const caller = room.callerOf(token);
  if (caller === undefined) throw new Error('The token is not good.');
  return caller;
}

describe('a login', () => {
  beforeEach(async () => {
    await room.owner(authOps.createUser, { name: 'ada', role: 'coordinator', teams: ['red'], password });
  });

  it('gives what the role gives, within the teams of the user', async () => {
    const caller = good(await room.login('ada', password));
    expect(caller).toMatchObject({ actor: { kind: 'user', id: 'ada' }, teams: ['red'] });
    expect(caller.scopes).toContain('run:*');
    expect(room.authenticator.renew(caller)).toEqual(caller);
  });

  it('ends when it was not used for its idle time, and not while it is used', async () => {
    const idle = await room.login('ada', password);
    const used = await room.login('ada', password);
    for (let hours = 0; hours < 12; hours += 1) {
      room.clock.advance(hour);
      good(used);
    }
    room.clock.advance(1);
    expect(room.callerOf(idle)).toBeUndefined();
    good(used);
    const head = room.log.head().position;
    // Its use is written down, so that the next server knows it; and seldom.
    for (let i = 0; i < 100; i += 1) good(used);
    expect(room.log.head().position).toBe(head);
    expect(room.log.read(0, 100).filter(({ type }) => type === 'login.seen').length).toBeLessThanOrEqual(12);
  });

  it('ends at its absolute end, however much it is used', async () => {
    const token = await room.login('ada', password);
    const caller = good(token);
    for (let hours = 0; hours < 47; hours += 1) {
      room.clock.advance(hour);
      good(token);
    }
    room.clock.advance(hour);
    expect(room.callerOf(token)).toBeUndefined();
    expect(room.authenticator.renew(caller)).toBeUndefined();
  });

  it.each([
    ['disabled', () => room.owner(authOps.updateUser, { user: 'ada', disabled: true })],
    ['removed', () => room.owner(authOps.removeUser, { user: 'ada' })],
    ['given a new password', () => room.owner(authOps.resetPassword, { user: 'ada', password: `${password}!` })],
  ])('ends when its user is %s', async (_what, act) => {
    const token = await room.login('ada', password);
    const caller = good(token);
    await act();
    expect(room.callerOf(token)).toBeUndefined();
    expect(room.authenticator.renew(caller)).toBeUndefined();
  });

  it('is another caller as soon as the role or the teams are changed', async () => {
    const token = await room.login('ada', password);
    await room.owner(authOps.updateUser, { user: 'ada', role: 'viewer', teams: null });
    expect(good(token)).toMatchObject({ teams: null });
    expect(good(token).scopes).not.toContain('run:*');
  });
});

describe('a key', () => {
  it('ends at its time', async () => {
    const { token } = await room.owner(authOps.createKey, { name: 'x', scopes: ['task:read'], expiresInDays: 1 });
    expect(good(token)).toMatchObject({ actor: { kind: 'user', id: 'local' }, scopes: ['task:read'] });
    room.clock.advance(24 * hour - 1);
    good(token);
    room.clock.advance(1);
    expect(room.callerOf(token)).toBeUndefined();
  });

  it('without an end goes on', async () => {
    const { token } = await room.owner(authOps.createKey, { name: 'x', expiresInDays: null });
    room.clock.advance(10_000 * 24 * hour);
    expect(good(token).scopes).toEqual(['*']);
  });
});

describe('the token of a session', () => {
  const issue = async (generation: number): Promise<string> => {
    const { token, hash } = newToken('session');
    const call = room.registry.as(systemCaller('runner'));
    await call(authOps.issueToken, { agent: 'agent_abc', generation, hash, role: 'worker', teams: ['red'] });
    return token;
  };

  it('is good while its session lives, and only the newest of an agent', async () => {
    room.alive.add('agent_abc/1');
    const first = await issue(1);
    const caller = good(first);
    expect(caller).toMatchObject({
      actor: { kind: 'agent', id: 'agent_abc' },
      teams: ['red'],
      credential: 'session agent_abc/1',
    });
    expect(caller.scopes).not.toContain('key:*');
    expect(room.authenticator.renew(caller)).toEqual(caller);
    room.alive.delete('agent_abc/1');
    expect(room.callerOf(first)).toBeUndefined();
    expect(room.authenticator.renew(caller)).toBeUndefined();
    room.alive.add('agent_abc/1').add('agent_abc/2');
    const second = await issue(2);
    expect(room.callerOf(first)).toBeUndefined();
    expect(room.authenticator.renew(caller)).toBeUndefined();
    expect(good(second).credential).toBe('session agent_abc/2');
  });
});

it.each([
  '',
  'maos_',
  'maosl_x',
  `maos_${'a'.repeat(43)}`,
  `maosx_${'a'.repeat(43)}`,
  `${'a'.repeat(1_000_000)}`,
  "maos_' OR 1=1 --",
])('nobody is known by %j', (token) => {
  expect(room.callerOf(token)).toBeUndefined();
});

it('a code is good once, also for two logins at the same moment, and a recovery code is used up', async () => {
  await room.owner(authOps.createUser, { name: 'tess', role: 'viewer', teams: null, password });
  const call = room.registry.as(good(await room.login('tess', password)));
  const { secret } = await call(authOps.enrol, {});
  const { codeFor } = await import('./totp.ts');
  const { recovery } = await call(authOps.confirm, { code: codeFor(secret, room.clock.now()) });
  room.clock.advance(60_000);
  const code = codeFor(secret, room.clock.now());
  const both = await Promise.allSettled([room.login('tess', password, code), room.login('tess', password, code)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  await room.login('tess', password, recovery[9]);
  await expect(room.login('tess', password, recovery[9])).rejects.toMatchObject({ code: 'unauthenticated' });
  await call(authOps.unenrol, { password, code: recovery[8] ?? '' });
  good(await room.login('tess', password));
});
