import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Entrance } from './identity.fixture.ts';
import { callMcp, makeUser, OAuthVisitor, password, tokensOf } from './oauth-flow.fixture.ts';

let entrance: Entrance;
const grantsIn = (body: unknown): readonly { id: string; user: string }[] =>
  z.object({ grants: z.array(z.object({ id: z.string(), user: z.string() })) }).parse(body).grants;

beforeAll(async () => {
  entrance = await new Entrance().start();
});
afterAll(() => entrance.destroy());

const user = (name: string): Promise<string> => makeUser(entrance, name);
const mcp = (token: string): Promise<Response> => callMcp(entrance, token);

describe('a code', () => {
  it.each([
    ['a wrong verifier', { code_verifier: 'w'.repeat(43) }, 'invalid_grant'],
    ['another address', { redirect_uri: 'http://127.0.0.1:7778/callback' }, 'invalid_grant'],
    ['another resource', { resource: 'RESOURCE/api/v1' }, 'invalid_target'],
    ['another server’s resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['another way', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('is not exchanged with %s, and stays good', async (what, change, error) => {
    const name = await user(`c-${what.length}-${error.length}-${Object.keys(change)[0]?.length ?? 0}`);
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const code = await visitor.code(name, password);
    const given = Object.fromEntries(
      Object.entries(change).map(([key, value]) => [key, value.replace('RESOURCE', visitor.url)]),
    );
    expect(await visitor.exchange(code, given)).toMatchObject({ status: 400, body: { error } });
    expect((await visitor.exchange(code)).status).toBe(200);
  });

  it('of one client is not exchanged by another', async () => {
    const [mine, theirs] = [new OAuthVisitor(entrance), new OAuthVisitor(entrance)];
    await mine.register();
    await theirs.register();
    const code = await mine.code(await user('two'), password);
    expect((await mine.exchange(code, { client_id: theirs.clientId })).body['error']).toBe('invalid_grant');
    expect((await mine.exchange(code, { client_id: 'client_x' })).status).toBe(401);
  });

  it('that comes again ends what it gave', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const code = await visitor.code(await user('replay'), password);
    const { access, refresh } = tokensOf(await visitor.exchange(code));
    expect((await mcp(access)).status).toBe(200);
    expect((await visitor.exchange(code)).body['error']).toBe('invalid_grant');
    expect((await mcp(access)).status).toBe(401);
    expect((await visitor.refresh(refresh)).body['error']).toBe('invalid_grant');
  });
});

describe('a refresh token', () => {
  it('is exchanged for another one, and ends everything when it comes again', async () => {
    const visitor = new OAuthVisitor(entrance);
    const first = await visitor.tokens(await user('rotate'), password);
    const second = tokensOf(await visitor.refresh(first.refresh));
    expect(second.refresh).not.toBe(first.refresh);
    expect((await mcp(second.access)).status).toBe(200);
    expect((await visitor.refresh(first.refresh)).body['error']).toBe('invalid_grant');
    for (const { access } of [first, second]) expect((await mcp(access)).status).toBe(401);
    expect((await visitor.refresh(second.refresh)).body['error']).toBe('invalid_grant');
  });

  it('of two requests at once serves one, and both lose', async () => {
    const visitor = new OAuthVisitor(entrance);
    const { refresh } = await visitor.tokens(await user('race'), password);
    const answers = await Promise.all([visitor.refresh(refresh), visitor.refresh(refresh)]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 400]);
    const won = answers.find(({ status }) => status === 200);
    expect((await mcp(String(won?.body['access_token']))).status).toBe(401);
  });
});

