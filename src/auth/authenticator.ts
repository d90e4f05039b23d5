/**
 * Who a token stands for. The table of credentials is the cache: it is read at every request by the token's hash, which costs a
 * few microseconds and is never older than the last commit, so there is nothing to invalidate, and what ends a credential ends it for
 * the next request.
 */
import type { Caller } from '../kernel/caller.ts';
import type { Clock } from '../kernel/clock.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Reader } from '../kernel/handler.ts';
import { sha256 } from '../kernel/hash.ts';
import type { Credentials } from './guard.ts';
import { narrowScopes, narrowTeams } from './narrow.ts';
import { agentScopes, personScopes, type Role } from './roles.ts';
import { isToken } from './secret.ts';
import { list } from './views.ts';

export interface AuthenticatorOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly idleMs: number;
  /** Whether a session of an agent has not ended. */
  readonly alive: (agent: string, generation: number) => boolean;
  /** Told of a login that is in use, at most a few times in its idle time. */
  readonly touch: (login: string) => void;
}

interface CredentialRow {
  readonly id: string;
  readonly kind: 'login' | 'key' | 'session';
  readonly owner: string | null;
  readonly role: Role | null;
  readonly scopes: string | null;
  readonly teams: string | null;
  readonly generation: number | null;
  readonly seen_at: number;
  readonly expires_at: number | null;
  readonly user: string | null;
  readonly user_role: Role | null;
  readonly user_teams: string | null;
  readonly barred: number | null;
}

const select = `SELECT c.id, c.kind, c.owner, c.role, c.scopes, c.teams, c.generation, c.seen_at, c.expires_at,
  u.name AS user, u.role AS user_role, u.teams AS user_teams, u.disabled + u.removed AS barred
  FROM credential c LEFT JOIN user u ON u.id = c.owner WHERE c.ended_at IS NULL AND`;

/** Records that can end or change what a credential gives. */
const concerning = /^(?:user|login|key|session|agent)\./;
/** A login's use is noted this often in its idle time. */
const touches = 12;

export class Authenticator implements Credentials {
  readonly #options: AuthenticatorOptions;
  readonly #touched = new Map<string, number>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  callerOf(token: string): Caller | undefined {
    if (!isToken(token)) return undefined;
    return this.#caller(this.#options.reader.get<CredentialRow>(`${select} c.hash = ?`, sha256(token)));
  }

  renew({ credential }: Caller): Caller | undefined {
    const [, id, generation] = /^(?:session )?([a-z]+_[a-z0-9]+)(?:\/(\d+))?$/.exec(credential ?? '') ?? [];
    if (id === undefined) return undefined;
    const row = this.#options.reader.get<CredentialRow>(
      `${select} c.id = ?1 AND (?2 IS NULL OR c.generation = ?2)`,
      id,
      generation === undefined ? null : Number(generation),
    );
    return this.#caller(row);
  }

  concerns({ type }: LogRecord): boolean {
    return concerning.test(type);
  }

  #caller(row: CredentialRow | undefined): Caller | undefined {
    const now = this.#options.clock.now();
    if (row === undefined || (row.expires_at !== null && row.expires_at <= now)) return undefined;
    switch (row.kind) {
      case 'login':
        return this.#login(row, now);
      case 'key':
        return keyCaller(row);
      case 'session':
        return this.#session(row);
    }
  }

  #login(row: CredentialRow, now: number): Caller | undefined {
    const { idleMs, touch } = this.#options;
    if (row.user === null || row.user_role === null || row.barred !== 0) return undefined;
    const seen = Math.max(row.seen_at, this.#touched.get(row.id) ?? 0);
    if (now - seen > idleMs) return undefined;
    if (now - seen > idleMs / touches) {
      this.#touched.set(row.id, now);
      const [oldest] = this.#touched.keys();
      if (this.#touched.size > 10_000 && oldest !== undefined) this.#touched.delete(oldest);
      touch(row.id);
    }
    return {
      actor: { kind: 'user', id: row.user },
      scopes: personScopes(row.user_role),
      role: row.user_role,
      teams: list(row.user_teams),
      credential: row.id,
    };
  }

  #session(row: CredentialRow): Caller | undefined {
    const { id, role, generation } = row;
    if (role === null || generation === null || !this.#options.alive(id, generation)) return undefined;
    return {
      actor: { kind: 'agent', id },
      scopes: agentScopes(role),
      role,
      teams: list(row.teams),
      credential: `session ${id}/${generation}`,
    };
  }
}

/** A key gives what it was given, as far as its maker still has it. */
function keyCaller(row: CredentialRow): Caller | undefined {
  const scopes = list(row.scopes) ?? [];
  const teams = list(row.teams);
  if (row.owner === null)
    return { actor: { kind: 'user', id: 'local' }, scopes, role: 'admin', teams, credential: row.id };
  if (row.user === null || row.user_role === null || row.barred !== 0) return undefined;
  return {
    actor: { kind: 'user', id: row.user },
    scopes: narrowScopes(scopes, personScopes(row.user_role)),
    role: row.user_role,
    teams: narrowTeams(teams, list(row.user_teams)),
    credential: row.id,
  };
}
