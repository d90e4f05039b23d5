import { on, type Reader, type View } from '../../kernel/handler.ts';
import { canonicalJson, sha256 } from '../../kernel/hash.ts';
import { resolveId } from '../../kernel/resolve.ts';
import { type Approval, approval, approvalEvents, type ApprovalState, type What } from './contract.ts';
import type { Vote } from './model.ts';

const { requested, agreed, approved, denied, expired, revoked, used } = approvalEvents;

/** The inbox, and who has agreed to what. */
export const approvalView: View = {
  name: 'approvals',
  tables: ['approval', 'approval_vote'],
  schema: `
    CREATE TABLE approval (id TEXT PRIMARY KEY, subject TEXT NOT NULL, state TEXT NOT NULL, actor TEXT NOT NULL, agent TEXT, task TEXT,
      run TEXT, what TEXT NOT NULL, pattern TEXT NOT NULL, rule TEXT, reason TEXT NOT NULL, risk TEXT NOT NULL, person INTEGER NOT NULL,
      agents INTEGER NOT NULL, standing INTEGER NOT NULL, since INTEGER NOT NULL, expires_at INTEGER, answered_at INTEGER, answer TEXT,
      always INTEGER NOT NULL) STRICT;
    CREATE INDEX approval_by_subject ON approval (subject);
    CREATE INDEX approval_by_pattern ON approval (pattern) WHERE always = 1;
    CREATE INDEX approval_by_expiry ON approval (expires_at) WHERE state = 'open';
    CREATE INDEX approval_by_agent ON approval (agent, state);
    CREATE TABLE approval_vote (approval TEXT NOT NULL, actor TEXT NOT NULL, always INTEGER NOT NULL, alone INTEGER NOT NULL,
      PRIMARY KEY (approval, actor)) STRICT, WITHOUT ROWID;`,
  applies: [
    on(requested, (db, { stream, at, data }) =>
      db.run(
        `INSERT INTO approval VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0)`,
        stream,
        data.subject,
        data.actor,
        data.agent,
        data.task,
        data.run,
        JSON.stringify(data.what),
        patternOf(data.rule, data.what),
        data.rule,
        data.reason,
        data.risk,
        data.needs.person ? 1 : 0,
        data.needs.agents,
        data.standing ? 1 : 0,
        at,
        data.expiresAt,
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
    // Nobody finds it by its subject any more.
    on(used, (db, { stream }) => db.run(`UPDATE approval SET subject = 'used:' || id WHERE id = ?`, stream)),
    on(revoked, (db, { stream }) => db.run('UPDATE approval SET always = 0 WHERE id = ?', stream)),
  ],
};

/** What an "always" is about: exactly this, from the same place in a workspace, asked by the same rule. */
function patternOf(rule: string | null, { workspace, cwd, diff: _diff, ...same }: What): string {
  const inside = workspace !== null && (cwd === workspace || cwd?.startsWith(`${workspace}/`) === true);
  const from = inside ? `.${(cwd ?? '').slice(workspace.length)}` : cwd;
  return sha256(canonicalJson({ rule, from, ...same }));
}

interface Row extends Omit<Approval, 'what' | 'needs' | 'agreed' | 'always'> {
  readonly what: string;
  readonly person: number;
  readonly agents: number;
  readonly always: number;
  readonly standing: number;
}

/** Whether an approval for one time has been used up. */
export function isUsed(db: Reader, id: string): boolean {
  return db.get('SELECT 1 FROM approval WHERE id = ? AND subject = ?', id, `used:${id}`) !== undefined;
}

/** An entry, with what only the service looks at. */
export interface Entry extends Approval {
  readonly standing: boolean;
}

const columns = `id, state, actor, agent, task, run, what, rule, reason, risk, person, agents, standing, since, expires_at AS expiresAt,
  answered_at AS answeredAt, answer, always`;
const ids = { table: 'approval', column: 'id', prefix: 'approval', what: 'approval' } as const;

function entryOf(db: Reader, row: Row): Entry {
  const { what, person, agents, always, standing, ...rest } = row;
  const voters = db.all<{ actor: string }>('SELECT actor FROM approval_vote WHERE approval = ? ORDER BY actor', row.id);
  const parsed: unknown = JSON.parse(what);
  return {
    ...rest,
    what: approval.shape.what.parse(parsed),
    needs: { person: person === 1, agents },
    agreed: voters.map(({ actor }) => actor),
    always: always === 1,
    standing: standing === 1,
  };
}

/** What a caller is shown. */
export function shown({ standing: _standing, ...entry }: Entry): Approval {
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

/** The newest entry about a subject. */
export function entryAbout(db: Reader, subject: string): Entry | undefined {
  const sql = `SELECT ${columns} FROM approval WHERE subject = ? ORDER BY since DESC, rowid DESC LIMIT 1`;
  const row = db.get<Row>(sql, subject);
  return row === undefined ? undefined : entryOf(db, row);
}

/** The entry in which somebody said "always" to exactly this. */
export function entryAlways(db: Reader, rule: string | null, what: What): Entry | undefined {
  const row = db.get<Row>(
    `SELECT ${columns} FROM approval WHERE pattern = ? AND always = 1 LIMIT 1`,
    patternOf(rule, what),
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
