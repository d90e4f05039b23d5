import { action, type Handler, query, type SqlValue } from '../kernel/handler.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Database } from '../log/database.ts';
import { parseRecord } from '../log/record.ts';
import type { StoredRecord } from '../log/port.ts';
import { verifyChain } from '../log/verify.ts';
import { type Finding, watchOps } from './contract.ts';
import { costRows } from './views.ts';

/** What is asked about the server itself. */
export interface ServerFacts {
  readonly version: string;
  readonly pid: number;
  readonly home: string;
  url(): string | null;
  readonly startedAt: number;
  position(): number;
  memoryMb(): number;
  failing(): string[];
  /** Runs going on, agents with a live session, tasks by state. */
  counts(): { runs: number; agents: number; tasks: Record<string, number> };
}

export interface WatchOptions {
  readonly reader: Database;
  readonly facts: ServerFacts;
  /** Each looks at one part of the world and tells what does not agree with the log. */
  readonly doctors: readonly ((repair: boolean) => Promise<Finding[]>)[];
  readonly rebuild: () => Promise<string[]>;
  readonly snapshot: (path: string | undefined) => Promise<{ path: string; bytes: number; position: number }>;
}

const events = query(watchOps.events, (ctx, { after, stream, type, limit }) => {
  const wheres = ['position > ?'];
  const values: SqlValue[] = [after];
  if (stream !== undefined) {
    wheres.push('stream = ?');
    values.push(stream);
  }
  if (type !== undefined) {
    wheres.push(type.endsWith('*') ? 'substr(type, 1, length(?)) = ?' : 'type = ?');
    values.push(...(type.endsWith('*') ? [type.slice(0, -1), type.slice(0, -1)] : [type]));
  }
  const sql = `SELECT * FROM log WHERE ${wheres.join(' AND ')} ORDER BY position LIMIT ?`;
  const records: LogRecord[] = ctx.db.all<StoredRecord>(sql, ...values, limit).map(parseRecord);
  return { records, next: records.at(-1)?.position ?? after };
});

const cost = query(watchOps.cost, (ctx, { by, run }) => ({
  rows: costRows(ctx.db, by, run ?? null).map(({ unpriced, ...row }) => ({ ...row, unpriced: unpriced === 1 })),
}));

/** Operations that look at the whole. */
export function watchHandlers({ reader, facts, doctors, rebuild, snapshot }: WatchOptions): readonly Handler[] {
  return [
    events,
    cost,
    action(watchOps.verify, async () => {
      const { breaks, ...rest } = await verifyChain(reader);
      return { intact: breaks.length === 0, ...rest, breaks: breaks.map((one) => ({ ...one })) };
    }),
    action(watchOps.doctor, async (_ctx, { repair }) => {
      const findings = (await Promise.all(doctors.map((doctor) => doctor(repair)))).flat();
      return { healthy: findings.every((found) => found.severity !== 'problem' || found.repaired), findings };
    }),
    action(watchOps.rebuild, async () => ({ views: await rebuild() })),
    action(watchOps.snapshot, async (_ctx, { path }) => snapshot(path)),
    query(watchOps.status, () => {
      const { version, pid, home, startedAt } = facts;
      const url = facts.url();
      return {
        version,
        pid,
        home,
        startedAt,
        url,
        position: facts.position(),
        memoryMb: facts.memoryMb(),
        ...facts.counts(),
        failing: facts.failing(),
      };
    }),
  ];
}
