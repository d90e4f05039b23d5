import * as z from 'zod';
import { operation } from '../kernel/operation.ts';

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

/** What can be asked about the whole of MAOS. */
export const watchOps = {
  events: operation({
    name: 'audit.list',
    summary: 'Reads records of the log: what happened, by whom, because of what.',
    effect: 'read',
    scope: 'audit:read',
    input: z.strictObject({
      after: z.int().min(0).default(0).describe('Position to start after.'),
      stream: z.string().optional().describe('Only what happened to this id.'),
      type: z.string().optional().describe('Only this type; task.* fits all that begin so.'),
      limit: z.int().min(1).max(5_000).default(200),
    }),
    output: z.strictObject({ records: z.array(record), next: z.int() }),
    route: 'GET /audit',
  }),
  verify: operation({
    name: 'audit.verify',
    summary: 'Checks the hash chain of the whole log and names every record that was altered, removed or replaced.',
    effect: 'read',
    scope: 'audit:read',
    input: z.strictObject({}),
    output: z.strictObject({
      intact: z.boolean(),
      records: z.int(),
      head: z.string(),
      breaks: z.array(z.strictObject({ position: z.int(), problem: z.string(), message: z.string() })),
    }),
    route: 'GET /audit/verify',
  }),
  doctor: operation({
    name: 'doctor.run',
    summary: 'Compares log, git, processes and programs; explains what does not agree, and repairs it when asked.',
    effect: 'write',
    scope: 'admin:write',
    input: z.strictObject({ repair: z.boolean().default(false) }),
    output: z.strictObject({ healthy: z.boolean(), findings: z.array(finding) }),
    route: 'POST /doctor',
  }),
  cost: operation({
    name: 'cost.list',
    summary: 'Tells tokens and money by run, agent or model; killed runs included.',
    effect: 'read',
    scope: 'run:read',
    input: z.strictObject({ by: z.enum(['run', 'agent', 'model']).default('run'), run: z.string().optional() }),
    output: z.strictObject({
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
    input: z.strictObject({ path: z.string().optional().describe('Default: a file in the snapshots folder.') }),
    output: z.strictObject({ path: z.string(), bytes: z.int(), position: z.int() }),
    route: 'POST /admin/snapshot',
    positional: ['path'],
    refusals: { conflict: 'The file exists.' },
  }),
  rebuild: operation({
    name: 'admin.rebuild',
    summary: 'Makes all views again from the log; nothing else changes.',
    effect: 'write',
    scope: 'admin:write',
    input: z.strictObject({}),
    output: z.strictObject({ views: z.array(z.string()) }),
    route: 'POST /admin/rebuild',
  }),
  status: operation({
    name: 'server.status',
    summary: 'Shows the server: version, since when, log position, what runs, what waits.',
    effect: 'read',
    scope: 'audit:read',
    input: z.strictObject({}),
    output: z.strictObject({
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
