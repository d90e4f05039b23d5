import * as z from 'zod';
import { once } from '../kernel/once.ts';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';
import { absolutePath } from '../kernel/path.ts';
import { passedVariable } from '../agents/contract.ts';
import { budgetTerms } from '../budgets/contract.ts';
import { plannedTaskSchema } from './planned.ts';
import { diffstat, step, stepEvidence } from './step.ts';

const runId = z
  .string()
  .min(1)
  .max(120)
  .describe('The run: its name (quickstart-1), its id, or a unique beginning of it.');

/**
 * running: tasks are carried out. waiting: nothing can go on until a person has done something. succeeded: every task
 * is done and landed on the run’s branch. failed: nothing can go on. cancelled: stopped by a person.
 */
export const runState = z.enum(['running', 'waiting', 'succeeded', 'failed', 'cancelled']);
export type RunState = z.output<typeof runState>;

export type Step = z.output<ReturnType<typeof step>>;

const spent = z.strictObject({
  costUsd: z.number(),
  tokens: z.int(),
  unpriced: z.boolean().describe('Some agent reported no price.'),
});
const budget = z.strictObject({ usd: z.number().nullable(), tokens: z.int().nullable() });

/** A plan being carried out on a repository. */
export const run = once(() =>
  z.strictObject({
    id: z.string(),
    name: z.string(),
    project: z.string(),
    repository: z.string(),
    base: z.string(),
    branch: z.string().describe('Where its tasks land: maos/<name>.'),
    target: z
      .string()
      .nullable()
      .describe('The branch that was checked out when it began: where `maos merge` lands it.'),
    state: runState,
    since: z.int(),
    reason: z.string().nullable(),
    concurrency: z.int(),
    budget,
    spent,
    continues: z.string().nullable().describe('The run whose finished tasks this one uses.'),
    merged: z.strictObject({ branch: z.string(), from: z.string(), to: z.string(), at: z.int() }).nullable(),
    counts: z.record(z.string(), z.int()).describe('Tasks by state.'),
    createdAt: z.int(),
    endedAt: z.int().nullable(),
    report: z.string().nullable().describe('The file of its report.'),
  }),
);
export type Run = z.output<ReturnType<typeof run>>;

/** All that is worth telling about a run. */
export const runDetail = once(() => z.strictObject({ ...run().shape, steps: z.array(step()) }));
export type RunDetail = z.output<ReturnType<typeof runDetail>>;

const recorded = once(() => ({
  name: z.string(),
  project: z.string(),
  repository: z.string(),
  base: z.string(),
  branch: z.string(),
  target: z.string().nullable(),
  concurrency: z.int(),
  budget: budgetTerms,
  /** Of agents that the plan names, by their name; records of an older MAOS have none. */
  crew: z.record(z.string(), budgetTerms).default({}),
  continues: z.string().nullable(),
  inputs: z.record(z.string(), z.string()),
  plan: z.string().describe('The plan as it was written.'),
  file: z.string().nullable(),
}));

const attempt = z.int();

/** Events of a run (stream: the run’s id) and of its steps (stream: the task’s id). */
export const runEvents = {
  created: event('run.created', () => z.strictObject(recorded())),
  step: event('step.planned', () =>
    z.strictObject({
      run: z.string(),
      planned: plannedTaskSchema(),
      key: z.string(),
      reuse: z.string().nullable(),
      ready: z.boolean().describe('It needs nothing that is not done.'),
    }),
  ),
  prepared: event('step.prepared', () => z.strictObject({ attempt, workspace: z.string(), base: z.string() })),
  working: event('step.working', () =>
    z.strictObject({ attempt, agent: z.string(), generation: z.int(), resolving: z.string().nullable() }),
  ),
  produced: event('step.produced', () =>
    z.strictObject({
      attempt,
      commit: z.string().nullable(),
      base: z.string(),
      changed: diffstat,
      outputs: z.record(z.string(), z.string()),
      summary: z.string(),
      reused: z.boolean(),
    }),
  ),
  checked: event('step.checked', () =>
    z.strictObject({ attempt, passed: z.boolean(), evidence: z.array(stepEvidence) }),
  ),
  merging: event('step.merging', () => z.strictObject({ attempt, merge: z.string() })),
  conflicted: event('step.conflicted', () => z.strictObject({ attempt, onto: z.string(), files: z.array(z.string()) })),
  landed: event('step.landed', () => z.strictObject({ attempt, commit: z.string().nullable() })),
  failed: event('step.failed', () =>
    z.strictObject({ attempt, class: z.string(), message: z.string(), feedback: z.string().nullable() }),
  ),
  waiting: event('run.waiting', () => z.strictObject({ reason: z.string() })),
  /** A person vouches for what is in the worktree; the next attempt takes it as its result. */
  accepted: event('step.accepted', () => z.strictObject({ workspace: z.string() })),
  resumed: event('run.resumed', () => z.strictObject({ tasks: z.array(z.string()) })),
  ended: event('run.ended', () =>
    z.strictObject({ state: z.enum(['succeeded', 'failed', 'cancelled']), reason: z.string().nullable() }),
  ),
  reported: event('run.reported', () => z.strictObject({ report: z.string() })),
  merged: event('run.merged', () => z.strictObject({ branch: z.string(), from: z.string(), to: z.string() })),
  unmerged: event('run.unmerged', () => z.strictObject({ branch: z.string(), from: z.string(), to: z.string() })),
  removed: event('run.removed', () => z.strictObject({})),
};

