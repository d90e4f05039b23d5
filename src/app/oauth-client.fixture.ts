import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';

/** What a token endpoint gave, or why not. */
export interface Given {
  readonly status: number;
  readonly error: string | undefined;
  readonly access: string;
  readonly refresh: string;
  readonly scope: string;
}

/**
 * For tests: a public client as it runs on a person's computer. It has no secret, waits for its code on a port of loopback, and
 * proves by PKCE that it is the one that asked.
 */
export class PublicClient {
  readonly name: string;
  readonly #issuer: string;
  readonly #server: Server;
  readonly #verifier = randomBytes(32).toString('base64url');
  readonly #answers: URLSearchParams[] = [];
  #wake: () => void = () => undefined;
  #id = '';

  constructor(issuer: string, name: string) {
    this.#issuer = issuer;
    this.name = name;
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://127.0.0.1');
      if (url.pathname === '/callback') {
        this.#answers.push(url.searchParams);
        this.#wake();
      }
      response.end('<!doctype html><title>Back in the app</title>');
    });
  }

  get id(): string {
    return this.#id;
  }

  get redirect(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/callback`;
  }

  /** Listens, and registers itself. */
  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const response = await fetch(`${this.#issuer}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_name: this.name, redirect_uris: [this.redirect] }),
    });
    const said: { client_id?: string } = JSON.parse(await response.text());
    this.#id = said.client_id ?? '';
    return this;
  }

  /** What it opens in the browser. */
  address(more: Readonly<Record<string, string>> = {}): string {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: this.#id,
      redirect_uri: this.redirect,
      code_challenge: createHash('sha256').update(this.#verifier).digest('base64url'),
      code_challenge_method: 'S256',
      state: 'state of the client',
      scope: 'coordinator',
      resource: `${this.#issuer}/`,
      ...more,
    });
    return `${this.#issuer}/oauth/authorize?${query.toString()}`;
  }

  /** The parameters with which the browser came back. */
  async answer(): Promise<Record<string, string>> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) return Object.fromEntries(answer);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  exchange(code: string, more: Readonly<Record<string, string>> = {}): Promise<Given> {
    return this.#token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.redirect,
      code_verifier: this.#verifier,
      ...more,
    });
  }

  refresh(token: string): Promise<Given> {
    return this.#token({ grant_type: 'refresh_token', refresh_token: token });
  }

  async revoke(token: string): Promise<number> {
    return (await this.#post('revoke', { token })).status;
  }

  async #token(form: Readonly<Record<string, string>>): Promise<Given> {
    const response = await this.#post('token', form);
    const body: Record<string, unknown> = JSON.parse(await response.text());
    const text = (name: string): string => (typeof body[name] === 'string' ? body[name] : '');
    const error = text('error');
    return {
      status: response.status,
      error: error === '' ? undefined : error,
      access: text('access_token'),
      refresh: text('refresh_token'),
      scope: text('scope'),
    };
  }

  #post(path: string, form: Readonly<Record<string, string>>): Promise<Response> {
    const body = new URLSearchParams({ client_id: this.#id, ...form });
    return fetch(`${this.#issuer}/oauth/${path}`, { method: 'POST', body });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
