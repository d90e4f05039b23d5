import { conflict, notFound } from '../kernel/error.ts';
import { on, type Reader, type View } from '../kernel/handler.ts';
import { type Secret, secretEvents } from './contract.ts';

/** A secret has a value (the last row of `secret_value`), or the variable of the server that holds it. `shared` is a list of teams. */
export const secretView: View = {
  name: 'secrets',
  tables: ['secret', 'secret_value', 'session_key'],
  schema: `
    CREATE TABLE secret (id TEXT PRIMARY KEY, name TEXT NOT NULL, team TEXT, shared TEXT NOT NULL, variable TEXT, set_at INTEGER NOT NULL,
      set_by TEXT NOT NULL, used_at INTEGER, removed INTEGER NOT NULL) STRICT;
    CREATE UNIQUE INDEX secret_by_name ON secret (name, coalesce(team, '')) WHERE removed = 0;
    CREATE TABLE secret_value (position INTEGER PRIMARY KEY, secret TEXT NOT NULL, name TEXT NOT NULL, sealed TEXT NOT NULL) STRICT;
    CREATE INDEX secret_value_by_name ON secret_value (name);
    CREATE TABLE session_key (agent TEXT NOT NULL, generation INTEGER NOT NULL, public_key TEXT NOT NULL, at INTEGER NOT NULL,
      PRIMARY KEY (agent, generation)) STRICT, WITHOUT ROWID;`,
  applies: [
    on(secretEvents.set, (db, { stream, at, actor, position, data }) => {
      db.run(
        `INSERT INTO secret VALUES (?, ?, ?, '[]', NULL, ?, ?, NULL, 0)
          ON CONFLICT (id) DO UPDATE SET variable = NULL, set_at = excluded.set_at, set_by = excluded.set_by`,
        stream,
        data.name,
        data.team ?? null,
        at,
        actor,
      );
      db.run('INSERT INTO secret_value VALUES (?, ?, ?, ?)', position, stream, data.name, data.sealed);
    }),
    on(secretEvents.linked, (db, { stream, at, actor, data }) =>
      db.run(
        `INSERT INTO secret VALUES (?, ?, ?, '[]', ?, ?, ?, NULL, 0)
          ON CONFLICT (id) DO UPDATE SET variable = excluded.variable, set_at = excluded.set_at, set_by = excluded.set_by`,
        stream,
        data.name,
        data.team,
        data.variable,
        at,
        actor,
      ),
    ),
    on(secretEvents.shared, (db, { stream, data }) =>
      db.run('UPDATE secret SET shared = ? WHERE id = ?', JSON.stringify(data.with), stream),
    ),
    // Its values stay: they are hidden in what sessions that were given them have printed.
    on(secretEvents.removed, (db, { stream }) => db.run('UPDATE secret SET removed = 1 WHERE id = ?', stream)),
    on(secretEvents.used, (db, { stream, at }) => db.run('UPDATE secret SET used_at = ? WHERE id = ?', at, stream)),
    on(secretEvents.keyed, (db, { stream, at, data }) =>
      db.run('INSERT OR REPLACE INTO session_key VALUES (?, ?, ?, ?)', stream, data.generation, data.publicKey, at),
    ),
  ],
};

interface Row extends Omit<Secret, 'shared'> {
  readonly shared: string;
}

const columns = `id, name, team, shared, variable AS "from", set_at AS setAt, set_by AS setBy, used_at AS usedAt,
  (SELECT count(*) FROM secret_value WHERE secret = secret.id) AS "values"`;

const secretOf = (row: Row): Secret => ({ ...row, shared: JSON.parse(row.shared) });

export function listSecrets(db: Reader): Secret[] {
  const sql = `SELECT ${columns} FROM secret WHERE removed = 0 ORDER BY name, coalesce(team, '')`;
  return db.all<Row>(sql).map(secretOf);
}

/** The secret of a name that a team has, or, with null, that belongs to none. */
export function secretNamed(db: Reader, name: string, team: string | null): Secret | undefined {
  const sql = `SELECT ${columns} FROM secret WHERE name = ? AND coalesce(team, '') = ? AND removed = 0`;
  const row = db.get<Row>(sql, name, team ?? '');
  return row === undefined ? undefined : secretOf(row);
}

/** The secret that a text means: its id, or a name that only one has. */
export function needSecret(db: Reader, text: string): Secret {
  const rows = db.all<Row>(`SELECT ${columns} FROM secret WHERE ? IN (id, name) AND removed = 0`, text);
  const [row, other] = rows;
  if (row === undefined) throw absent(text);
  if (other === undefined) return secretOf(row);
  const them = rows.map(({ id, team }) => `${id} (${team ?? 'no team'})`).join(', ');
  throw conflict(`Several secrets are called ${text}: ${them}.`, { fix: 'Use the id.' });
}

/** The secret of a name that what belongs to a team is given: its own, else one that is shared with it. */
export function secretFor(db: Reader, name: string, team: string | null): Secret {
  const own = secretNamed(db, name, team);
  if (own !== undefined) return own;
  const sql = `SELECT ${columns} FROM secret WHERE name = ?1 AND removed = 0 AND ?2 IN (SELECT value FROM json_each(shared)) ORDER BY id LIMIT 1`;
  const row = team === null ? undefined : db.get<Row>(sql, name, team);
  if (row === undefined) throw absent(name);
  return secretOf(row);
}

function absent(name: string): Error {
  return notFound('secret', name, `Give it a value: maos secret set ${name}. maos secret list shows the known ones.`);
}

/** A value as it is in the log. */
export interface SealedValue {
  readonly secret: string;
  readonly sealed: string;
}

/** The value that a secret has now. */
export function sealedValue(db: Reader, secret: string): SealedValue | undefined {
  return db.get<SealedValue>(
    'SELECT secret, sealed FROM secret_value WHERE secret = ? ORDER BY position DESC LIMIT 1',
    secret,
  );
}

/** Every value that secrets of this name have ever had, of removed ones and of all teams. */
export function allSealedValues(db: Reader, name: string): SealedValue[] {
  return db.all<SealedValue>('SELECT secret, sealed FROM secret_value WHERE name = ? ORDER BY position', name);
}

/** The variables of the server that secrets of this name are made of. */
export function variablesNamed(db: Reader, name: string): string[] {
  const sql = 'SELECT DISTINCT variable FROM secret WHERE name = ? AND variable IS NOT NULL';
  return db.all<{ variable: string }>(sql, name).map(({ variable }) => variable);
}

/** The public half of the key of a session. */
export function sessionKey(
  db: Reader,
  agent: string,
  generation: number,
): { publicKey: string; at: number } | undefined {
  return db.get<{ publicKey: string; at: number }>(
    'SELECT public_key AS publicKey, at FROM session_key WHERE agent = ? AND generation = ?',
    agent,
    generation,
  );
}
