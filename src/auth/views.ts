import { notFound } from '../kernel/error.ts';
import { on, type Reader, type View } from '../kernel/handler.ts';
import { authEvents, type Key, type Login, type User } from './contract.ts';
import type { Role } from './roles.ts';

/**
 * A credential's row is read at every request, so everything that ends one is in its table already: what disables a user ends
 * their logins here, once, and not in each check.
 */
export const authView: View = {
  name: 'auth',
  tables: ['user', 'user_recovery', 'credential'],
  schema: `
    CREATE TABLE user (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, teams TEXT, disabled INTEGER NOT NULL, removed INTEGER NOT NULL,
      password TEXT NOT NULL, factor TEXT, factor_step INTEGER, created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE user_recovery (user TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (user, hash)) STRICT, WITHOUT ROWID;
    CREATE TABLE credential (
      hash TEXT PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT, name TEXT NOT NULL, role TEXT, scopes TEXT, teams TEXT,
      generation INTEGER, created_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, expires_at INTEGER, ended_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX credential_id ON credential (id, generation);
    CREATE INDEX credential_owner ON credential (owner) WHERE ended_at IS NULL;
  `,
  applies: [
    on(authEvents.userCreated, (db, { stream, at, data }) =>
      db.run(
        'INSERT INTO user VALUES (?, ?, ?, ?, 0, 0, ?, NULL, NULL, ?)',
        stream,
        data.name,
        data.role,
        data.teams === null ? null : JSON.stringify(data.teams),
        data.password,
        at,
      ),
    ),
    on(authEvents.userUpdated, (db, { stream, at, data }) => {
      const given = data.teams === null ? null : JSON.stringify(data.teams);
      const disabled = data.disabled ? 1 : 0;
      db.run('UPDATE user SET role = ?, teams = ?, disabled = ? WHERE id = ?', data.role, given, disabled, stream);
      if (data.disabled)
        db.run(
          `UPDATE credential SET ended_at = ? WHERE owner = ? AND kind = 'login' AND ended_at IS NULL`,
          at,
          stream,
        );
    }),
    on(authEvents.userRemoved, (db, { stream, at }) => {
      db.run('UPDATE user SET removed = 1, factor = NULL WHERE id = ?', stream);
      db.run('UPDATE credential SET ended_at = ? WHERE owner = ? AND ended_at IS NULL', at, stream);
      db.run('DELETE FROM user_recovery WHERE user = ?', stream);
    }),
    on(authEvents.passwordSet, (db, { stream, at, data }) => {
      db.run('UPDATE user SET password = ? WHERE id = ?', data.password, stream);
      db.run(`UPDATE credential SET ended_at = ? WHERE owner = ? AND kind = 'login' AND ended_at IS NULL`, at, stream);
    }),
    // Begun only: without a step nothing asks for its codes.
    on(authEvents.factorBegun, (db, { stream, data }) =>
      db.run('UPDATE user SET factor = ?, factor_step = NULL WHERE id = ?', data.secret, stream),
    ),
    on(authEvents.factorConfirmed, (db, { stream, data }) => {
      db.run('UPDATE user SET factor_step = ? WHERE id = ?', data.step, stream);
      db.run('DELETE FROM user_recovery WHERE user = ?', stream);
      for (const hash of data.recovery) db.run('INSERT INTO user_recovery VALUES (?, ?)', stream, hash);
    }),
    on(authEvents.factorRemoved, (db, { stream }) => {
      db.run('UPDATE user SET factor = NULL, factor_step = NULL WHERE id = ?', stream);
      db.run('DELETE FROM user_recovery WHERE user = ?', stream);
    }),
    on(authEvents.codeUsed, (db, { stream, data }) =>
      db.run('UPDATE user SET factor_step = ? WHERE id = ?', data.step, stream),
    ),
    on(authEvents.recoveryUsed, (db, { stream, data }) =>
      db.run('DELETE FROM user_recovery WHERE user = ? AND hash = ?', stream, data.hash),
    ),
    on(authEvents.loginCreated, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO credential VALUES (?1, ?2, 'login', ?3, '', NULL, NULL, NULL, NULL, ?4, ?4, ?5, NULL)`,
        data.hash,
        stream,
        data.user,
        at,
        data.expiresAt,
      ),
    ),
    on(authEvents.loginSeen, (db, { stream, at }) =>
      db.run('UPDATE credential SET seen_at = ? WHERE id = ?', at, stream),
    ),
    on(authEvents.loginEnded, (db, { stream, at }) =>
      db.run('UPDATE credential SET ended_at = ? WHERE id = ? AND ended_at IS NULL', at, stream),
    ),
    on(authEvents.keyCreated, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO credential VALUES (?1, ?2, 'key', ?3, ?4, NULL, ?5, ?6, NULL, ?7, ?7, ?8, NULL)`,
        data.hash,
        stream,
        data.owner,
        data.name,
        JSON.stringify(data.scopes),
        data.teams === null ? null : JSON.stringify(data.teams),
        at,
        data.expiresAt,
      ),
    ),
    on(authEvents.keyRevoked, (db, { stream, at }) =>
      db.run('UPDATE credential SET ended_at = ? WHERE id = ? AND ended_at IS NULL', at, stream),
    ),
    on(authEvents.tokenIssued, (db, { stream, at, data }) => {
      // One of its sessions lives at a time, so all earlier tokens of the agent are over.
      db.run(`UPDATE credential SET ended_at = ? WHERE id = ? AND ended_at IS NULL`, at, stream);
      db.run(
        `INSERT INTO credential VALUES (?1, ?2, 'session', NULL, '', ?3, NULL, ?4, ?5, ?6, ?6, NULL, NULL)`,
        data.hash,
        stream,
        data.role,
        data.teams === null ? null : JSON.stringify(data.teams),
        data.generation,
        at,
      );
    }),
  ],
};

