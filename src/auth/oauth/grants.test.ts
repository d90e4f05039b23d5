import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Registry } from '../../gateway/registry.ts';
import { systemCaller } from '../../kernel/caller.ts';
import { ManualClock } from '../../kernel/clock.ts';
import type { Call } from '../../kernel/handler.ts';
import { sha256 } from '../../kernel/hash.ts';
import { newId } from '../../kernel/id.ts';
import { keysOf, newKey } from '../../kernel/seal.ts';
import type { Database } from '../../log/database.ts';
import { openReader } from '../../log/open.ts';
import { Pipeline } from '../../log/pipeline.ts';
import { SqliteLog } from '../../log/sqlite.ts';
import { Views } from '../../log/views.ts';
import { GroupWriter } from '../../log/writer.ts';
import { authOps } from '../contract.ts';
import { authHandlers } from '../service.ts';
import { authView } from '../views.ts';
import { challengeOf } from './codes.ts';
import { oauthOps } from './contract.ts';
import { Grants } from './grants.ts';
import { type Claims, signToken } from './jwt.ts';
import { SigningKeys } from './keys.ts';
import { accessMs, codeMs, grantMs, refreshMs } from './lifetimes.ts';
import { oauthHandlers } from './service.ts';
import { oauthView } from './views.ts';

const origin = 'http://127.0.0.1:4711';
const verifier = 'v'.repeat(43);
const day = 24 * 3_600_000;

let folder: string;
let clock: ManualClock;
let log: SqliteLog;
let reader: Database;
let call: Call;
let keys: SigningKeys;
let grants: Grants;
let client: string;
let user: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'maos-grants-'));
  clock = new ManualClock();
  log = new SqliteLog(join(folder, 'maos.db'));
  const views = new Views([authView, oauthView]);
  views.prepare(log.database);
  const now = (): number => clock.now();
  const handlers = [...authHandlers, ...oauthHandlers];
  const core = new GroupWriter(new Pipeline({ log, views, handlers, now, newId }));
  reader = openReader(join(folder, 'maos.db'));
  call = new Registry({ handlers, reader, core, now, newId }).as(systemCaller('test'));
  const sealing = keysOf([newKey('test')]);
  keys = new SigningKeys({ reader, clock, newId, keys: async () => sealing, call });
  grants = new Grants({ reader, clock });
  grants.serves([origin, 'http://localhost:4711']);
  user = (await call(authOps.recordUser, { name: 'ada', role: 'coordinator', teams: ['red'], password: 'hash' })).id;
  const registration = { name: 'x', uri: null, document: null, redirectUris: ['http://127.0.0.1/'] };
  client = (await call(oauthOps.register, registration)).id;
});
afterEach(() => {
  reader.close();
  log.close();
  rmSync(folder, { recursive: true });
});

let codes = 0;
async function granted(): Promise<string> {
  codes += 1;
  const code = sha256(`code ${codes}`);
  await call(oauthOps.record, {
    client,
    user,
    password: 'hash',
    scope: ['coordinator'],
    resource: `${origin}/mcp`,
    redirectUri: 'http://127.0.0.1/',
    challenge: challengeOf(verifier) ?? '',
    code,
    codeExpiresAt: clock.now() + codeMs,
    expiresAt: clock.now() + grantMs,
  });
  return code;
}

function exchanged(code: string, refresh: string) {
  return call(oauthOps.exchange, {
    code,
    client,
    redirectUri: null,
    resource: null,
    challenge: challengeOf(verifier) ?? '',
    refresh: sha256(refresh),
    refreshExpiresAt: clock.now() + refreshMs,
  });
}

async function grantOf(refresh: string): Promise<string> {
  const outcome = await exchanged(await granted(), refresh);
  if ('refused' in outcome) throw new Error(outcome.refused);
  return outcome.grant;
}

function claimsFor(grant: string, change: Partial<Claims> = {}): Claims {
  const iat = Math.floor(clock.now() / 1_000);
  const exp = iat + accessMs / 1_000;
  const said = { iss: origin, aud: `${origin}/mcp`, sub: user, client_id: client, scope: 'coordinator' };
  return { ...said, grant, iat, exp, jti: String(Math.random()), ...change };
}

