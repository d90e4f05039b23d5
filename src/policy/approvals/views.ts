import { on, type Reader, type View } from '../../kernel/handler.ts';
import { canonicalJson, sha256 } from '../../kernel/hash.ts';
import { resolveId } from '../../kernel/resolve.ts';
import { type Approval, approval, approvalEvents, type ApprovalState, type What } from './contract.ts';
import { coversOf, placeOf, type Vote } from './model.ts';

const { requested, agreed, approved, denied, expired, revoked, used } = approvalEvents;

/** The inbox, and who has agreed to what. */
export const approvalView: View = {
  name: 'approvals',
  tables: ['approval', 'approval_vote'],
  schema: `
    CREATE TABLE approval (id TEXT PRIMARY KEY, subject TEXT NOT NULL, state TEXT NOT NULL, actor TEXT NOT NULL, agent TEXT, task TEXT,
      run TEXT, what TEXT NOT NULL, pattern TEXT NOT NULL, rule TEXT, reason TEXT NOT NULL, risk TEXT NOT NULL, person INTEGER NOT NULL,
      agents INTEGER NOT NULL, standing INTEGER NOT NULL, since INTEGER NOT NULL, expires_at INTEGER, answered_at INTEGER, answer TEXT,
      always INTEGER NOT NULL, team TEXT, hidden TEXT, key TEXT, used_at INTEGER) STRICT;
    CREATE INDEX approval_open ON approval (actor) WHERE state = 'open';
    CREATE INDEX approval_by_subject ON approval (subject);
    CREATE INDEX approval_by_pattern ON approval (pattern) WHERE always = 1;
    CREATE INDEX approval_by_expiry ON approval (expires_at) WHERE state = 'open';
    CREATE INDEX approval_by_agent ON approval (agent, state);
    CREATE TABLE approval_vote (approval TEXT NOT NULL, actor TEXT NOT NULL, always INTEGER NOT NULL, alone INTEGER NOT NULL,
      PRIMARY KEY (approval, actor)) STRICT, WITHOUT ROWID;`,
  applies: [
    on(requested, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO approval VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0, ?, ?, ?, NULL)`,
        stream,
        data.subject,
        data.actor,
        data.agent,
        data.task,
        data.run,
        JSON.stringify(data.what),
        patternOf(data.rule, data.team ?? null, data.what),
        data.rule,
        data.reason,
        data.risk,
        data.needs.person ? 1 : 0,
        data.needs.agents,
        data.standing ? 1 : 0,
        at,
        data.expiresAt,
        data.team ?? null,
        data.hidden ?? null,
        data.key ?? null,
      ),
    ),
    on(agreed, (db, { stream, actor, data }) =>
      db.run(
        'INSERT OR REPLACE INTO approval_vote VALUES (?, ?, ?, ?)',
        stream,
        actor,
        data.always ? 1 : 0,
        data.alone ? 1 : 0,
      ),
    ),
    on(approved, (db, { stream, at, data }) =>
      db.run(
        `UPDATE approval SET state = 'approved', answered_at = ?, answer = NULL, always = ? WHERE id = ?`,
        at,
        data.always ? 1 : 0,
        stream,
      ),
    ),
    ...[denied, expired].map((ending) =>
      on(ending, (db, { stream, at, type, data }) =>
        db.run(
          'UPDATE approval SET state = ?, answered_at = ?, answer = ? WHERE id = ?',
          type === denied.type ? 'denied' : 'expired',
          at,
          data.reason,
          stream,
        ),
      ),
    ),
    on(used, (db, { stream, at, data }) =>
      db.run('UPDATE approval SET used_at = ?, key = coalesce(?, key) WHERE id = ?', at, data.key ?? null, stream),
    ),
    on(revoked, (db, { stream }) => db.run('UPDATE approval SET always = 0 WHERE id = ?', stream)),
  ],
};

/** What an "always" is about: exactly this, from the same place in a workspace, asked by the same rule and within one team. */
function patternOf(rule: string | null, team: string | null, what: What): string {
  const { workspace: _workspace, cwd: _cwd, diff: _diff, input, ...same } = what;
  // Those of before have no input.
  const more = { ...(input === null ? {} : { input }), ...(team === null ? {} : { team }) };
  return sha256(canonicalJson({ rule, from: placeOf(what), ...same, ...more }));
}

interface Row extends Omit<Approval, 'what' | 'needs' | 'agreed' | 'always' | 'covers'> {
  readonly what: string;
  readonly person: number;
  readonly agents: number;
  readonly always: number;
  readonly standing: number;
  readonly team: string | null;
  readonly key: string | null;
  readonly usedAt: number | null;
}

/** An entry, with what only the service looks at. */
export interface Entry extends Approval {
  readonly standing: boolean;
  /** The idempotency key of the call that asked, or that has used it. */
  readonly key: string | null;
  /** When an approval for one time was used up. */
  readonly usedAt: number | null;
}

const columns = `id, state, actor, agent, task, run, what, rule, reason, risk, person, agents, standing, since, expires_at AS expiresAt,
  answered_at AS answeredAt, answer, always, team, hidden, key, used_at AS usedAt`;
const ids = { table: 'approval', column: 'id', prefix: 'approval', what: 'approval' } as const;

function entryOf(db: Reader, row: Row): Entry {
  const { what, person, agents, always, standing, team, ...rest } = row;
  const voters = db.all<{ actor: string }>('SELECT actor FROM approval_vote WHERE approval = ? ORDER BY actor', row.id);
  const deed = approval().shape.what.parse(JSON.parse(what));
  return {
    ...rest,
    what: deed,
    covers: coversOf(row.rule, team, deed),
    needs: { person: person === 1, agents },
    agreed: voters.map(({ actor }) => actor),
    always: always === 1,
    standing: standing === 1,
  };
}

/** What a caller is shown. */
export function shown({ standing: _standing, usedAt: _usedAt, key: _key, ...entry }: Entry): Approval {
  return entry;
}

/** Finds an entry by its id, or a unique beginning of it. */
export function findEntry(db: Reader, text: string): Entry {
  return entry(db, resolveId(db, ids, text));
}

function entry(db: Reader, id: string): Entry {
  const row = db.get<Row>(`SELECT ${columns} FROM approval WHERE id = ?`, id);
  if (row === undefined) throw new Error(`There is no approval ${id}.`);
  return entryOf(db, row);
}

/** The newest entry about a subject that still says something about it. */
export function entryAbout(db: Reader, subject: string): Entry | undefined {
  const sql = `SELECT ${columns} FROM approval WHERE subject = ? AND used_at IS NULL ORDER BY since DESC, rowid DESC LIMIT 1`;
  const row = db.get<Row>(sql, subject);
  return row === undefined ? undefined : entryOf(db, row);
}

/** The newest entry that a call with this key has found or made, used up or not. */
export function entryOfKey(db: Reader, subject: string, key: string): Entry | undefined {
  const sql = `SELECT ${columns} FROM approval WHERE subject = ? AND key = ? ORDER BY since DESC, rowid DESC LIMIT 1`;
  const row = db.get<Row>(sql, subject, key);
  return row === undefined ? undefined : entryOf(db, row);
}

/** How often a subject was refused. */
export function refusalsOf(db: Reader, subject: string): number {
  const sql = `SELECT count(*) AS count FROM approval WHERE subject = ? AND state IN ('denied', 'expired')`;
  return db.get<{ count: number }>(sql, subject)?.count ?? 0;
}

/** How many entries are open: of one who asks, or of all. */
export function countOpen(db: Reader, actor: string | null): number {
  const sql = `SELECT count(*) AS count FROM approval WHERE state = 'open' AND (?1 IS NULL OR actor = ?1)`;
  return db.get<{ count: number }>(sql, actor)?.count ?? 0;
}

/** The entry in which somebody said "always" to exactly this. What is not shown whole is like nothing else. */
export function entryAlways(
  db: Reader,
  { rule, team, what, hidden }: { rule: string | null; team: string | null; what: What; hidden: string | null },
): Entry | undefined {
  if (hidden !== null) return undefined;
  const row = db.get<Row>(
    `SELECT ${columns} FROM approval WHERE pattern = ? AND always = 1 AND hidden IS NULL LIMIT 1`,
    patternOf(rule, team, what),
  );
  return row === undefined ? undefined : entryOf(db, row);
}

/** What those who agreed have said. */
export function votesFor(db: Reader, id: string): Vote[] {
  const sql = 'SELECT actor, always, alone FROM approval_vote WHERE approval = ?';
  return db.all<{ actor: string; always: number; alone: number }>(sql, id).map(({ actor, always, alone }) => ({
    kind: actor.startsWith('agent:') ? 'agent' : 'user',
    always: always === 1,
    alone: alone === 1,
  }));
}

export interface Filter {
  readonly state?: readonly ApprovalState[] | undefined;
  readonly agent?: string | undefined;
  readonly task?: string | undefined;
  readonly run?: string | undefined;
  readonly limit: number;
}

/** Open ones first, the riskiest of them on top, then the oldest; after them the answered ones, the newest first. */
export function listEntries(db: Reader, { state, agent, task, run, limit }: Filter): Entry[] {
  const wanted = { agent, task, run };
  const equal = Object.entries(wanted).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  const where = [
    ...equal.map(([name]) => `${name} = ?`),
    ...(state === undefined ? [] : [`state IN (${state.map(() => '?').join(', ')})`]),
  ];
  const sql = `SELECT ${columns} FROM approval ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY state <> 'open',
    CASE WHEN state <> 'open' THEN -answered_at ELSE instr('critical high medium low', risk) END, since, rowid LIMIT ?`;
  const rows = db.all<Row>(sql, ...equal.map(([, value]) => value), ...(state ?? []), limit);
  return rows.map((row) => entryOf(db, row));
}

/** Entries whose time is over. */
export function dueEntries(db: Reader, now: number, limit: number): string[] {
  const sql = `SELECT id FROM approval WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?`;
  return db.all<{ id: string }>(sql, now, limit).map(({ id }) => id);
}

/** When the next open entry is due. */
export function nextExpiry(db: Reader): number | null {
  const sql = `SELECT min(expires_at) AS at FROM approval WHERE state = 'open'`;
  return db.get<{ at: number | null }>(sql)?.at ?? null;
}

/** What an agent has asked and nobody has answered. */
export function openOf(db: Reader, agent: string): Entry[] {
  const rows = db.all<Row>(`SELECT ${columns} FROM approval WHERE agent = ? AND state = 'open'`, agent);
  return rows.map((row) => entryOf(db, row));
}