/** A user with what only this room may know. */
export interface UserRow {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly teams: string | null;
  readonly disabled: number;
  readonly removed: number;
  readonly password: string;
  /** A sealed envelope; null: no second factor. */
  readonly factor: string | null;
  /** The last step whose code was used; null: the factor was begun and not confirmed. */
  readonly factor_step: number | null;
  readonly created_at: number;
}

/** A user by name, also one who was removed. */
export function userNamed(db: Reader, name: string): UserRow | undefined {
  return db.get<UserRow>('SELECT * FROM user WHERE name = ?', name);
}

/** Finds a user by name or id; those that were removed are not found. */
export function findUser(db: Reader, text: string): UserRow {
  const row = db.get<UserRow>('SELECT * FROM user WHERE (id = ?1 OR name = ?1) AND removed = 0', text);
  if (row === undefined) throw notFound('user', text, 'maos user list shows them.');
  return row;
}

export function hasFactor(row: UserRow): boolean {
  return row.factor !== null && row.factor_step !== null;
}

export function hasRecovery(db: Reader, user: string, hash: string): boolean {
  return db.get('SELECT 1 FROM user_recovery WHERE user = ? AND hash = ?', user, hash) !== undefined;
}

/** How a user is shown. */
export function shownUser(row: UserRow): User {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    teams: list(row.teams),
    disabled: row.disabled === 1,
    secondFactor: hasFactor(row),
    createdAt: row.created_at,
  };
}

export function listUsers(db: Reader): User[] {
  return db.all<UserRow>('SELECT * FROM user WHERE removed = 0 ORDER BY name').map(shownUser);
}

/** A list that is kept as JSON. */
export function list(text: string | null): string[] | null {
  return text === null ? null : JSON.parse(text);
}

interface LoginRow {
  readonly id: string;
  readonly user: string;
  readonly created_at: number;
  readonly seen_at: number;
  readonly expires_at: number;
}

const loginSql = `SELECT c.id, u.name AS user, c.created_at, c.seen_at, c.expires_at FROM credential c JOIN user u ON u.id = c.owner
  WHERE c.kind = 'login' AND c.ended_at IS NULL`;

const shownLogin = (row: LoginRow): Login => ({
  id: row.id,
  user: row.user,
  createdAt: row.created_at,
  seenAt: row.seen_at,
  expiresAt: row.expires_at,
});

/** The logins of a user, or of all. */
export function listLogins(db: Reader, user: string | null, now: number): Login[] {
  const sql = `${loginSql} AND (?1 IS NULL OR u.name = ?1) AND c.expires_at > ?2 ORDER BY c.created_at DESC, c.id`;
  return db.all<LoginRow>(sql, user, now).map(shownLogin);
}

/** A login of a user, or of anybody. */
export function findLogin(db: Reader, id: string, user: string | null): Login {
  const row = db.get<LoginRow>(`${loginSql} AND c.id = ?1 AND (?2 IS NULL OR u.name = ?2)`, id, user);
  if (row === undefined) throw notFound('login', id, 'maos login list shows them.');
  return shownLogin(row);
}

interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly scopes: string;
  readonly teams: string | null;
  readonly created_at: number;
  readonly expires_at: number | null;
}

/** The name under which keys of the machine's owner stand. */
const localName = 'local';
const keySql = `SELECT c.id, c.name, coalesce(u.name, '${localName}') AS owner, c.scopes, c.teams, c.created_at, c.expires_at
  FROM credential c LEFT JOIN user u ON u.id = c.owner WHERE c.kind = 'key' AND c.ended_at IS NULL`;

const shownKey = (row: KeyRow): Key => ({
  id: row.id,
  name: row.name,
  owner: row.owner,
  scopes: list(row.scopes) ?? [],
  teams: list(row.teams),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
});

/** The keys of an owner, or of all. */
export function listKeys(db: Reader, owner: string | null): Key[] {
  const sql = `${keySql} AND (?1 IS NULL OR coalesce(u.name, '${localName}') = ?1) ORDER BY c.created_at DESC, c.id`;
  return db.all<KeyRow>(sql, owner).map(shownKey);
}

export function findKey(db: Reader, id: string, owner: string | null): Key {
  const sql = `${keySql} AND c.id = ?1 AND (?2 IS NULL OR coalesce(u.name, '${localName}') = ?2)`;
  const row = db.get<KeyRow>(sql, id, owner);
  if (row === undefined) throw notFound('key', id, 'maos key list shows them.');
  return shownKey(row);
}
