import { notFound } from '../kernel/error.ts';
import { on, type Reader, type View } from '../kernel/handler.ts';
import { type Secret, secretEvents } from './contract.ts';

export const secretView: View = {
  name: 'secrets',
  tables: ['secret', 'secret_value', 'session_key'],
  schema: `
    CREATE TABLE secret (id TEXT PRIMARY KEY, name TEXT NOT NULL, set_at INTEGER NOT NULL, set_by TEXT NOT NULL, used_at INTEGER,
      removed INTEGER NOT NULL) STRICT;
    CREATE UNIQUE INDEX secret_by_name ON secret (name) WHERE removed = 0;
    CREATE TABLE secret_value (position INTEGER PRIMARY KEY, secret TEXT NOT NULL, name TEXT NOT NULL, sealed TEXT NOT NULL) STRICT;
    CREATE INDEX secret_value_by_name ON secret_value (name);
    CREATE TABLE session_key (agent TEXT NOT NULL, generation INTEGER NOT NULL, public_key TEXT NOT NULL, at INTEGER NOT NULL,
      PRIMARY KEY (agent, generation)) STRICT, WITHOUT ROWID;`,
  applies: [
    on(secretEvents.set, (db, { stream, at, actor, position, data }) => {
      db.run(
        `INSERT INTO secret VALUES (?, ?, ?, ?, NULL, 0)
          ON CONFLICT (id) DO UPDATE SET set_at = excluded.set_at, set_by = excluded.set_by`,
        stream,
        data.name,
        at,
        actor,
      );
      db.run('INSERT INTO secret_value VALUES (?, ?, ?, ?)', position, stream, data.name, data.sealed);
    }),
    // Its values stay: they are hidden in what sessions that were given them have printed.
    on(secretEvents.removed, (db, { stream }) => db.run('UPDATE secret SET removed = 1 WHERE id = ?', stream)),
    on(secretEvents.used, (db, { stream, at }) => db.run('UPDATE secret SET used_at = ? WHERE id = ?', at, stream)),
    on(secretEvents.keyed, (db, { stream, at, data }) =>
      db.run('INSERT OR REPLACE INTO session_key VALUES (?, ?, ?, ?)', stream, data.generation, data.publicKey, at),
    ),
  ],
};

type Row = Secret & { readonly id: string };

const columns = `id, name, set_at AS setAt, set_by AS setBy, used_at AS usedAt,
  (SELECT count(*) FROM secret_value WHERE secret = secret.id) AS "values"`;

export function listSecrets(db: Reader): Secret[] {
  const rows = db.all<Row>(`SELECT ${columns} FROM secret WHERE removed = 0 ORDER BY name`);
  return rows.map(({ id: _id, ...shown }) => shown);
}

/** The secret of a name, as it is now. */
export function secretNamed(db: Reader, name: string): Row | undefined {
  const row = db.get<Row>(`SELECT ${columns} FROM secret WHERE name = ? AND removed = 0`, name);
  return row === undefined ? undefined : { ...row };
}

/** As `secretNamed`; refuses a name that no secret has. */
export function needSecret(db: Reader, name: string): Row {
  const found = secretNamed(db, name);
  if (found !== undefined) return found;
  throw notFound('secret', name, `Give it a value: maos secret set ${name}. maos secret list shows the known ones.`);
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

/** Every value that secrets of this name have ever had, of removed ones too. */
export function allSealedValues(db: Reader, name: string): SealedValue[] {
  return db.all<SealedValue>('SELECT secret, sealed FROM secret_value WHERE name = ? ORDER BY position', name);
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
