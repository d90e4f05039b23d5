import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeFor } from '../auth/totp.ts';
import { findChromium, openChromium, stumbles } from './browser.fixture.ts';
import { Entrance } from './identity.fixture.ts';
import { PublicClient } from './oauth-client.fixture.ts';

const chromium = findChromium();
const patience = 120_000;
const password = 'correct horse battery';

describe.skipIf(chromium === null)('an OAuth login in Chromium', { timeout: patience }, () => {
  let entrance: Entrance;
  let browser: Browser;
  const clients: PublicClient[] = [];

  beforeAll(async () => {
    entrance = await new Entrance().start();
    browser = await openChromium(chromium ?? '');
    await entrance.owner('POST', '/users', { name: 'bob', role: 'coordinator', password });
  }, patience);

  afterAll(async () => {
    for (const client of clients) client.close();
    await browser.close();
    await entrance.destroy();
  }, patience);

  /** A program on this computer that has registered. */
  const program = async (name: string): Promise<PublicClient> => {
    const client = await new PublicClient(entrance.url, name).start();
    clients.push(client);
    return client;
  };

  /** A user with a second factor: its secret, and recovery codes. */
  const withFactor = async (name: string): Promise<{ secret: string; recovery: string[] }> => {
    await entrance.owner('POST', '/users', { name, role: 'coordinator', password });
    const token = await entrance.login(name, password);
    const begun = await entrance.ask('POST', '/account/factor', token, {});
    const secret = String(begun.body['secret']);
    const code = codeFor(secret, Date.now());
    const { body } = await entrance.ask('POST', '/account/factor/confirm', token, { code });
    const { recovery } = body;
    return { secret, recovery: Array.isArray(recovery) ? recovery.map(String) : [] };
  };

  const visit = async (address: string, context?: BrowserContext): Promise<Page> => {
    const page = await (context ?? (await browser.newContext())).newPage();
    await page.goto(address);
    return page;
  };
  const signIn = async (page: Page, name: string, given: string): Promise<void> => {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(given);
    await press(page, 'Sign in');
  };
  const giveCode = async (page: Page, code: string): Promise<void> => {
    await page.getByLabel('Code', { exact: true }).fill(code);
    await press(page, 'Continue');
  };
  const press = (page: Page, name: string): Promise<void> => page.getByRole('button', { name, exact: true }).click();
  /** Waits for the page with this heading: a click does not wait for what comes of it. */
  const sees = (page: Page, name: string): Promise<void> =>
    page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  const back = (page: Page): Promise<void> => page.waitForURL('http://127.0.0.1:*/callback?*');
  const problem = (page: Page): Promise<string> => page.getByRole('alert').innerText();
  const words = (page: Page): Promise<string> => page.getByRole('main').innerText();
  const account = (token: string) => entrance.ask('GET', '/account', token);

  /** The way to a code, for a user without a second factor. */
  const codeOf = async (client: PublicClient, more: Record<string, string> = {}): Promise<string> => {
    const page = await visit(client.address(more));
    await signIn(page, 'bob', password);
    await press(page, 'Allow');
    const { code = '' } = await client.answer();
    await page.context().close();
    return code;
  };

  const toolsOf = async (token: string): Promise<string[]> => {
    const client = new Client({ name: 'test', version: '1' });
    const requestInit = { headers: { authorization: `Bearer ${token}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${entrance.url}/mcp`), { requestInit }));
    const { tools } = await client.listTools();
    await client.close();
    return tools.map(({ name }) => name);
  };

  it('works end to end for a public client; TOTP is asked for; a refresh token that comes twice ends it', async () => {
    const { secret } = await withFactor('ada');
    const client = await program('Desk');
    const page = await visit(client.address());

    // The password.
    await sees(page, 'Sign in');
    expect(await words(page)).toContain('Desk');
    await signIn(page, 'ada', 'wrong horse battery');
    expect(await problem(page)).toMatch(/wrong/);
    expect(await page.getByLabel('Name').inputValue()).toBe('ada');
    expect(await page.getByLabel('Password').inputValue()).toBe('');
    await signIn(page, 'ada', password);

    // The second factor, without which nothing goes on.
    await sees(page, 'Second factor');
    await page.goto(page.url().replace('/code?', '/consent?'));
    await sees(page, 'Second factor');
    await giveCode(page, '000000');
    expect(await problem(page)).toMatch(/wrong/);
    const code = codeFor(secret, Date.now() + 30_000);
    await giveCode(page, `${code.slice(0, 3)} ${code.slice(3)}`);

    // The consent.
    await sees(page, 'Let this app in?');
    expect(await words(page)).toMatch(/act as ada and can:.*coordinator/s);
    expect(await stumbles(page)).toEqual([]);
    await press(page, 'Allow');
    const answer = await client.answer();
    expect(answer).toEqual({ code: answer['code'], state: 'state of the client', iss: entrance.url });
    await back(page);
    expect(await page.title()).toBe('Back in the app');
    await page.context().close();

    // What it gives: what was asked for, and not all that the user may do.
    const given = await client.exchange(answer['code'] ?? '');
    expect(given).toMatchObject({ status: 200, scope: 'coordinator' });
    expect((await account(given.access)).body).toMatchObject({ actor: 'user:ada' });
    expect((await entrance.ask('POST', '/keys', given.access, { name: 'more' })).status).toBe(403);
    expect(await toolsOf(given.access)).toContain('run_create');

    // Another refresh token takes its place; the old one is then in wrong hands.
    const next = await client.refresh(given.refresh);
    expect(next.status).toBe(200);
    expect((await account(next.access)).status).toBe(200);
    expect(await client.refresh(given.refresh)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect((await account(next.access)).status).toBe(401);
    expect(await client.refresh(next.refresh)).toMatchObject({ status: 400, error: 'invalid_grant' });
  });

  it.each([
    ['the client gives its token back', (client: PublicClient, refresh: string) => client.revoke(refresh)],
    [
      'the user takes the access back',
      async () => {
        const token = await entrance.login('bob', password);
        const { body } = await entrance.ask('GET', '/grants', token);
        const [grant] = Array.isArray(body['grants']) ? body['grants'] : [];
        return (await entrance.ask('DELETE', `/grants/${String(Reflect.get(Object(grant), 'id'))}`, token)).status;
      },
    ],
  ])('access ends at once, on open streams too, when %s', async (_what, end) => {
    const client = await program('Stream');
    const given = await client.exchange(await codeOf(client));
    expect((await account(given.access)).status).toBe(200);
    const stream = await fetch(`${entrance.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${given.access}` },
    });
    expect(stream.status).toBe(200);
    expect(await end(client, given.refresh)).toBe(200);
    expect((await account(given.access)).status).toBe(401);
    expect(await client.refresh(given.refresh)).toMatchObject({ status: 400, error: 'invalid_grant' });
    await entrance.owner('POST', '/tasks', { title: 'made after the end' });
    // The stream ends by itself, and without the record that came after.
    expect(await stream.text()).not.toContain('made after the end');
  });

  it('tells the client when the person denies, and gives it nothing', async () => {
    const client = await program('Denied');
    const page = await visit(client.address());
    await signIn(page, 'bob', password);
    await press(page, 'Deny');
    expect(await client.answer()).toMatchObject({
      error: 'access_denied',
      state: 'state of the client',
      iss: entrance.url,
    });
    await back(page);
    await page.goBack();
    await sees(page, 'This page is over');
    await page.context().close();
  });

  it('lets a person leave, and somebody else sign in', async () => {
    const client = await program('Shared');
    const { recovery } = await withFactor('eve');
    const page = await visit(client.address());
    await signIn(page, 'bob', password);
    await press(page, 'Not bob? Sign in as somebody else');
    await sees(page, 'Sign in');
    await signIn(page, 'eve', password);
    await page.getByText('Use a recovery code').click();
    await page.getByLabel('Recovery code').fill(recovery[0] ?? '');
    await press(page, 'Continue with it');
    await sees(page, 'Let this app in?');
    expect(await words(page)).toContain('act as eve');
    await page.context().close();
  });

  it('asks each time anew: a browser in which somebody has signed in gives the next program nothing', async () => {
    const context = await browser.newContext();
    for (const name of ['First', 'Second']) {
      const client = await program(name);
      const page = await visit(client.address(), context);
      await sees(page, 'Sign in');
      await signIn(page, 'bob', password);
      await sees(page, 'Let this app in?');
      expect(await words(page)).toContain(name);
      await press(page, 'Allow');
      expect(await client.answer()).toHaveProperty('code');
    }
    // Nothing of it stays behind.
    expect(await context.cookies()).toEqual([]);
    await context.close();
  });

  it('carries a code for one exchange, by the client that proves to have asked for it', async () => {
    const client = await program('Once');
    const other = await program('Thief');
    const code = await codeOf(client);
    const refused = { status: 400, error: 'invalid_grant' };
    expect(await other.exchange(code, { redirect_uri: client.redirect })).toMatchObject(refused);
    expect(await client.exchange(code, { code_verifier: 'a'.repeat(43) })).toMatchObject(refused);
    expect(await client.exchange(code, { redirect_uri: other.redirect })).toMatchObject(refused);
    const given = await client.exchange(code);
    expect(given.status).toBe(200);
    expect(await client.exchange(code)).toMatchObject(refused);
    expect((await account(given.access)).status).toBe(401);
  });

  it('gives tokens for the resource that was named, and no other', async () => {
    const client = await program('Bound');
    const given = await client.exchange(await codeOf(client, { resource: `${entrance.url}/mcp` }));
    expect(await toolsOf(given.access)).toContain('run_create');
    expect((await account(given.access)).status).toBe(401);
    const page = await visit(client.address({ resource: 'https://elsewhere.example/mcp' }));
    expect(`${page.url()} ${await page.content()}`).toContain('invalid_target');
    await page.context().close();
  });

  it('leads the official MCP client from its first 401 to the tools', async () => {
    const own = await program('unused');
    let information: Awaited<ReturnType<OAuthClientProvider['clientInformation']>>;
    let tokens: Awaited<ReturnType<OAuthClientProvider['tokens']>>;
    let discovered: Awaited<ReturnType<NonNullable<OAuthClientProvider['discoveryState']>>>;
    let verifier = '';
    let opened = '';
    const authProvider: OAuthClientProvider = {
      redirectUrl: own.redirect,
      clientMetadata: { client_name: 'Official', redirect_uris: [own.redirect] },
      clientInformation: () => information,
      saveClientInformation: (given) => void (information = given),
      tokens: () => tokens,
      saveTokens: (given) => void (tokens = given),
      discoveryState: () => discovered,
      saveDiscoveryState: (given) => void (discovered = given),
      redirectToAuthorization: (url) => void (opened = url.href),
      saveCodeVerifier: (given) => void (verifier = given),
      codeVerifier: () => verifier,
    };
    const transport = () => new StreamableHTTPClientTransport(new URL(`${entrance.url}/mcp`), { authProvider });
    const first = transport();
    await expect(new Client({ name: 'official', version: '1' }).connect(first)).rejects.toThrow(UnauthorizedError);
    const page = await visit(opened);
    expect(await words(page)).toContain('Official');
    await signIn(page, 'bob', password);
    await press(page, 'Allow');
    await first.finishAuth(new URLSearchParams(await own.answer()));
    const client = new Client({ name: 'official', version: '1' });
    await client.connect(transport());
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('run_create');
    await client.close();
    await page.context().close();
  });

  describe('its pages', () => {
    it('cannot be framed, and their cookie cannot be read by scripts or sent by other sites', async () => {
      const client = await program('Framed');
      const page = await visit(client.address());
      const cookies = await page.context().cookies();
      expect(cookies.length).toBeGreaterThan(0);
      expect(cookies.filter(({ httpOnly, sameSite }) => !httpOnly || sameSite === 'None')).toEqual([]);
      expect(await page.evaluate('document.cookie')).toBe('');
      const { status, headers } = await fetch(client.address(), { redirect: 'manual' });
      expect(status).toBe(303);
      const shown = await fetch(new URL(headers.get('location') ?? '', entrance.url), {
        headers: { cookie: (headers.get('set-cookie') ?? '').split(';', 1)[0] ?? '' },
      });
      expect(shown.status).toBe(200);
      expect(shown.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(shown.headers.get('x-frame-options')).toBe('DENY');
      await page.context().close();
    });

    it.each(['', 'wrong', 'é'.repeat(32), 'x'.repeat(32)])('refuse a form whose csrf is "%s"', async (csrf) => {
      const page = await visit((await program('Forged')).address());
      await page.evaluate(`document.querySelector('[name=csrf]').value = ${JSON.stringify(csrf)}`);
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await signIn(page, 'bob', password);
      expect((await answered).status()).toBe(403);
      await page.context().close();
    });

    it('belong to the browser in which they began', async () => {
      const page = await visit((await program('Carried')).address());
      const elsewhere = await visit(page.url());
      await sees(elsewhere, 'This page is over');
      expect(await words(elsewhere)).not.toContain('Carried');
      await page.context().close();
      await elsewhere.context().close();
    });

    it('are of no use to whoever began them elsewhere, once somebody has signed in', async () => {
      const client = await program('Fixed');
      const attacker = await visit(client.address());
      const planted = await attacker.context().cookies();
      const victims = await browser.newContext();
      await victims.addCookies(planted);
      const victim = await visit(attacker.url(), victims);
      await signIn(victim, 'bob', password);
      await sees(victim, 'Let this app in?');
      await attacker.goto(victim.url());
      await sees(attacker, 'This page is over');
      expect(await words(attacker)).not.toMatch(/Allow|bob/);
      await victims.close();
      await attacker.context().close();
    });

    it('send nobody anywhere for an address that was not registered', async () => {
      const client = await program('Elsewhere');
      const page = await visit(client.address({ redirect_uri: 'https://evil.example/cb' }));
      expect(page.url()).toContain(entrance.url);
      expect(await stumbles(page)).toEqual([]);
      await page.context().close();
    });
  });
});
