import * as z from 'zod';
import { once } from '../kernel/once.ts';

/** One command that judged a commit. */
export const evidence = z.strictObject({
  command: z.string(),
  commit: z.string(),
  passed: z.boolean(),
  exit: z.string(),
  ms: z.int(),
  output: z.string().describe('The end of what it printed.'),
});

/** queued: waits its turn. landed: the branch contains it. conflict, rejected: it went back, and why. */
export const mergeState = z.enum(['queued', 'landed', 'conflict', 'rejected', 'withdrawn']);

/** A commit on its way into a run's branch. */
export const merge = once(() =>
  z.strictObject({
    id: z.string(),
    project: z.string(),
    branch: z.string(),
    commit: z.string(),
    task: z.string(),
    title: z.string(),
    checks: z.array(z.string()),
    timeoutMs: z.int(),
    state: mergeState,
    since: z.int(),
    landed: z.string().nullable().describe('The commit that the branch points to since then.'),
    files: z.array(z.string()).describe('Files in conflict.'),
    onto: z.string().nullable().describe('The commit it conflicted with or was checked on.'),
    evidence: z.array(evidence),
    reason: z.string().nullable().describe('Why it was withdrawn.'),
  }),
);