/** The parts of a token, and a way to put them together again with another key. */
function forged(token: string, change: Record<string, unknown>, head: Record<string, unknown> = {}): string {
  const [first = '', second = ''] = token.split('.');
  const decode = (text: string): Record<string, unknown> => JSON.parse(Buffer.from(text, 'base64url').toString());
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${encode({ ...decode(first), ...head })}.${encode({ ...decode(second), ...change })}`;
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  return `${body}.${sign(null, Buffer.from(body), key).toString('base64url')}`;
}

describe('an access token', () => {
  it('counts for its resource alone', async () => {
    const name = await user('aud');
    const visitor = new OAuthVisitor(entrance);
    const { access } = await visitor.tokens(name, password);
    expect((await mcp(access)).status).toBe(200);
    expect((await entrance.ask('GET', '/runs', access)).status).toBe(401);
    const rest = new OAuthVisitor(entrance);
    const other = await rest.tokens(name, password, { resource: `${rest.url}/api/v1` });
    expect((await entrance.ask('GET', '/runs', other.access)).status).toBe(200);
    expect((await mcp(other.access)).status).toBe(401);
    const whole = new OAuthVisitor(entrance);
    const both = await whole.tokens(name, password, { resource: whole.url });
    expect((await entrance.ask('GET', '/runs', both.access)).status).toBe(200);
    expect((await mcp(both.access)).status).toBe(200);
  });

  it('is refused when anybody else has made or changed it', async () => {
    const visitor = new OAuthVisitor(entrance);
    const { access } = await visitor.tokens(await user('forge'), password);
    const [head = '', body = '', signature = ''] = access.split('.');
    for (const token of [
      forged(access, {}),
      forged(access, { aud: visitor.url }),
      forged(access, {}, { kid: 'sign_000000000000' }),
      `${Buffer.from('{"alg":"none","typ":"at+jwt","kid":"x"}').toString('base64url')}.${body}.`,
      `${head}.${body}.${'A'.repeat(86)}`,
      `${head}.${Buffer.from(JSON.stringify({ grant: 'x' })).toString('base64url')}.${signature}`,
      `${access}A`,
    ])
      expect((await mcp(token)).status).toBe(401);
    expect((await mcp(access)).status).toBe(200);
  });

  it('counts after a rotation of keys until it ends, and not a moment longer when that is asked for', async () => {
    const visitor = new OAuthVisitor(entrance);
    const { access, refresh } = await visitor.tokens(await user('keys'), password);
    const rotated = await entrance.owner('POST', '/oauth/rotate', {});
    expect(rotated['keys']).toHaveLength(2);
    expect((await mcp(access)).status).toBe(200);
    const next = tokensOf(await visitor.refresh(refresh));
    expect((await mcp(next.access)).status).toBe(200);
    const kid = (token: string): unknown =>
      JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())['kid'];
    expect(kid(next.access)).not.toBe(kid(access));
    await entrance.owner('POST', '/oauth/rotate', { endNow: true });
    for (const token of [access, next.access]) expect((await mcp(token)).status).toBe(401);
    expect((await visitor.get('/oauth/jwks')).body['keys']).toHaveLength(1);
    expect((await mcp(tokensOf(await visitor.refresh(next.refresh)).access)).status).toBe(200);
  });
});

describe('an end of access', () => {
  it.each([
    [
      'by the client',
      async (_name: string, visitor: OAuthVisitor, token: string) => {
        expect((await visitor.post('/oauth/revoke', { token, client_id: visitor.clientId })).status).toBe(200);
      },
    ],
    [
      'by the user',
      async (name: string) => {
        const login = await entrance.login(name, password);
        const { body } = await entrance.ask('GET', '/grants', login);
        const [only] = grantsIn(body);
        expect((await entrance.ask('DELETE', `/grants/${only?.id ?? ''}`, login)).status).toBe(200);
      },
    ],
    [
      'by the end of the client',
      async (_name: string, visitor: OAuthVisitor) => {
        await entrance.owner('DELETE', `/clients/${visitor.clientId}`);
      },
    ],
    [
      'by a new password',
      async (name: string) => {
        await entrance.owner('POST', `/users/${name}/reset`, { password: 'another horse battery' });
      },
    ],
    [
      'by the user being disabled',
      async (name: string) => {
        await entrance.owner('PATCH', `/users/${name}`, { disabled: true });
        await entrance.owner('PATCH', `/users/${name}`, { disabled: false });
      },
    ],
    [
      'by the user being removed',
      async (name: string) => {
        await entrance.owner('DELETE', `/users/${name}`);
      },
    ],
  ])('%s counts at once, also on a stream that is open', async (what, end) => {
    const name = await user(`end-${what.replaceAll(/\W/g, '-')}`);
    const visitor = new OAuthVisitor(entrance);
    const { access, refresh } = await visitor.tokens(name, password, { resource: visitor.url });
    const stream = await fetch(`${entrance.url}/api/v1/events?after=0`, {
      headers: { authorization: `Bearer ${access}` },
    });
    expect(stream.status).toBe(200);
    await end(name, visitor, access);
    expect((await mcp(access)).status).toBe(401);
    expect((await visitor.refresh(refresh)).status).not.toBe(200);
    // It ends by itself; who may come in was never told on it.
    expect(await stream.text()).not.toMatch(/"type":"(?:user|grant|client|oauth)\./);
  });

  it('is of one’s own grants only, and of all for an administrator', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.tokens(await user('mine'), password);
    const grants = grantsIn(await entrance.owner('GET', '/grants'));
    const { id = '' } = grants.find((one) => one.user === 'mine') ?? {};
    const other = await entrance.loggedIn('nosy', 'coordinator');
    expect((await entrance.ask('GET', '/grants', other)).body['grants']).toEqual([]);
    expect((await entrance.ask('DELETE', `/grants/${id}`, other)).status).toBe(404);
    expect((await entrance.ask('GET', '/clients', other)).status).toBe(403);
    await entrance.owner('DELETE', `/grants/${id}`);
  });

  it('of a token that is not ours is no news, and of another client’s is refused', async () => {
    const visitor = new OAuthVisitor(entrance);
    const { refresh, access } = await visitor.tokens(await user('other'), password);
    expect((await visitor.post('/oauth/revoke', { token: 'nothing' })).status).toBe(200);
    const thief = new OAuthVisitor(entrance);
    await thief.register();
    expect((await thief.post('/oauth/revoke', { token: refresh, client_id: thief.clientId })).status).toBe(400);
    expect((await mcp(access)).status).toBe(200);
  });
});

it('all of it is there after a restart', async () => {
  const place = new Entrance();
  try {
    await place.start();
    const { port } = new URL(place.url);
    await makeUser(place, 'ada');
    const visitor = new OAuthVisitor(place);
    const { access, refresh } = await visitor.tokens('ada', password);
    await place.server.close();
    writeFileSync(join(place.root, 'home', 'config.json'), JSON.stringify({ port: Number(port) }));
    await place.start();
    expect((await callMcp(place, access)).status).toBe(200);
    const next = tokensOf(await visitor.refresh(refresh));
    expect((await callMcp(place, next.access)).status).toBe(200);
    expect((await visitor.refresh(refresh)).status).toBe(400);
    expect((await callMcp(place, next.access)).status).toBe(401);
  } finally {
    await place.destroy();
  }
});

it('leaves no token, code or private key in the log', async () => {
  const bytes = entrance.bytes();
  expect(bytes).toContain('grant.created');
  for (const secret of ['maosr_', 'maosc_', 'eyJhbGciOiJFZERTQSI', '"privateKey"', 'MC4CAQAwBQYDK2VwBCIEI'])
    expect(bytes.includes(secret), secret).toBe(false);
});
