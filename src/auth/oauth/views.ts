import { notFound } from '../../kernel/error.ts';
import { on, type Reader, type View, type Writer } from '../../kernel/handler.ts';
import { authEvents } from '../contract.ts';
import type { Role } from '../roles.ts';
import { type Client, type Grant, oauthEvents, type SigningKey } from './contract.ts';

/** Everything that ends a grant is in its row, as with credentials: who checks one looks at one place. */
export const oauthView: View = {
  name: 'oauth',
  tables: ['oauth_client', 'oauth_grant', 'oauth_refresh', 'oauth_key'],
  schema: `
    CREATE TABLE oauth_client (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, uri TEXT, document TEXT UNIQUE, redirect_uris TEXT NOT NULL, created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE oauth_grant (
      id TEXT PRIMARY KEY, client TEXT NOT NULL, client_name TEXT NOT NULL, user TEXT NOT NULL, scope TEXT NOT NULL, resource TEXT NOT NULL,
      redirect_uri TEXT NOT NULL, code TEXT NOT NULL UNIQUE, code_expires_at INTEGER NOT NULL, challenge TEXT NOT NULL,
      created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER, ended_at INTEGER
    ) STRICT;
    CREATE INDEX oauth_grant_user ON oauth_grant (user) WHERE ended_at IS NULL;
    CREATE INDEX oauth_grant_client ON oauth_grant (client) WHERE ended_at IS NULL;
    CREATE TABLE oauth_refresh (
      hash TEXT PRIMARY KEY, "grant" TEXT NOT NULL, expires_at INTEGER NOT NULL, spent_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX oauth_refresh_grant ON oauth_refresh ("grant");
    CREATE TABLE oauth_key (
      kid TEXT PRIMARY KEY, public TEXT NOT NULL, sealed TEXT NOT NULL, made_at INTEGER NOT NULL, ends_at INTEGER
    ) STRICT;
  `,
  applies: [
    on(oauthEvents.registered, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO oauth_client VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT (id) DO UPDATE SET name = excluded.name, uri = excluded.uri, redirect_uris = excluded.redirect_uris`,
        stream,
        data.name,
        data.uri,
        data.document,
        JSON.stringify(data.redirectUris),
        at,
      ),
    ),
    on(oauthEvents.removed, (db, { stream }) => db.run('DELETE FROM oauth_client WHERE id = ?', stream)),
    on(oauthEvents.granted, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO oauth_grant SELECT ?1, ?2, name, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL, NULL FROM oauth_client WHERE id = ?2`,
        stream,
        data.client,
        data.user,
        JSON.stringify(data.scope),
        data.resource,
        data.redirectUri,
        data.code,
        data.codeExpiresAt,
        data.challenge,
        at,
        data.expiresAt,
      ),
    ),
    on(oauthEvents.exchanged, (db, { stream, at, data }) => {
      db.run('UPDATE oauth_grant SET used_at = ? WHERE id = ?', at, stream);
      db.run('INSERT INTO oauth_refresh VALUES (?, ?, ?, NULL)', data.refresh, stream, data.refreshExpiresAt);
    }),
    on(oauthEvents.refreshed, (db, { stream, at, data }) => {
      db.run('UPDATE oauth_grant SET used_at = ? WHERE id = ?', at, stream);
      db.run('UPDATE oauth_refresh SET spent_at = ? WHERE hash = ?', at, data.was);
      db.run('INSERT INTO oauth_refresh VALUES (?, ?, ?, NULL)', data.refresh, stream, data.refreshExpiresAt);
    }),
    on(oauthEvents.revoked, (db, { stream, at }) => {
      db.run('UPDATE oauth_grant SET ended_at = ? WHERE id = ? AND ended_at IS NULL', at, stream);
      db.run('DELETE FROM oauth_refresh WHERE "grant" = ?', stream);
    }),
    on(oauthEvents.keyMade, (db, { at, data }) => {
      db.run('UPDATE oauth_key SET ends_at = min(coalesce(ends_at, ?1), ?1)', data.othersEndAt);
      db.run('INSERT INTO oauth_key VALUES (?, ?, ?, ?, NULL)', data.kid, data.publicKey, data.sealed, at);
    }),
    on(authEvents.userUpdated, (db, { stream, at, data }) => {
      if (data.disabled) endAll(db, stream, at);
    }),
    on(authEvents.userRemoved, (db, { stream, at }) => endAll(db, stream, at)),
    on(authEvents.passwordSet, (db, { stream, at }) => endAll(db, stream, at)),
  ],
  version: 1,
};

