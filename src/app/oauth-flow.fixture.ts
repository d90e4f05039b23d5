import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import type { Entrance } from './identity.fixture.ts';

/** What a page or an endpoint answered. */
export interface Seen {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly location: string;
  /** The answer as JSON, where it is. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Tokens as the token endpoint gives them. */
export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  readonly scope: string;
}

const redirect = 'http://127.0.0.1:7777/callback';

/** For tests: a public client and the browser of a person, both over real HTTP. */
export class OAuthVisitor {
  readonly #entrance: Entrance;
  readonly #cookies = new Map<string, string>();
  readonly verifier = randomBytes(32).toString('base64url');
  readonly redirect: string;
  clientId = '';

  constructor(entrance: Entrance, redirectUri = redirect) {
    this.#entrance = entrance;
    this.redirect = redirectUri;
  }

  get url(): string {
    return this.#entrance.url;
  }

  get challenge(): string {
    return createHash('sha256').update(this.verifier).digest('base64url');
  }

  /** As if this browser had the cookies of another one. */
  takeCookies(other: OAuthVisitor): void {
    for (const [name, value] of other.#cookies) this.#cookies.set(name, value);
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Seen> {
    return this.#send(path, { headers });
  }

  async post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Seen> {
    return this.#send(path, { method: 'POST', body: new URLSearchParams(fields), headers });
  }

  async register(metadata: Record<string, unknown> = {}): Promise<Seen> {
    const seen = await this.#send('/oauth/register', {
      method: 'POST',
      body: JSON.stringify({ client_name: 'A program', redirect_uris: [this.redirect], ...metadata }),
      headers: { 'content-type': 'application/json' },
    });
    this.clientId = typeof seen.body['client_id'] === 'string' ? seen.body['client_id'] : '';
    return seen;
  }

  /** The request of a client; `undefined` leaves a parameter out. */
  authorize(change: Record<string, string | undefined> = {}): Promise<Seen> {
    const asked = {
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: this.redirect,
      code_challenge: this.challenge,
      code_challenge_method: 'S256',
      state: 'xyz',
      resource: `${this.url}/mcp`,
      ...change,
    };
    const given = Object.entries(asked).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    return this.get(`/oauth/authorize?${new URLSearchParams(Object.fromEntries(given)).toString()}`);
  }

  /** Fills in the form of a page. */
  async fill(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Seen> {
    const page = await this.get(path);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    return this.post(path, { csrf, ...fields }, headers);
  }

  /** From the request to the consent page: its path. */
  async signIn(name: string, password: string, change: Record<string, string | undefined> = {}): Promise<string> {
    const begun = await this.authorize(change);
    const signed = await this.fill(begun.location, { name, password });
    if (signed.status !== 303) throw new Error(`${signed.status}: ${signed.text}`);
    return signed.location;
  }

  /** All of it: the code that the client is sent. */
  async code(name: string, password: string, change: Record<string, string | undefined> = {}): Promise<string> {
    const answered = await this.fill(await this.signIn(name, password, change), { decision: 'allow' });
    return new URL(answered.location).searchParams.get('code') ?? '';
  }

  exchange(code: string, change: Record<string, string> = {}): Promise<Seen> {
    return this.post('/oauth/token', {
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.redirect,
      client_id: this.clientId,
      code_verifier: this.verifier,
      ...change,
    });
  }

  refresh(token: string, change: Record<string, string> = {}): Promise<Seen> {
    return this.post('/oauth/token', {
      grant_type: 'refresh_token',
      refresh_token: token,
      client_id: this.clientId,
      ...change,
    });
  }

  /** Registers, signs in, and has the tokens. */
  async tokens(name: string, password: string, change: Record<string, string | undefined> = {}): Promise<Tokens> {
    if (this.clientId === '') await this.register();
    return tokensOf(await this.exchange(await this.code(name, password, change)));
  }

  /** A form whose head goes out now; its body when the answer is called for: the status. */
  slowly(path: string, body: string): () => Promise<number> {
    const cookie = this.#cookie();
    const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
    const sent = request(new URL(path, this.url), { method: 'POST', agent: false, headers });
    sent.flushHeaders();
    const answer = once(sent, 'response');
    return async () => {
      sent.end(body);
      const [response] = await answer;
      response.resume();
      return response.statusCode;
    };
  }

  #cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async #send(
    path: string,
    init: {
      readonly method?: string;
      readonly body?: string | URLSearchParams;
      readonly headers: Record<string, string>;
    },
  ): Promise<Seen> {
    const cookie = this.#cookie();
    const response = await fetch(new URL(path, this.url), {
      ...init,
      redirect: 'manual',
      headers: { ...(cookie === '' ? {} : { cookie }), ...init.headers },
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    const text = await response.text();
    const json = response.headers.get('content-type')?.startsWith('application/json') === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      location: response.headers.get('location') ?? '',
      body: json ? JSON.parse(text) : {},
    };
  }
}

export const password = 'correct horse battery staple';

/** A user with the password above; the name. */
export async function makeUser(
  entrance: Entrance,
  name: string,
  role = 'coordinator',
  teams: readonly string[] | null = null,
): Promise<string> {
  await entrance.owner('POST', '/users', { name, role, teams, password });
  return name;
}

/** What a call over MCP with this token is answered. */
export function callMcp({ url }: Entrance, token: string): Promise<Response> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '0' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  return fetch(`${url}/mcp`, { method: 'POST', headers, body });
}

export function tokensOf({ status, body, text }: Seen): Tokens {
  const { access_token: access, refresh_token: refresh, scope } = body;
  if (status !== 200 || typeof access !== 'string' || typeof refresh !== 'string' || typeof scope !== 'string')
    throw new Error(`${status}: ${text}`);
  return { access, refresh, scope };
}