describe('an access token', () => {
  it('stands for its user, as far as role and teams go, until it ends', async () => {
    const grant = await grantOf('r');
    const token = await keys.sign(claimsFor(grant));
    const caller = grants.callerOf(token, '/mcp');
    expect(caller).toMatchObject({
      actor: { kind: 'user', id: 'ada' },
      role: 'coordinator',
      teams: ['red'],
      credential: grant,
    });
    expect(caller?.scopes).toContain('run:*');
    expect(caller?.scopes).not.toContain('key:*');
    await call(authOps.updateUser, { user: 'ada', role: 'viewer', teams: ['blue'] });
    const less = grants.callerOf(token, '/mcp');
    expect(less).toMatchObject({ role: 'viewer', teams: ['blue'] });
    expect(less?.scopes).not.toContain('run:*');
    clock.advance(accessMs - 1);
    expect(grants.callerOf(token, '/mcp')).toBeDefined();
    clock.advance(1_000);
    expect(grants.callerOf(token, '/mcp')).toBeUndefined();
  });

  it.each<[string, Partial<Claims>]>([
    ['another issuer', { iss: 'http://127.0.0.1:4712' }],
    ['another server as its audience', { aud: 'https://other.example/mcp' }],
    ['another path', { aud: `${origin}/api/v1` }],
    ['a path that only begins alike', { aud: `${origin}/mc` }],
    ['an audience that is no address', { aud: 'mcp' }],
    ['an end that is over', { exp: 1 }],
    ['no grant', { grant: 'grant_000000000000' }],
  ])('with %s is nobody’s', async (_what, change) => {
    const grant = await grantOf('r');
    expect(grants.callerOf(await keys.sign(claimsFor(grant, change)), '/mcp')).toBeUndefined();
    expect(grants.callerOf(await keys.sign(claimsFor(grant)), '/mcp')).toBeDefined();
  });

  it('of another key, or with more in it than ours say, is nobody’s', async () => {
    const grant = await grantOf('r');
    await keys.prepare();
    const kid = keys.jwks().keys[0]?.kid ?? '';
    const { privateKey } = generateKeyPairSync('ed25519');
    expect(grants.callerOf(signToken(kid, privateKey, claimsFor(grant)), '/mcp')).toBeUndefined();
    const more = { ...claimsFor(grant), admin: true };
    expect(grants.callerOf(await keys.sign(more), '/mcp')).toBeUndefined();
  });

  it('is forgotten by who holds it open when grant or key end', async () => {
    const grant = await grantOf('r');
    const caller = grants.callerOf(await keys.sign(claimsFor(grant)), '/mcp');
    if (caller === undefined) throw new Error('Nobody.');
    const renewed = grants.renew(caller);
    expect(renewed).toEqual(caller);
    await keys.rotate(call, true);
    expect(grants.renew(caller)).toBeUndefined();
    const next = grants.callerOf(await keys.sign(claimsFor(grant)), '/mcp');
    if (next === undefined) throw new Error('Nobody.');
    await call(oauthOps.close, { grant, owner: null, reason: 'asked' });
    expect(grants.renew(next)).toBeUndefined();
    // Nobody can be made up.
    expect(grants.renew({ ...next })).toBeUndefined();
  });

  it('is checked in well under 100 µs once it is known', async () => {
    const token = await keys.sign(claimsFor(await grantOf('r')));
    const times = Array.from({ length: 3_000 }, () => {
      const begun = process.hrtime.bigint();
      grants.callerOf(token, '/mcp');
      return Number(process.hrtime.bigint() - begun) / 1_000;
    }).toSorted((a, b) => a - b);
    // The best tenth: how busy the machine is says nothing about the work.
    expect(times[300]).toBeLessThan(100);
  });
});

describe('keys', () => {
  it('are made once by many who need one, and replaced when they are old', async () => {
    await Promise.all([keys.prepare(), keys.prepare(), keys.prepare()]);
    expect(keys.jwks().keys).toHaveLength(1);
    const grant = await grantOf('r');
    const token = await keys.sign(claimsFor(grant, { exp: Math.floor((clock.now() + 200 * day) / 1_000) }));
    clock.advance(90 * day - 2_000);
    // The grant ends with that day; the key has not.
    expect(grants.callerOf(token, '/mcp')).toBeDefined();
    clock.advance(4_000);
    await keys.prepare();
    expect(keys.jwks().keys).toHaveLength(2);
    clock.advance(accessMs);
    expect(keys.jwks().keys).toHaveLength(1);
  });
});

describe('time', () => {
  it('ends codes after a minute, refresh tokens after thirty days, grants after ninety', async () => {
    const late = await granted();
    clock.advance(codeMs);
    expect(await exchanged(late, 'x')).toMatchObject({ refused: 'The code has expired.' });
    const grant = await grantOf('0');
    const refresh = (was: string, next: string) =>
      call(oauthOps.refresh, {
        was: sha256(was),
        client,
        resource: null,
        refresh: sha256(next),
        refreshExpiresAt: clock.now() + refreshMs,
      });
    for (const [was, next] of [
      ['0', '1'],
      ['1', '2'],
      ['2', '3'],
    ] as const) {
      clock.advance(29 * day);
      expect(await refresh(was, next)).toMatchObject({ grant });
    }
    clock.advance(4 * day);
    expect(await refresh('3', '4')).toMatchObject({ refused: 'The refresh token has expired.' });
    const other = await grantOf('a');
    clock.advance(30 * day);
    expect(await refresh('a', 'b')).toMatchObject({ refused: 'The refresh token has expired.' });
    // What had expired was no second use.
    expect(grants.callerOf(await keys.sign(claimsFor(other)), '/mcp')).toBeDefined();
  });
});
