import * as z from 'zod';
import { conflict } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';

const pattern = z
  .string()
  .max(200)
  .regex(/^(?:\*|[a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\.\*)?)$/, 'Write a type (task.created), a group (task.*), or *.');

/** Which records a follower wants; all of them without a filter. */
export const recordFilter = z.strictObject({
  streams: z
    .array(z.string().min(1).max(200))
    .max(100)
    .optional()
    .describe('Only records of these streams, for example task_7k3m9qx2w4ta.'),
  types: z
    .array(pattern)
    .max(100)
    .optional()
    .describe('Only records of these types; task.* stands for all that begin with "task.".'),
});
export type RecordFilter = z.infer<typeof recordFilter>;

const after = z
  .int()
  .min(0)
  .optional()
  .describe('The last position that the caller has; 0 for everything. Without it: what comes from now on.');

/** The query of the event stream. */
export const eventsQuery = z.strictObject({ after, ...recordFilter.shape });

/** Where a follower begins. A cursor beyond the end belongs to another log: following it would miss records in silence. */
export function startOf(cursor: number | undefined, head: number): number {
  if (cursor === undefined) return head;
  if (cursor <= head) return cursor;
  throw conflict(
    `The log ends at ${head}; position ${cursor} is of another log, or of this one before it was restored.`,
    {
      fix: 'Follow again from 0, and forget what was computed from the old positions.',
      details: { head },
    },
  );
}

/** The filter as a function. */
export function matcher({ streams, types }: RecordFilter): (record: LogRecord) => boolean {
  const wanted = streams === undefined ? undefined : new Set(streams);
  const exact = new Set(types);
  const groups = (types ?? []).flatMap((type) => (type.endsWith('*') ? [type.slice(0, -1)] : []));
  return ({ stream, type }) =>
    (wanted === undefined || wanted.has(stream)) &&
    (types === undefined || exact.has(type) || groups.some((group) => type.startsWith(group)));
}
