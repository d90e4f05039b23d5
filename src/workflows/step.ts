import * as z from 'zod';
import { once } from '../kernel/once.ts';

/** Where an attempt of a task stands between its claim and its end. */
const stepPhase = z.enum(['pending', 'preparing', 'working', 'checking', 'merging', 'resolving', 'done', 'failed']);

/** One command that judged the exact commit of a task. */
export const stepEvidence = z.strictObject({
  command: z.string(),
  commit: z.string(),
  passed: z.boolean(),
  exit: z.string(),
  ms: z.int(),
  output: z.string(),
});

/** How much a commit changed. */
export const diffstat = z.strictObject({ files: z.int(), added: z.int(), deleted: z.int() });

/** A task of a run, with what the run knows about it beyond the task itself. */
export const step = once(() =>
  z.strictObject({
    id: z.string().describe('The task’s id in the plan.'),
    task: z.string(),
    title: z.string(),
    needs: z.array(z.string()).describe('Ids in the plan.'),
    state: z.string().describe('The task’s state.'),
    phase: stepPhase,
    since: z.int(),
    reason: z.string().nullable(),
    runtime: z.string(),
    attempt: z.int(),
    agent: z.string().nullable(),
    generation: z.int().nullable(),
    workspace: z.string().nullable(),
    base: z.string().nullable(),
    commit: z.string().nullable().describe('What it made; null: nothing changed, or not yet.'),
    landed: z.string().nullable().describe('The commit of the run’s branch that contains it.'),
    changed: diffstat.nullable(),
    outputs: z.record(z.string(), z.string()),
    summary: z.string().nullable().describe('What its agent said at the end.'),
    evidence: z.array(stepEvidence),
    conflicts: z.int().describe('How often it came back from the merge queue.'),
    lastAction: z.string().nullable(),
    costUsd: z.number().nullable(),
    tokens: z.int(),
    key: z.string().describe('Changes when anything that decides its result changes.'),
    reused: z.boolean().describe('Its result was taken from the run that this one continues.'),
    startedAt: z.int().nullable(),
    endedAt: z.int().nullable(),
  }),
);
