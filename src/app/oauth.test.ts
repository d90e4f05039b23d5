import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { codeFor } from '../auth/totp.ts';
import { Entrance } from './identity.fixture.ts';
import { callMcp, makeUser, OAuthVisitor, password, tokensOf } from './oauth-flow.fixture.ts';

let entrance: Entrance;

beforeAll(async () => {
  entrance = await new Entrance().start();
});
afterAll(() => entrance.destroy());

const user = (name: string, role?: string, teams?: readonly string[]): Promise<string> =>
  makeUser(entrance, name, role, teams);
const mcp = (token: string): Promise<Response> => callMcp(entrance, token);

it('says how to make a user when there is nobody who could sign in', async () => {
  const visitor = new OAuthVisitor(entrance);
  await visitor.register();
  const page = await visitor.authorize();
  expect(page.status).toBe(409);
  expect(page.text).toContain('maos user create');
});

describe('a client finds out', () => {
  it('from a 401 where to ask, for each resource its own', async () => {
    const refused = await fetch(`${entrance.url}/mcp`, { method: 'POST' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe(
      `Bearer realm="maos", scope="coordinator", resource_metadata="${entrance.url}/.well-known/oauth-protected-resource/mcp"`,
    );
    const rest = await fetch(`${entrance.url}/api/v1/runs`, { headers: { authorization: 'Bearer x' } });
    expect(rest.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(rest.headers.get('www-authenticate')).toContain('/.well-known/oauth-protected-resource/api/v1"');
  });

  it('and there, without a credential, all else', async () => {
    const visitor = new OAuthVisitor(entrance);
    const { url } = visitor;
    const resource = await visitor.get('/.well-known/oauth-protected-resource/mcp');
    expect(resource.body).toMatchObject({ resource: `${url}/mcp`, authorization_servers: [url] });
    const server = await visitor.get('/.well-known/oauth-authorization-server');
    expect(server.body).toMatchObject({
      issuer: url,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
    });
    expect((await visitor.get('/oauth/jwks')).body['keys']).toHaveLength(1);
  });
});

describe('the way through the browser', () => {
  it('ends with a token that does what role and user have in common', async () => {
    const name = await user('ada', 'viewer', ['red']);
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const consent = await visitor.signIn(name, password, { scope: 'coordinator unknown' });
    const page = await visitor.get(consent);
    expect(page.text).toContain('A program');
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; .*frame-ancestors 'none'/);
    expect(page.headers.get('cache-control')).toBe('no-store');
    const answered = await visitor.fill(consent, { decision: 'allow' });
    const answer = new URL(answered.location);
    expect(answer.origin + answer.pathname).toBe(visitor.redirect);
    expect(answer.searchParams.get('state')).toBe('xyz');
    expect(answer.searchParams.get('iss')).toBe(visitor.url);
    const { access, scope } = tokensOf(await visitor.exchange(answer.searchParams.get('code') ?? ''));
    expect(scope).toBe('coordinator');
    expect((await mcp(access)).status).toBe(200);
    const { grants } = await entrance.owner('GET', '/grants');
    expect(grants).toMatchObject([{ user: 'ada', clientName: 'A program', scope: ['coordinator'] }]);
    const rest = new OAuthVisitor(entrance);
    const other = await rest.tokens(name, password, { resource: `${rest.url}/api/v1` });
    const account = await entrance.ask('GET', '/account', other.access);
    expect(account.body).toMatchObject({ actor: 'user:ada', teams: ['red'] });
    // What a coordinator may do and a viewer may not.
    expect((await entrance.ask('POST', '/tasks', other.access, { title: 'x' })).status).toBe(403);
    // Nothing that outlives it, and no other access.
    for (const [method, path] of [
      ['POST', '/keys'],
      ['GET', '/grants'],
      ['GET', '/logins'],
    ] as const)
      expect(
        (await entrance.ask(method, path, other.access, method === 'GET' ? undefined : { name: 'x' })).status,
      ).toBe(403);
  });

  it('asks for the second factor, and takes a code once', async () => {
    const name = await user('totp');
    const login = await entrance.login(name, password);
    const begun = await entrance.ask('POST', '/account/factor', login, {});
    const secret = String(begun.body['secret']);
    const confirmed = await entrance.ask('POST', '/account/factor/confirm', login, {
      code: codeFor(secret, Date.now() - 30_000),
    });
    expect(confirmed.status).toBe(200);
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const next = await visitor.signIn(name, password);
    expect(next).toMatch(/^\/oauth\/code\?/);
    // Its consent page is not to be had by knowing the address.
    expect((await visitor.get(next.replace('code', 'consent'))).location).toBe(next);
    expect((await visitor.fill(next, { code: '000000' })).status).toBe(401);
    const code = codeFor(secret, Date.now());
    const signed = await visitor.fill(next, { code: `${code.slice(0, 3)} ${code.slice(3)}` });
    expect(signed.location).toMatch(/^\/oauth\/consent\?/);
    const again = new OAuthVisitor(entrance);
    await again.register();
    expect((await again.fill(await again.signIn(name, password), { code })).status).toBe(401);
    const [recovery = ''] = z.array(z.string()).parse(confirmed.body['recovery']);
    expect((await again.fill(await again.signIn(name, password), { code: recovery })).location).toMatch(/consent/);
  });

  it('counts wrong passwords together with those of login.create', async () => {
    const name = await user('guess');
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const { location } = await visitor.authorize();
    for (let count = 0; count < 3; count += 1)
      expect((await visitor.fill(location, { name, password: 'wrong' })).status).toBe(401);
    for (let count = 0; count < 2; count += 1)
      expect((await entrance.ask('POST', '/logins', null, { name, password: 'wrong' })).status).toBe(401);
    const refused = await visitor.fill(location, { name, password });
    expect(refused.status).toBe(429);
    expect(refused.text).toContain('Try again in');
  });

  it('sends a denial, with state and issuer', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const denied = await visitor.fill(await visitor.signIn(await user('deny'), password), { decision: 'deny' });
    const answer = new URL(denied.location).searchParams;
    expect(Object.fromEntries(answer)).toMatchObject({ error: 'access_denied', state: 'xyz', iss: visitor.url });
  });

  it('lets somebody else sign in instead, and answers once', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const consent = await visitor.signIn(await user('first'), password);
    const left = await visitor.fill(consent, { decision: 'leave' });
    expect(left.location).toMatch(/^\/oauth\/sign-in\?/);
    const signed = await visitor.fill(left.location, { name: await user('second'), password });
    const csrf = /name="csrf" value="([^"]+)"/.exec((await visitor.get(signed.location)).text)?.[1] ?? '';
    expect((await visitor.post(signed.location, { csrf, decision: 'allow' })).status).toBe(303);
    expect((await visitor.post(signed.location, { csrf, decision: 'allow' })).status).toBe(400);
  });
});