function endAll(db: Writer, user: string, at: number): void {
  db.run('DELETE FROM oauth_refresh WHERE "grant" IN (SELECT id FROM oauth_grant WHERE user = ?)', user);
  db.run('UPDATE oauth_grant SET ended_at = ? WHERE user = ? AND ended_at IS NULL', at, user);
}

/** A client as its table holds it. */
interface ClientRow {
  readonly id: string;
  readonly name: string;
  readonly uri: string | null;
  readonly document: string | null;
  readonly redirect_uris: string;
  readonly created_at: number;
  readonly grants: number;
}

const clientSql = `SELECT c.*, (SELECT count(*) FROM oauth_grant g
    WHERE g.client = c.id AND g.ended_at IS NULL AND g.used_at IS NOT NULL AND g.expires_at > ?1) AS grants
  FROM oauth_client c`;

const shownClient = (row: ClientRow): Client => ({
  id: row.id,
  name: row.name,
  uri: row.uri,
  document: row.document,
  redirectUris: JSON.parse(row.redirect_uris),
  createdAt: row.created_at,
  grants: row.grants,
});

export function listClients(db: Reader, now: number): Client[] {
  return db.all<ClientRow>(`${clientSql} ORDER BY c.created_at DESC, c.id`, now).map(shownClient);
}

/** The client with this id or at this address of a document. */
export function clientBy(db: Reader, id: string, now: number): Client | undefined {
  const row = db.get<ClientRow>(`${clientSql} WHERE c.id = ?2 OR c.document = ?2`, now, id);
  return row === undefined ? undefined : shownClient(row);
}

export function findClient(db: Reader, id: string, now: number): Client {
  const found = clientBy(db, id, now);
  if (found === undefined) throw notFound('client', id, 'maos client list shows them.');
  return found;
}

export function countClients(db: Reader): number {
  return db.get<{ count: number }>('SELECT count(*) AS count FROM oauth_client')?.count ?? 0;
}

/** The client that has waited longest without anybody's access, if it has waited since this time. */
export function idleClient(db: Reader, before: number): string | undefined {
  const sql = `SELECT c.id FROM oauth_client c WHERE c.created_at < ? AND NOT EXISTS (
      SELECT 1 FROM oauth_grant g WHERE g.client = c.id AND g.ended_at IS NULL) ORDER BY c.created_at LIMIT 1`;
  return db.get<{ id: string }>(sql, before)?.id;
}

/** A grant with what only this room may know. */
export interface GrantRow {
  readonly id: string;
  readonly client: string;
  readonly client_name: string;
  readonly user: string;
  readonly scope: string;
  readonly resource: string;
  readonly redirect_uri: string;
  readonly code_expires_at: number;
  readonly challenge: string;
  readonly created_at: number;
  readonly expires_at: number;
  /** null: the code was not exchanged yet. */
  readonly used_at: number | null;
  readonly ended_at: number | null;
}

export function grantByCode(db: Reader, code: string): GrantRow | undefined {
  return db.get<GrantRow>('SELECT * FROM oauth_grant WHERE code = ?', code);
}

export function grantById(db: Reader, id: string): GrantRow | undefined {
  return db.get<GrantRow>('SELECT * FROM oauth_grant WHERE id = ?', id);
}

/** A refresh token that was given out by a grant that has not ended. */
export function refreshBy(
  db: Reader,
  hash: string,
): (GrantRow & { readonly spent_at: number | null; readonly refresh_expires_at: number }) | undefined {
  return db.get(
    `SELECT g.*, r.spent_at, r.expires_at AS refresh_expires_at FROM oauth_refresh r JOIN oauth_grant g ON g.id = r."grant"
      WHERE r.hash = ? AND g.ended_at IS NULL`,
    hash,
  );
}

