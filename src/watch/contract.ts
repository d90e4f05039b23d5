import * as z from 'zod';
import { once } from '../kernel/once.ts';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';
import { absolutePath } from '../kernel/path.ts';

const record = z.strictObject({
  position: z.int(),
  at: z.int(),
  actor: z.string(),
  stream: z.string(),
  type: z.string(),
  version: z.int(),
  data: z.unknown(),
  cause: z.string(),
  trace: z.string(),
  previous: z.string(),
  hash: z.string(),
});

/** One thing that does not agree: log, git, processes, programs. */
export const finding = z.strictObject({
  area: z.string().describe('log, git, processes, programs, disk.'),
  severity: z.enum(['ok', 'notice', 'problem']),
  message: z.string(),
  fix: z.string().nullable(),
  repaired: z.boolean(),
});
export type Finding = z.output<typeof finding>;

/** Who was refused what. The first is written at once, those that follow within a minute as one, with their number. */
const refusedData = once(() =>
  z.strictObject({
    actor: z.string().max(200).describe('Who was refused; others: callers beyond those that are told apart.'),
    credential: z.string().max(200).nullable().describe('The id of what was shown, never the secret itself.'),
    operations: z.array(z.string().max(200)).max(20).describe('What was called; none: refused at the door.'),
    code: z.string().max(40).describe('unauthenticated or forbidden.'),
    rule: z.string().max(200).nullable().describe('The rule of the policy that did not allow it.'),
    risk: z.string().max(40).nullable(),
    count: z.int().min(1),
    since: z.int(),
    until: z.int(),
  }),
);
export type RefusedData = z.output<ReturnType<typeof refusedData>>;

export const watchEvents = { refused: event('audit.refused', () => refusedData()) } as const;

/** What of the log is wanted; all of it must fit. */
const search = once(
  () =>
    ({
      stream: z.string().optional().describe('Only what happened to this id.'),
      type: z.string().optional().describe('Only this type; task.* fits all that begin so.'),
      actor: z
        .string()
        .optional()
        .describe('Only by this actor, as user:local; agent:* fits all agents. Finds refusals too.'),
      operation: z.string().optional().describe('Only what this operation wrote, and refusals of it.'),
      since: z.int().optional().describe('Only from this time on, in milliseconds since 1970.'),
      until: z.int().optional().describe('Only before this time.'),
      text: z
        .string()
        .min(1)
        .max(1_000)
        .optional()
        .describe('Only with this text in the data; upper and lower case are the same.'),
    }) as const,
);