describe('a request that is wrong', () => {
  const visitor = (): OAuthVisitor => new OAuthVisitor(entrance);

  it.each([
    ['an unknown client', { client_id: 'client_000000000000' }, 401],
    ['no client', { client_id: undefined }, 400],
    ['an address that is not registered', { redirect_uri: 'https://evil.example/callback' }, 400],
    ['an address with more to it', { redirect_uri: 'http://127.0.0.1:7777/callback/../x' }, 400],
    ['a registered address with a fragment', { redirect_uri: 'http://127.0.0.1:7777/callback#x' }, 400],
    ['no address', { redirect_uri: undefined }, 400],
  ])('is told on a page of ours: %s', async (_what, change, status) => {
    const one = visitor();
    await one.register();
    const page = await one.authorize(change);
    expect(page).toMatchObject({ status, location: '' });
    expect(page.headers.get('content-type')).toContain('text/html');
  });

  it.each([
    ['no challenge', { code_challenge: undefined }, 'invalid_request'],
    ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['no method, which would be plain', { code_challenge_method: undefined }, 'invalid_request'],
    ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
    ['scopes that there are not', { scope: 'root' }, 'invalid_scope'],
    ['another server’s resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['a request that nobody may see', { prompt: 'none' }, 'login_required'],
  ])('is told to the client: %s', async (_what, change, error) => {
    const one = visitor();
    await one.register();
    const { status, location } = await one.authorize(change);
    expect(status).toBe(303);
    const answer = new URL(location);
    expect(answer.origin + answer.pathname).toBe(one.redirect);
    expect(Object.fromEntries(answer.searchParams)).toMatchObject({ error, state: 'xyz', iss: one.url });
  });

  it('is told on a page of ours when its address is on another machine and nobody has signed in yet', async () => {
    const one = new OAuthVisitor(entrance, 'https://evil.example/callback');
    await one.register();
    expect(await one.authorize({ scope: 'root' })).toMatchObject({ status: 400, location: '' });
    const denied = await one.fill(await one.signIn(await user('elsewhere'), password), { decision: 'deny' });
    expect(denied.location).toMatch(/^https:\/\/evil\.example\/callback\?error=access_denied&/);
  });

  it('is refused with a parameter that comes twice', async () => {
    const one = visitor();
    await one.register();
    const page = await one.get(`/oauth/authorize?client_id=${one.clientId}&client_id=${one.clientId}`);
    expect(page).toMatchObject({ status: 400, location: '' });
  });

  it('may name another port of this machine, and nothing else of it', async () => {
    const one = visitor();
    await one.register();
    expect((await one.authorize({ redirect_uri: 'http://127.0.0.1:50123/callback' })).location).toMatch(/sign-in/);
    for (const redirect_uri of [
      'http://127.0.0.1:50123/other',
      'http://localhost:7777/callback',
      'https://127.0.0.1:7777/callback',
    ])
      expect((await one.authorize({ redirect_uri })).status, redirect_uri).toBe(400);
  });
});

describe('a form', () => {
  it('without its own secret, of another browser or from another site changes nothing', async () => {
    const name = await user('form');
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const { location } = await visitor.authorize();
    const fields = { name, password };
    expect((await visitor.post(location, fields)).status).toBe(403);
    expect((await visitor.post(location, { ...fields, csrf: 'x'.repeat(32) })).status).toBe(403);
    const foreign = await visitor.fill(location, fields, { origin: 'https://evil.example' });
    expect(foreign).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
    expect((await visitor.fill(location, fields, { origin: 'null' })).status).toBe(403);
    const other = new OAuthVisitor(entrance);
    expect((await other.get(location)).status).toBe(400);
    expect((await other.fill(location, fields)).status).toBe(400);
    expect((await visitor.fill(location, fields, { origin: visitor.url })).location).toMatch(/consent/);
  });

  it('is no use to who began the flow and had somebody else sign in to it', async () => {
    const [attacker, victim] = [new OAuthVisitor(entrance), new OAuthVisitor(entrance)];
    await attacker.register();
    const { location } = await attacker.authorize();
    victim.takeCookies(attacker);
    const signed = await victim.fill(location, { name: await user('victim'), password });
    expect((await victim.get(signed.location)).status).toBe(200);
    expect((await attacker.get(signed.location)).status).toBe(400);
  });

  it('that gives several answers at once gives one', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const consent = await visitor.signIn(await user('at-once'), password);
    const csrf = /name="csrf" value="([^"]+)"/.exec((await visitor.get(consent)).text)?.[1] ?? '';
    // Their heads are there before any of their bodies.
    const answers = ['deny', 'allow', 'allow'].map((decision) =>
      visitor.slowly(consent, new URLSearchParams({ csrf, decision }).toString()),
    );
    await visitor.get('/health');
    const statuses = await Promise.all(answers.map((send) => send()));
    expect(statuses.toSorted((a, b) => a - b)).toEqual([303, 400, 400]);
  });

  it('that fails is in the audit, with where it came from', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const { location } = await visitor.authorize();
    expect((await visitor.fill(location, { name: 'nobody', password })).status).toBe(401);
    const found = async (): Promise<string> => JSON.stringify(await entrance.owner('GET', '/audit?type=audit.refused'));
    await expect.poll(found).toContain('from 127.0.0.1');
  });

  it('with a secret of other letters is refused, not a failure', async () => {
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const { location } = await visitor.authorize();
    for (const csrf of ['é'.repeat(32), '💥'.repeat(16), '\0'.repeat(32)])
      expect((await visitor.post(location, { csrf, name: 'x', password })).status).toBe(403);
  });

  it('asks again when the user has a new password meanwhile', async () => {
    const name = await user('meanwhile');
    const visitor = new OAuthVisitor(entrance);
    await visitor.register();
    const consent = await visitor.signIn(name, password);
    await entrance.owner('POST', `/users/${name}/reset`, { password: 'another horse battery' });
    expect((await visitor.get(consent)).location).toMatch(/sign-in/);
    expect((await visitor.fill(consent, { decision: 'allow' })).location).not.toContain('code=');
  });

  it('is a small form', async () => {
    const visitor = new OAuthVisitor(entrance);
    const large = await visitor.post('/oauth/token', { code: 'x'.repeat(40_000) });
    expect(large.status).toBe(413);
  });
});