interface ShownGrantRow {
  readonly id: string;
  readonly user: string;
  readonly client: string;
  readonly client_name: string;
  readonly scope: string;
  readonly resource: string;
  readonly created_at: number;
  readonly used_at: number;
  readonly expires_at: number;
}

const grantSql = `SELECT g.id, u.name AS user, g.client, g.client_name, g.scope, g.resource, g.created_at, g.used_at, g.expires_at
  FROM oauth_grant g JOIN user u ON u.id = g.user WHERE g.ended_at IS NULL AND g.used_at IS NOT NULL`;

const shownGrant = (row: ShownGrantRow): Grant => ({
  id: row.id,
  user: row.user,
  client: row.client,
  clientName: row.client_name,
  scope: JSON.parse(row.scope),
  resource: row.resource,
  createdAt: row.created_at,
  usedAt: row.used_at,
  expiresAt: row.expires_at,
});

/** The grants of a user, or of all. */
export function listGrants(db: Reader, user: string | null, now: number): Grant[] {
  const sql = `${grantSql} AND (?1 IS NULL OR u.name = ?1) AND g.expires_at > ?2 ORDER BY g.created_at DESC, g.id`;
  return db.all<ShownGrantRow>(sql, user, now).map(shownGrant);
}

/** A grant that goes on, of a user or of anybody. */
export function findGrant(db: Reader, id: string, user: string | null): Grant {
  const sql = `${grantSql} AND g.id = ?1 AND (?2 IS NULL OR u.name = ?2)`;
  const row = db.get<ShownGrantRow>(sql, id, user);
  if (row === undefined) throw notFound('grant', id, 'maos grant list shows them.');
  return shownGrant(row);
}

/** The grants of a client that have not ended. */
export function grantsOf(db: Reader, client: string): string[] {
  return db
    .all<{ id: string }>('SELECT id FROM oauth_grant WHERE client = ? AND ended_at IS NULL', client)
    .map(({ id }) => id);
}

/** What decides about an access token: its grant, whose it is, and the key that signed it. */
export interface AccessRow {
  readonly user: string;
  readonly role: Role;
  readonly teams: string | null;
  readonly scope: string;
}

const accessSql = `SELECT u.name AS user, u.role, u.teams, g.scope
  FROM oauth_grant g JOIN user u ON u.id = g.user JOIN oauth_key k ON k.kid = ?2
  WHERE g.id = ?1 AND g.ended_at IS NULL AND g.expires_at > ?3 AND g.used_at IS NOT NULL AND u.disabled = 0 AND u.removed = 0
    AND (k.ends_at IS NULL OR k.ends_at > ?3)`;

/** What a grant gives to who shows a token of this key; undefined once any of grant, user and key has ended. */
export function accessOf(db: Reader, grant: string, kid: string, now: number): AccessRow | undefined {
  return db.get<AccessRow>(accessSql, grant, kid, now);
}

/** A signing key with its sealed private half. */
export interface KeyRow {
  readonly kid: string;
  readonly public: string;
  readonly sealed: string;
  readonly made_at: number;
  readonly ends_at: number | null;
}

/** The key that signs, and those whose tokens still count. */
export function liveKeys(db: Reader, now: number): KeyRow[] {
  const sql = 'SELECT * FROM oauth_key WHERE ends_at IS NULL OR ends_at > ? ORDER BY made_at, kid';
  return db.all<KeyRow>(sql, now);
}

export function liveKey(db: Reader, kid: string, now: number): KeyRow | undefined {
  return db.get<KeyRow>('SELECT * FROM oauth_key WHERE kid = ?1 AND (ends_at IS NULL OR ends_at > ?2)', kid, now);
}

export function signingKey(db: Reader): KeyRow | undefined {
  return db.get<KeyRow>('SELECT * FROM oauth_key WHERE ends_at IS NULL');
}

export function shownKeys(db: Reader, now: number): SigningKey[] {
  return liveKeys(db, now).map((row) => ({ kid: row.kid, madeAt: row.made_at, endsAt: row.ends_at }));
}