const newRun = once(() =>
  z.strictObject({
    plan: z.string().max(1_000_000).optional().describe('The plan, as YAML.'),
    objective: z
      .string()
      .max(100_000)
      .optional()
      .describe('Instead of a plan: one task for an agent, in plain language.'),
    file: z.string().optional().describe('Where the plan was read from; relative paths in it start there.'),
    cwd: absolutePath.describe('The folder the caller stands in: the repository when the plan names none.'),
    inputs: z.record(z.string(), z.string()).default({}),
    runtime: z.string().optional().describe('For an objective: which runtime; default claude.'),
    continues: runId.optional().describe('Use the finished tasks of this run that have not changed.'),
  }),
);

const byRun = z.strictObject({ run: runId });
const task = z.string();

/** What can be done with runs. */
export const runOps = {
  create: operation({
    name: 'run.create',
    summary:
      'Carries out a plan on a repository: its tasks become agents in worktrees, are checked, and land on the branch maos/<run>.',
    detail:
      'Returns when the run is recorded and its branch is made; its tasks start at once. The plan is refused as a whole if anything in it is wrong. A replay under the same idempotency key gives the same run.',
    effect: 'write',
    scope: 'run:write',
    input: newRun,
    output: runDetail,
    route: 'POST /runs',
    refusals: { invalid: 'The plan has mistakes, each told with line and column; or the folder is no repository.' },
  }),
  reserve: operation({
    name: 'run.reserve',
    summary: 'Gives the id for a run that is being created: under the same idempotency key the same one.',
    effect: 'write',
    scope: 'run:write',
    input: newRun,
    output: () => z.strictObject({ run: z.string() }),
    route: 'POST /runs/reserve',
    internal: true,
  }),
  record: operation({
    name: 'run.record',
    summary: 'Records a run whose plan was read, whose repository was inspected, and whose branch was made for it.',
    effect: 'write',
    scope: 'run:write',
    input: () =>
      z.strictObject({
        run: z.string(),
        ...z.strictObject(recorded()).omit({ branch: true }).shape,
        tasks: z.array(plannedTaskSchema()),
      }),
    output: () =>
      z.strictObject({
        name: z.string().describe('Of the run that has this id now: the first to record it wins.'),
      }),
    route: 'POST /runs/record',
    internal: true,
    refusals: { conflict: 'Another run has this name.' },
  }),
  check: operation({
    name: 'run.check',
    summary: 'Reads a plan and tells its mistakes, or the tasks it would run in which order; starts nothing.',
    effect: 'read',
    scope: 'run:read',
    input: () =>
      z.strictObject({
        plan: z.string().max(1_000_000),
        file: z.string().optional(),
        inputs: z.record(z.string(), z.string()).default({}),
      }),
    output: () =>
      z.strictObject({
        name: z.string(),
        tasks: z.array(
          z.strictObject({ id: z.string(), title: z.string(), needs: z.array(z.string()), runtime: z.string() }),
        ),
        critical: z.array(z.string()).describe('The longest chain of needs.'),
      }),
    route: 'POST /runs/check',
  }),
  get: operation({
    name: 'run.get',
    summary: 'Shows a run with its tasks.',
    effect: 'read',
    scope: 'run:read',
    input: () => byRun,
    output: runDetail,
    route: 'GET /runs/:run',
    positional: ['run'],
  }),
  list: operation({
    name: 'run.list',
    summary: 'Lists runs, newest first.',
    effect: 'read',
    scope: 'run:read',
    input: () =>
      z.strictObject({
        state: z.array(runState).optional(),
        project: z.string().optional(),
        limit: z.int().min(1).max(1_000).default(50),
      }),
    output: () => z.strictObject({ runs: z.array(run()) }),
    route: 'GET /runs',
  }),
  report: operation({
    name: 'run.report',
    summary: 'Gives the report of a run as Markdown: what was done, proved, merged, what it cost, what is left.',
    effect: 'read',
    scope: 'run:read',
    input: () => byRun,
    output: () => z.strictObject({ markdown: z.string(), file: z.string().nullable() }),
    route: 'GET /runs/:run/report',
    positional: ['run'],
  }),
  stop: operation({
    name: 'run.stop',
    summary: 'Ends a run: its open tasks are cancelled and their processes stopped; what has landed stays.',
    effect: 'write',
    scope: 'run:write',
    input: () => z.strictObject({ run: runId, reason: z.string().max(1_000).default('stopped by a person') }),
    output: runDetail,
    route: 'POST /runs/:run/stop',
    positional: ['run'],
    refusals: { conflict: 'The run has already ended.' },
  }),
  resume: operation({
    name: 'run.resume',
    summary: 'Carries on a run that failed, waits or was stopped: only what did not finish is run again.',
    detail: 'With a changed plan, use run.create with `continues`: only tasks whose content key changed run again.',
    effect: 'write',
    scope: 'run:write',
    input: () => byRun,
    output: runDetail,
    route: 'POST /runs/:run/resume',
    positional: ['run'],
    refusals: { conflict: 'Every task of the run is done, or it is still running.' },
  }),
  diff: operation({
    name: 'run.diff',
    summary: 'Shows what a run’s branch changes against its base.',
    effect: 'read',
    scope: 'run:read',
    input: () => z.strictObject({ run: runId, stat: z.boolean().default(false).describe('Only the list of files.') }),
    output: () =>
      z.strictObject({
        files: z.array(z.strictObject({ path: z.string(), added: z.int(), deleted: z.int() })),
        text: z.string(),
      }),
    route: 'GET /runs/:run/diff',
    positional: ['run'],
    refusals: { conflict: 'The run was removed.' },
  }),
  merge: operation({
    name: 'run.merge',
    summary: 'Lands a run’s branch on yours; a checkout with uncommitted changes is never touched.',
    effect: 'write',
    scope: 'run:merge',
    input: () =>
      z.strictObject({
        run: runId,
        into: z.string().optional().describe('Default: the branch that was checked out when the run began.'),
      }),
    output: () =>
      z.strictObject({
        branch: z.string(),
        from: z.string(),
        to: z.string(),
        kind: z.enum(['merged', 'fast_forward', 'already']),
      }),
    route: 'POST /runs/:run/merge',
    positional: ['run', 'into'],
    refusals: { conflict: 'The checkout is dirty, or both sides changed the same lines; the files are named.' },
  }),
  undo: operation({
    name: 'run.undo',
    summary: 'Takes back the landing of a run on your branch, if the branch has not moved since.',
    effect: 'destroy',
    scope: 'run:merge',
    input: () => byRun,
    output: () =>
      z.strictObject({
        branch: z.string(),
        from: z.string(),
        to: z.string(),
        rescue: z
          .string()
          .nullable()
          .describe('The ref that keeps what no branch holds now; null when nothing needs one.'),
      }),
    route: 'POST /runs/:run/undo',
    positional: ['run'],
    refusals: { conflict: 'The run was not landed, or the branch has moved since.' },
  }),
  rollback: operation({
    name: 'run.rollback',
    summary: 'Takes back what one finished task landed on its run’s branch, by a commit that reverses it.',
    detail: 'The task stays done; later tasks keep their own changes. Your own branch is not touched.',
    effect: 'write',
    scope: 'run:merge',
    input: () => z.strictObject({ run: runId, task: z.string().describe('The task’s id in the plan.') }),
    output: () =>
      z.strictObject({
        commit: z.string().describe('The commit that takes it back.'),
        merge: z.string().describe('Its place in the merge queue, which lands it on the run’s branch.'),
      }),
    route: 'POST /runs/:run/rollback',
    positional: ['run', 'task'],
    refusals: { conflict: 'The task has landed nothing, or later work builds on the same lines; the files are named.' },
  }),
  accept: operation({
    name: 'run.accept',
    summary:
      'Takes what is in the worktree of a waiting or failed task as its result, for example a conflict that a person has resolved there.',
    detail: 'The result is committed, checked and merged like every other.',
    effect: 'write',
    scope: 'run:write',
    input: () => z.strictObject({ run: runId, task: z.string().describe('The task’s id in the plan.') }),
    output: runDetail,
    route: 'POST /runs/:run/accept',
    positional: ['run', 'task'],
    refusals: { conflict: 'The task does not wait for a person and has not failed, or has no worktree.' },
  }),
  remove: operation({
    name: 'run.remove',
    summary:
      'Removes an ended run’s worktrees and branches; work that is nowhere else goes to rescue refs and the trash.',
    detail:
      'Without a token it refuses when something would be lost, telling what, and the token that names exactly that state. For a run that was removed already nothing is done.',
    effect: 'destroy',
    scope: 'run:write',
    input: () => z.strictObject({ run: runId, token: z.string().optional() }),
    output: () => z.strictObject({ run: z.string(), workspaces: z.array(z.string()), rescued: z.array(z.string()) }),
    route: 'DELETE /runs/:run',
    positional: ['run'],
    refusals: { conflict: 'The run is still going on, or the token does not name the state that would be lost.' },
  }),
  dispatch: operation({
    name: 'run.dispatch',
    summary: 'Claims tasks of running runs up to their concurrency, and ends runs that have nothing left to do.',
    effect: 'write',
    scope: 'run:drive',
    input: () => z.strictObject({ limit: z.int().min(0).describe('How many more may run on this machine.') }),
    output: () => z.strictObject({ claimed: z.array(task) }),
    route: 'POST /runs/dispatch',
    internal: true,
  }),
  note: operation({
    name: 'run.note',
    summary: 'Reports what happened to a whole run outside the core.',
    effect: 'write',
    scope: 'run:drive',
    input: () =>
      z.strictObject({
        run: z.string(),
        note: z.discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('reported'), report: z.string() }),
          z.strictObject({ kind: z.literal('merged'), branch: z.string(), from: z.string(), to: z.string() }),
          z.strictObject({ kind: z.literal('unmerged'), branch: z.string(), from: z.string(), to: z.string() }),
          z.strictObject({ kind: z.literal('removed') }),
        ]),
      }),
    output: () => z.strictObject({}),
    route: 'POST /runs/note',
    internal: true,
  }),
  advance: operation({
    name: 'step.advance',
    summary: 'Reports that an attempt of a task has come one phase further.',
    effect: 'write',
    scope: 'run:drive',
    input: () =>
      z.strictObject({
        task,
        attempt,
        move: z.discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('prepared'), workspace: z.string(), base: z.string() }),
          z.strictObject({
            kind: z.literal('work'),
            cwd: z.string(),
            env: z.record(z.string(), z.string()),
            passEnv: z.record(z.string(), passedVariable),
            prompt: z.string().nullable(),
            argv: z.array(z.string()).nullable(),
            resolving: z.string().nullable().describe('The commit whose conflict is being resolved.'),
            resume: z.boolean(),
          }),
          z.strictObject({
            kind: z.literal('produced'),
            commit: z.string().nullable(),
            base: z.string(),
            changed: diffstat,
            outputs: z.record(z.string(), z.string()),
            summary: z.string(),
            reused: z.boolean(),
          }),
          z.strictObject({ kind: z.literal('checked'), passed: z.boolean(), evidence: z.array(stepEvidence) }),
          z.strictObject({ kind: z.literal('merging'), merge: z.string() }),
          z.strictObject({ kind: z.literal('conflicted'), onto: z.string(), files: z.array(z.string()) }),
          z.strictObject({ kind: z.literal('landed'), commit: z.string().nullable() }),
          z.strictObject({
            kind: z.literal('fanned'),
            instances: z.array(plannedTaskSchema()).describe('One for each item; none: there is nothing to do.'),
            rewired: z.array(plannedTaskSchema()).describe('Tasks that waited for the list.'),
          }),
          z.strictObject({ kind: z.literal('gathered') }),
          z.strictObject({
            kind: z.literal('failed'),
            class: z.string(),
            message: z.string(),
            retry: z.boolean(),
            retryAt: z.int().nullable(),
            feedback: z.string().nullable().describe('What the next attempt is told.'),
          }),
          z.strictObject({ kind: z.literal('waiting'), for: z.string(), reason: z.string() }),
        ]),
      }),
    output: () =>
      z.strictObject({
        accepted: z
          .boolean()
          .describe('false: the attempt is no longer the current one, or its agent has to wait for money.'),
      }),
    route: 'POST /steps/advance',
    internal: true,
    refusals: { conflict: 'The phase does not follow from the one before.' },
  }),
} as const;
