import type { Caller } from '../../kernel/caller.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { LogRecord } from '../../kernel/event.ts';
import type { Reader } from '../../kernel/handler.ts';
import { sha256 } from '../../kernel/hash.ts';
import type { Credentials } from '../guard.ts';
import { narrowScopes } from '../narrow.ts';
import { agentScopes, personScopes, type Role } from '../roles.ts';
import { list } from '../views.ts';
import { readToken } from './jwt.ts';
import { accessOf, liveKey } from './views.ts';

export interface GrantsOptions {
  readonly reader: Reader;
  readonly clock: Clock;
}

/** What stays true of a token: that it was signed, and what it says. */
interface Known {
  readonly kid: string;
  readonly grant: string;
  readonly issuer: string;
  /** Where it counts: the beginning of a path. */
  readonly base: string;
  readonly origin: string;
  readonly expiresAt: number;
}

const mostKnown = 10_000;
/** Records that can end or change what a grant gives. */
const concerning = /^(?:user|grant|oauth)\./;

/**
 * Access tokens as credentials. A signature is checked once and then known by the token's hash; whether its key, its grant and its user
 * still stand is read at every request, so an end of any of them counts for the next one.
 */
export class Grants implements Credentials {
  readonly #reader: Reader;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #scopes = new Map<string, readonly string[]>();
  /** By which key a caller came in, as long as somebody holds that caller: for connections that stay open. */
  readonly #keys = new WeakMap<Caller, string>();
  #origins: ReadonlySet<string> = new Set();

  constructor({ reader, clock }: GrantsOptions) {
    this.#reader = reader;
    this.#clock = clock;
  }

  /** The addresses by which this server goes: only tokens that it issued for one of them count. */
  serves(origins: Iterable<string>): void {
    this.#origins = new Set(origins);
  }

  callerOf(token: string, path: string): Caller | undefined {
    if (!token.startsWith('ey')) return undefined;
    const hash = sha256(token);
    let known = this.#known.get(hash);
    if (known === undefined) {
      known = this.#read(token);
      if (known === undefined) return undefined;
      const [oldest] = this.#known.keys();
      if (this.#known.size >= mostKnown && oldest !== undefined) this.#known.delete(oldest);
      this.#known.set(hash, known);
    }
    const now = this.#clock.now();
    if (known.expiresAt <= now || !this.#origins.has(known.issuer) || !this.#origins.has(known.origin))
      return undefined;
    if (known.base !== '/' && path !== known.base && !path.startsWith(`${known.base}/`)) return undefined;
    return this.#caller(known.grant, known.kid);
  }

  renew(caller: Caller): Caller | undefined {
    const kid = this.#keys.get(caller);
    return kid === undefined || caller.credential === null ? undefined : this.#caller(caller.credential, kid);
  }

  concerns({ type }: LogRecord): boolean {
    return concerning.test(type);
  }

  #read(token: string): Known | undefined {
    const now = this.#clock.now();
    const read = readToken(token, (kid) => liveKey(this.#reader, kid, now)?.public);
    if (read === undefined) return undefined;
    const { kid, claims } = read;
    const audience = URL.parse(claims.aud);
    if (audience === null) return undefined;
    return {
      kid,
      grant: claims.grant,
      issuer: claims.iss,
      origin: audience.origin,
      base: audience.pathname,
      expiresAt: claims.exp * 1_000,
    };
  }

  /** What the chosen roles and the user’s own have in common, by now. */
  #caller(grant: string, kid: string): Caller | undefined {
    const now = this.#clock.now();
    const row = accessOf(this.#reader, grant, kid, now);
    if (row === undefined) return undefined;
    const caller: Caller = {
      actor: { kind: 'user', id: row.user },
      scopes: this.#shared(row.scope, row.role),
      role: row.role,
      teams: list(row.teams),
      credential: grant,
    };
    this.#keys.set(caller, kid);
    return caller;
  }

  /** Computed once for each pair: there are few, and it would be most of the work. */
  #shared(chosen: string, own: Role): readonly string[] {
    const key = `${own} ${chosen}`;
    let scopes = this.#scopes.get(key);
    if (scopes === undefined) {
      const asked: Role[] = JSON.parse(chosen);
      scopes = narrowScopes([...new Set(asked.flatMap((role) => agentScopes(role)))], personScopes(own));
      this.#scopes.set(key, scopes);
    }
    return scopes;
  }
}