/** What can be asked about the whole of MAOS. */
export const watchOps = {
  events: operation({
    name: 'audit.list',
    summary: 'Reads records of the log: what happened, by whom, because of what.',
    detail:
      'Looks through the log record by record: a stream or type that is rare takes a third of a second per million.',
    effect: 'read',
    scope: 'audit:read',
    input: () =>
      z.strictObject({
        after: z.int().min(0).default(0).describe('Position to start after.'),
        ...search(),
        limit: z.int().min(1).max(5_000).default(200),
      }),
    output: () =>
      z.strictObject({
        records: z.array(record),
        next: z.int().describe('Where to go on: all up to this position was looked at.'),
      }),
    route: 'GET /audit',
  }),
  verify: operation({
    name: 'audit.verify',
    summary: 'Checks the hash chain of the whole log and names every record that was altered, removed or replaced.',
    effect: 'read',
    scope: 'audit:read',
    input: () => z.strictObject({}),
    output: () =>
      z.strictObject({
        intact: z.boolean(),
        records: z.int(),
        head: z.string(),
        breaks: z.array(z.strictObject({ position: z.int(), problem: z.string(), message: z.string() })),
      }),
    route: 'GET /audit/verify',
  }),
  export: operation({
    name: 'audit.export',
    summary: 'Writes the log, or what of it is wanted, to a new file: JSON lines, or CSV for spreadsheets.',
    detail:
      'Each line holds the hash of its record and of the one before, so what was exported can be checked without MAOS. ' +
      'In CSV, a cell that a spreadsheet would take for a formula begins with an apostrophe.',
    effect: 'write',
    scope: 'admin:write',
    input: () =>
      z.strictObject({
        path: absolutePath.describe('A new file in a folder that exists; absolute.'),
        format: z.enum(['jsonl', 'csv']).default('jsonl'),
        ...search(),
      }),
    output: () => z.strictObject({ path: z.string(), records: z.int(), bytes: z.int() }),
    route: 'POST /audit/export',
    positional: ['path'],
    refusals: {
      invalid: 'The folder does not exist, or MAOS keeps its own files there.',
      conflict: 'The file exists.',
    },
  }),
  refuse: operation({
    name: 'audit.refuse',
    summary: 'Records refusals.',
    effect: 'write',
    scope: 'audit:write',
    input: () => refusedData(),
    output: () => z.strictObject({}),
    route: 'POST /audit/refusals',
    internal: true,
  }),
  doctor: operation({
    name: 'doctor.run',
    summary: 'Compares log, git, processes and programs; explains what does not agree, and repairs it when asked.',
    effect: 'write',
    scope: 'admin:write',
    input: () => z.strictObject({ repair: z.boolean().default(false) }),
    output: () => z.strictObject({ healthy: z.boolean(), findings: z.array(finding) }),
    route: 'POST /doctor',
  }),
  cost: operation({
    name: 'cost.list',
    summary: 'Tells tokens and money by run, agent or model; killed runs included.',
    effect: 'read',
    scope: 'run:read',
    input: () => z.strictObject({ by: z.enum(['run', 'agent', 'model']).default('run'), run: z.string().optional() }),
    output: () =>
      z.strictObject({
        rows: z.array(
          z.strictObject({
            name: z.string(),
            inputTokens: z.int(),
            outputTokens: z.int(),
            cacheReadTokens: z.int(),
            cacheWriteTokens: z.int(),
            costUsd: z.number(),
            unpriced: z.boolean().describe('Some sessions reported no price; the money is a lower bound.'),
          }),
        ),
      }),
    route: 'GET /cost',
  }),
  snapshot: operation({
    name: 'admin.snapshot',
    summary: 'Writes a consistent copy of the whole state to a new file.',
    effect: 'write',
    scope: 'admin:write',
    input: () =>
      z.strictObject({
        path: absolutePath
          .optional()
          .describe('A new file in a folder that exists; absolute. Default: a file in the snapshots folder.'),
      }),
    output: () => z.strictObject({ path: z.string(), bytes: z.int(), position: z.int() }),
    route: 'POST /admin/snapshot',
    positional: ['path'],
    refusals: {
      invalid: 'The folder does not exist, or MAOS keeps its own files there.',
      conflict: 'The file exists.',
    },
  }),
  rebuild: operation({
    name: 'admin.rebuild',
    summary: 'Makes all views again from the log; nothing else changes.',
    effect: 'write',
    scope: 'admin:write',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ views: z.array(z.string()) }),
    route: 'POST /admin/rebuild',
  }),
  status: operation({
    name: 'server.status',
    summary: 'Shows the server: version, since when, log position, what runs, what waits.',
    effect: 'read',
    scope: 'audit:read',
    input: () => z.strictObject({}),
    output: () =>
      z.strictObject({
        version: z.string(),
        pid: z.int(),
        home: z.string(),
        url: z.string().nullable(),
        startedAt: z.int(),
        position: z.int(),
        memoryMb: z.number(),
        runs: z.int().describe('Runs going on.'),
        agents: z.int().describe('Agents with a live session.'),
        tasks: z.record(z.string(), z.int()),
        failing: z.array(z.string()).describe('Reactors that cannot do their work, and why.'),
      }),
    route: 'GET /status',
  }),
} as const;
