import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from './config.ts';
import { placesIn } from './places.ts';
import { type Server, startServer } from './server.ts';

/** What a request was answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** The answer as JSON. */
  readonly body: {
    readonly [key: string]: unknown;
    readonly error?: { code: string; message: string; fix?: string; details?: Record<string, unknown> };
  };
}

/** For tests: a server behind its own REST door, which is spoken to with any token, or with none. */
export class Entrance {
  readonly root = mkdtempSync(join(tmpdir(), 'maos-identity-'));
  #server: Server | undefined;

  get server(): Server {
    if (this.#server === undefined) throw new Error('The server was not started.');
    return this.#server;
  }

  get url(): string {
    return this.server.url ?? '';
  }

  async start(): Promise<this> {
    const environment = { PATH: process.env['PATH'], HOME: this.root, MAOS_HOME: join(this.root, 'home') };
    const config = readConfig(environment);
    this.#server = await startServer({ config, version: '0', acts: false, listens: true, environment });
    return this;
  }

  /** A request to the API; without a token none is sent. */
  async ask(method: string, path: string, token: string | null, body?: unknown, headers = {}): Promise<Answer> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
  }

  /** As the owner of the machine; throws what was refused. */
  async owner(method: string, path: string, body?: unknown): Promise<Answer['body']> {
    const answer = await this.ask(method, path, this.server.token, body);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
    return answer.body;
  }

  /** A user who has logged in: the token. */
  async loggedIn(name: string, role: string, teams: readonly string[] | null = null): Promise<string> {
    const password = `correct horse ${name.length} battery`;
    await this.owner('POST', '/users', { name, role, teams, password });
    return this.login(name, password);
  }

  async login(name: string, password: string, code?: string): Promise<string> {
    const given = { name, password, ...(code === undefined ? {} : { code }) };
    const { status, text, body } = await this.ask('POST', '/logins', null, given);
    if (status !== 200 || typeof body['token'] !== 'string') throw new Error(text);
    return body['token'];
  }

  /** Every byte of the log and its views, once the server has stopped or checkpointed. */
  bytes(): string {
    const { database } = placesIn(join(this.root, 'home'));
    return [database, `${database}-wal`].map((file) => readFileSync(file, 'latin1')).join('');
  }

  async destroy(): Promise<void> {
    await this.#server?.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
