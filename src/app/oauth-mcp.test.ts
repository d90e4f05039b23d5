import { Client, type OAuthClientProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Entrance } from './identity.fixture.ts';
import { makeUser, OAuthVisitor, password } from './oauth-flow.fixture.ts';

type Stored<Name extends 'clientInformation' | 'tokens'> = Awaited<ReturnType<OAuthClientProvider[Name]>>;

/** What the SDK asks of a program that uses it: it keeps what it is given, and shows an address to its user. */
class Program implements OAuthClientProvider {
  readonly redirectUrl = 'http://127.0.0.1:7777/callback';
  readonly clientMetadata = { client_name: 'SDK', redirect_uris: [this.redirectUrl] };
  information: Stored<'clientInformation'>;
  given: Stored<'tokens'>;
  shown: URL | undefined;
  #verifier = '';

  state = (): string => 'state-of-the-program';
  clientInformation = (): Stored<'clientInformation'> => this.information;
  saveClientInformation = (information: NonNullable<Stored<'clientInformation'>>): void => {
    this.information = information;
  };
  tokens = (): Stored<'tokens'> => this.given;
  saveTokens = (tokens: NonNullable<Stored<'tokens'>>): void => {
    this.given = tokens;
  };
  redirectToAuthorization = (address: URL): void => {
    this.shown = address;
  };
  saveCodeVerifier = (verifier: string): void => {
    this.#verifier = verifier;
  };
  codeVerifier = (): string => this.#verifier;
  invalidateCredentials = (): void => {
    this.given = undefined;
  };
}

let entrance: Entrance;
beforeAll(async () => {
  entrance = await new Entrance().start();
  await makeUser(entrance, 'ada');
});
afterAll(() => entrance.destroy());

const transportOf = (program: Program): StreamableHTTPClientTransport =>
  new StreamableHTTPClientTransport(new URL(`${entrance.url}/mcp`), { authProvider: program });

describe('the client of the MCP SDK', () => {
  it('finds its way from a 401 to a tool, and is out when it is revoked', async () => {
    const program = new Program();
    const first = transportOf(program);
    await expect(new Client({ name: 'sdk', version: '0' }).connect(first)).rejects.toThrow(/[Uu]nauthorized/);
    const { shown } = program;
    expect(shown?.searchParams.get('resource')).toBe(`${entrance.url}/mcp`);
    expect(shown?.searchParams.get('scope')).toBe('coordinator');
    const browser = new OAuthVisitor(entrance);
    const begun = await browser.get(shown?.href ?? '');
    const signed = await browser.fill(begun.location, { name: 'ada', password });
    const allowed = await browser.fill(signed.location, { decision: 'allow' });
    await first.finishAuth(new URL(allowed.location).searchParams);
    const client = new Client({ name: 'sdk', version: '0' });
    await client.connect(transportOf(program));
    const made = await client.callTool({ name: 'task_create', arguments: { title: 'by OAuth' } });
    expect(made.structuredContent).toMatchObject({ title: 'by OAuth' });
    // A library that is not ours reads the token by the key set.
    const keys = createLocalJWKSet(JSON.parse((await browser.get('/oauth/jwks')).text));
    const { payload } = await jwtVerify(program.given?.access_token ?? '', keys, {
      issuer: entrance.url,
      audience: `${entrance.url}/mcp`,
      typ: 'at+jwt',
      algorithms: ['EdDSA'],
    });
    expect(payload).toMatchObject({ scope: 'coordinator' });
    const { grants } = await entrance.owner('GET', '/grants');
    expect(grants).toMatchObject([{ user: 'ada', clientName: 'SDK' }]);
    await entrance.owner('DELETE', `/grants/${String(payload['grant'])}`);
    // It tries its refresh token, which is dead too, and asks its user again.
    program.shown = undefined;
    await expect(client.callTool({ name: 'task_list', arguments: {} })).rejects.toThrow(/[Uu]nauthorized/);
    expect(program.shown).toBeDefined();
    await client.close();
  });

  it('renews its access by itself when the token is over', async () => {
    const program = new Program();
    const first = transportOf(program);
    await expect(new Client({ name: 'sdk', version: '0' }).connect(first)).rejects.toThrow(/[Uu]nauthorized/);
    const browser = new OAuthVisitor(entrance);
    const begun = await browser.get(program.shown?.href ?? '');
    const signed = await browser.fill(begun.location, { name: 'ada', password });
    const allowed = await browser.fill(signed.location, { decision: 'allow' });
    await first.finishAuth(new URL(allowed.location).searchParams);
    const before = program.given?.access_token;
    await entrance.owner('POST', '/oauth/rotate', { endNow: true });
    const client = new Client({ name: 'sdk', version: '0' });
    await client.connect(transportOf(program));
    expect(program.given?.access_token).not.toBe(before);
    expect((await client.listTools()).tools.length).toBeGreaterThan(3);
    await client.close();
  });
});