describe('a registration', () => {
  it.each([
    ['no address', { redirect_uris: [] }],
    ['a scheme of the system', { redirect_uris: ['ms-msdt:/x'] }],
    ['a script', { redirect_uris: ['javascript:alert(1)'] }],
    ['plain http elsewhere', { redirect_uris: ['http://evil.example/'] }],
    ['a fragment', { redirect_uris: ['https://app.example/#x'] }],
    ['a user in the address', { redirect_uris: ['https://a:b@app.example/'] }],
    ['no code', { grant_types: ['client_credentials'] }],
  ])('with %s is refused', async (_what, metadata) => {
    const visitor = new OAuthVisitor(entrance);
    const { status, body } = await visitor.register(metadata);
    expect(status).toBe(400);
    expect(body['error']).toMatch(/^invalid_(?:redirect_uri|client_metadata)$/);
  });

  it('makes a public client, whatever it asks to be', async () => {
    const visitor = new OAuthVisitor(entrance);
    const { status, body } = await visitor.register({
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'admin',
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({ token_endpoint_auth_method: 'none' });
    expect(body['client_secret']).toBeUndefined();
  });

  it.each([
    'https://127.0.0.1/client.json',
    'https://localhost/client.json',
    'https://[::1]/client.json',
    'https://10.0.0.1/client.json',
    'https://169.254.169.254/latest/meta-data',
    'https://[::ffff:127.0.0.1]/client.json',
    'https://2130706433/client.json',
  ])('by a document at %s is refused', async (client_id) => {
    const visitor = new OAuthVisitor(entrance);
    const page = await visitor.authorize({ client_id });
    expect(page).toMatchObject({ status: 400, location: '' });
    expect(page.text).toMatch(/private network|plain https/);
  });
});
