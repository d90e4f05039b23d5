import type { Caller } from '../kernel/caller.ts';
import { action, command, type Handler, query } from '../kernel/handler.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Database } from '../log/database.ts';
import { parseRecord } from '../log/record.ts';
import { verifyChain } from '../log/verify.ts';
import { type Finding, watchEvents, watchOps } from './contract.ts';
import { exportToFile } from './export.ts';
import { headOf, pages } from './search.ts';
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
  /** Whether a caller may see a record. */
  readonly sees: (caller: Caller, record: Pick<LogRecord, 'stream' | 'type'>) => boolean;
  readonly rebuild: () => Promise<string[]>;
  readonly snapshot: (path: string | undefined) => Promise<{ path: string; bytes: number; position: number }>;
}

const events = action(watchOps.events, async (ctx, { after, limit, ...search }) => {
  const head = headOf(ctx.db);
  const records: LogRecord[] = [];
  for await (const page of pages(ctx.db, search, { after, head, limit })) {
    records.push(...page.slice(0, limit - records.length).map((record) => parseRecord(record)));
    if (records.length === limit || ctx.signal.aborted) return { records, next: records.at(-1)?.position ?? after };
  }
  return { records, next: Math.max(after, head) };
});

/** Commands of this room; they run in the core. */
export const watchCommands: readonly Handler[] = [
  command(watchOps.refuse, (ctx, data) => {
    ctx.emit(watchEvents.refused, 'audit', data);
    return {};
  }),
];

const cost = query(watchOps.cost, (ctx, { by, run }) => ({
  rows: costRows(ctx.db, by, run ?? null).map(({ unpriced, ...row }) => ({ ...row, unpriced: unpriced === 1 })),
}));

/** Operations that look at the whole. */
export function watchHandlers({ reader, facts, doctors, sees, rebuild, snapshot }: WatchOptions): readonly Handler[] {
  return [
    events,
    cost,
    action(watchOps.export, ({ db, caller, signal }, input) =>
      exportToFile(db, facts.home, input, { signal, fits: (record) => sees(caller, record) }),
    ),
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
