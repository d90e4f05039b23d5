import * as z from 'zod';
import { once } from '../kernel/once.ts';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';

const id = z.string().min(1).max(80);
const milliseconds = z
  .int()
  .min(0)
  .max(365 * 24 * 3_600_000);

/** How often a task is tried again, and how long it rests before each try: backoff × factor^(n-1), with jitter. */
export const retryPolicy = z
  .strictObject({
    max: z.int().min(0).max(100).default(0).describe('Further attempts after the first.'),
    backoffMs: milliseconds.default(1_000),
    factor: z.number().min(1).max(10).default(2),
    maxBackoffMs: milliseconds.default(60_000),
  })
  .describe('Retries with exponential backoff and jitter.');
export type RetryPolicy = z.output<typeof retryPolicy>;

/**
 * blocked: needs other tasks. delayed: waits for a time. queued: can be claimed. claimed: someone works on it.
 * waiting: needs a person. done, failed (a dead letter), cancelled: ended.
 */
export const taskState = z.enum(['blocked', 'delayed', 'queued', 'claimed', 'waiting', 'done', 'failed', 'cancelled']);
export type TaskState = z.output<typeof taskState>;

/** Why an attempt failed: `class` is one word for programs, `message` is for people. */
export const taskError = z.strictObject({ class: z.string().max(40), message: z.string().max(10_000) });

const newTask = once(() => ({
  title: z.string().min(1).max(200).describe('What is to be done, in a few words.'),
  description: z.string().max(100_000).default('').describe('All that whoever does it must know.'),
  kind: z.string().min(1).max(60).default('task').describe('What sort of work it is; a worker handles some kinds.'),
  queue: z.string().min(1).max(80).default('default').describe('Where workers claim it from.'),
  project: id.optional().describe('The project it belongs to.'),
  parent: id.optional().describe('The task it is a part of.'),
  run: id.optional().describe('The run it belongs to; given by MAOS itself.'),
  assignee: z.string().max(120).optional().describe('Only this worker may claim it.'),
  needs: z.array(id).max(1_000).default([]).describe('Tasks that must be done first.'),
  priority: z.int().min(0).max(100).default(50).describe('Higher is claimed first.'),
  payload: z.record(z.string(), z.unknown()).default({}).describe('Data for whoever does it.'),
  notBefore: z.int().min(0).optional().describe('Not before this time (milliseconds since the epoch).'),
  retries: retryPolicy.prefault({}),
  labels: z.array(z.string().min(1).max(60)).max(50).default([]),
}));

/** A unit of work. */
export const task = once(() =>
  z.strictObject({
    id: z.string(),
    title: z.string(),
    description: z.string(),
    kind: z.string(),
    queue: z.string(),
    project: z.string().nullable(),
    parent: z.string().nullable(),
    run: z.string().nullable(),
    assignee: z.string().nullable(),
    needs: z.array(z.string()),
    priority: z.int(),
    payload: z.record(z.string(), z.unknown()),
    labels: z.array(z.string()),
    retries: retryPolicy,
    state: taskState,
    since: z.int().describe('When it came into this state.'),
    reason: z.string().nullable().describe('What it waits for, or why it is in this state.'),
    notBefore: z.int().nullable(),
    attempt: z.int().describe('How many times it has been claimed.'),
    claimedBy: z.string().nullable().describe('Who works on it now.'),
    fence: z.int().describe('Rises with every claim; a completion under an old fence is refused.'),
    result: z.unknown(),
    error: taskError.nullable(),
    createdAt: z.int(),
    updatedAt: z.int(),
  }),
);
export type Task = z.output<ReturnType<typeof task>>;

const created = once(() =>
  z.strictObject({
    ...newTask(),
    project: z.string().nullable(),
    parent: z.string().nullable(),
    run: z.string().nullable(),
    assignee: z.string().nullable(),
    notBefore: z.int().nullable(),
    state: z.enum(['blocked', 'delayed', 'queued']),
  }),
);

/** The stream of each is the task's id. */
export const taskEvents = {
  created: event('task.created', created),
  updated: event('task.updated', () =>
    z.strictObject({
      title: z.string().optional(),
      description: z.string().optional(),
      priority: z.int().optional(),
      labels: z.array(z.string()).optional(),
      payload: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  assigned: event('task.assigned', () => z.strictObject({ assignee: z.string().nullable() })),
  /** It can be claimed (again). */
  queued: event('task.queued', () =>
    z.strictObject({ reason: z.enum(['needs_met', 'due', 'released', 'retried', 'resolved']) }),
  ),
  claimed: event('task.claimed', () => z.strictObject({ by: z.string(), fence: z.int(), attempt: z.int() })),
  /** The claim ended without a result; the attempt counts. */
  released: event('task.released', () => z.strictObject({ fence: z.int(), reason: z.string() })),
  /** It waits for a time. `free`: the attempt that ended does not count against the retries. */
  /** Further needs were found while it was worked on. */
  depended: event('task.depended', () => z.strictObject({ fence: z.int(), needs: z.array(z.string()) })),
  delayed: event('task.delayed', () =>
    z.strictObject({ until: z.int(), error: taskError.nullable(), free: z.boolean() }),
  ),
  /** It was tried again while some of its needs are still open. */
  blocked: event('task.blocked', () => z.strictObject({ reason: z.string() })),
  waiting: event('task.waiting', () => z.strictObject({ for: z.string(), reason: z.string() })),
  completed: event('task.completed', () => z.strictObject({ result: z.unknown() })),
  failed: event('task.failed', () => z.strictObject({ error: taskError })),
  cancelled: event('task.cancelled', () => z.strictObject({ reason: z.string() })),
};

const taskId = z.string().min(1).max(80).describe('The task: its id or a unique beginning of it.');
const fence = z.int().describe('The fence that the claim returned.');
const fenced = z.strictObject({ task: taskId, fence });
/** Tasks that may need one another. */
const newTasks = once(() =>
  z.strictObject({
    tasks: z
      .array(z.strictObject({ ref: z.string().min(1).max(120).optional(), ...newTask() }))
      .min(1)
      .max(2_000),
  }),
);
const addedTasks = z.strictObject({ tasks: z.array(z.strictObject({ ref: z.string().nullable(), id: z.string() })) });

const ofRun = 'It concerns a run, which alone adds, claims and ends its tasks.';
const staleFence = 'The claim was lost: its lease ran out and someone else may have the task.';

/** What can be done with tasks. */
export const taskOps = {
  create: operation({
    name: 'task.create',
    summary: 'Adds a task; it can be claimed when its needs are done and its time has come.',
    detail: 'A replay under the same idempotency key gives the same task.',
    effect: 'write',
    scope: 'task:write',
    input: () => z.strictObject(newTask()),
    output: task,
    route: 'POST /tasks',
    positional: ['title'],
    refusals: {
      not_found: 'A need or the parent does not exist.',
      conflict: 'A beginning of an id fits several tasks.',
      forbidden: ofRun,
    },
  }),
  batch: operation({
    name: 'task.batch',
    summary:
      'Adds many tasks in one transaction; needs name other tasks of the batch by their ref, or tasks that exist by their whole id.',
    detail: 'All or nothing.',
    effect: 'write',
    scope: 'task:write',
    input: newTasks,
    output: () => addedTasks,
    route: 'POST /tasks/batch',
    refusals: {
      invalid: 'Two tasks have the same ref.',
      not_found: 'A need or a parent does not exist.',
      conflict: 'The needs form a cycle, which is named.',
      forbidden: ofRun,
    },
  }),
  plan: operation({
    name: 'task.plan',
    summary: 'Adds the tasks of a run, as task.batch adds others.',
    effect: 'write',
    scope: 'task:write',
    input: newTasks,
    output: () => addedTasks,
    route: 'POST /tasks/plan',
    internal: true,
  }),
  get: operation({
    name: 'task.get',
    summary: 'Shows a task.',
    effect: 'read',
    scope: 'task:read',
    input: () => z.strictObject({ task: taskId }),
    output: task,
    route: 'GET /tasks/:task',
    positional: ['task'],
  }),
  list: operation({
    name: 'task.list',
    summary: 'Lists tasks, newest first.',
    effect: 'read',
    scope: 'task:read',
    input: () =>
      z.strictObject({
        state: z.array(taskState).max(8).optional(),
        queue: z.string().optional(),
        project: id.optional(),
        run: id.optional(),
        parent: id.optional(),
        assignee: z.string().optional(),
        limit: z.int().min(1).max(1_000).default(100),
        cursor: z.string().optional().describe('`next` of the page before.'),
      }),
    output: () => z.strictObject({ tasks: z.array(task()), next: z.string().nullable() }),
    route: 'GET /tasks',
  }),
  history: operation({
    name: 'task.history',
    summary: 'Shows what happened to a task, record by record.',
    effect: 'read',
    scope: 'task:read',
    input: () => z.strictObject({ task: taskId }),
    output: () =>
      z.strictObject({
        records: z.array(
          z.strictObject({ position: z.int(), at: z.int(), actor: z.string(), type: z.string(), data: z.unknown() }),
        ),
      }),
    route: 'GET /tasks/:task/history',
    positional: ['task'],
  }),
  explain: operation({
    name: 'task.explain',
    summary:
      'Says why a task is not running yet: the needs that are open, the time it waits for, the person it waits for.',
    effect: 'read',
    scope: 'task:read',
    input: () => z.strictObject({ task: taskId }),
    output: () =>
      z.strictObject({
        task: z.string(),
        state: taskState,
        since: z.int(),
        because: z.array(z.strictObject({ task: z.string().nullable(), state: z.string(), message: z.string() })),
      }),
    route: 'GET /tasks/:task/explain',
    positional: ['task'],
  }),
  update: operation({
    name: 'task.update',
    summary: 'Changes the words, labels, payload or priority of a task that has not ended.',
    effect: 'write',
    scope: 'task:write',
    input: () =>
      z.strictObject({
        task: taskId,
        title: newTask().title.optional(),
        description: z.string().max(100_000).optional(),
        priority: z.int().min(0).max(100).optional(),
        labels: z.array(z.string().min(1).max(60)).max(50).optional(),
        payload: z.record(z.string(), z.unknown()).optional(),
      }),
    output: task,
    route: 'PATCH /tasks/:task',
    positional: ['task'],
    refusals: { conflict: 'The task has ended.' },
  }),
  assign: operation({
    name: 'task.assign',
    summary: 'Says who may claim a task; null lets anybody.',
    effect: 'write',
    scope: 'task:write',
    input: () => z.strictObject({ task: taskId, assignee: z.string().max(120).nullable() }),
    output: task,
    route: 'POST /tasks/:task/assign',
    positional: ['task', 'assignee'],
    refusals: { conflict: 'The task has ended or is claimed by someone else.', forbidden: ofRun },
  }),
  claim: operation({
    name: 'task.claim',
    summary:
      'Takes the next task of a queue (or one named task) for a worker, with a lease of 15 seconds that heartbeats extend.',
    effect: 'write',
    scope: 'task:work',
    input: () =>
      z.strictObject({
        worker: z.string().min(1).max(120).describe('Who will do the work.'),
        queue: z.string().default('default'),
        kinds: z.array(z.string()).max(50).optional().describe('Only tasks of these kinds.'),
        task: taskId.optional().describe('This task and no other.'),
      }),
    output: () => z.strictObject({ task: task().nullable().describe('null: nothing can be claimed now.') }),
    route: 'POST /tasks/claim',
    refusals: { conflict: 'The named task cannot be claimed in its state.', forbidden: ofRun },
  }),
  heartbeat: operation({
    name: 'task.heartbeat',
    summary: 'Extends the lease of claimed tasks by 15 seconds; says which claims were lost.',
    effect: 'write',
    scope: 'task:work',
    input: () => z.strictObject({ claims: z.array(fenced).min(1).max(2_000) }),
    output: () => z.strictObject({ lost: z.array(z.string()) }),
    route: 'POST /tasks/heartbeat',
  }),
  complete: operation({
    name: 'task.complete',
    summary: 'Ends a claimed task with its result and frees the tasks that need it.',
    effect: 'write',
    scope: 'task:work',
    input: () => z.strictObject({ task: taskId, fence, result: z.unknown().optional() }),
    output: task,
    route: 'POST /tasks/:task/complete',
    positional: ['task'],
    refusals: { conflict: staleFence },
  }),
  fail: operation({
    name: 'task.fail',
    summary: 'Ends an attempt that failed; the task is tried again later or becomes a dead letter.',
    effect: 'write',
    scope: 'task:work',
    input: () =>
      z.strictObject({
        task: taskId,
        fence,
        error: taskError,
        retry: z.boolean().default(true).describe('false: another attempt cannot help.'),
        retryAt: z.int().optional().describe('Not before this time (a rate limit resets).'),
        free: z.boolean().default(false).describe('true: this attempt does not count against the retries.'),
      }),
    output: task,
    route: 'POST /tasks/:task/fail',
    positional: ['task'],
    refusals: { conflict: staleFence },
  }),
  release: operation({
    name: 'task.release',
    summary: 'Gives a claimed task back without a result.',
    effect: 'write',
    scope: 'task:work',
    input: () => z.strictObject({ task: taskId, fence, reason: z.string().max(1_000).default('released') }),
    output: task,
    route: 'POST /tasks/:task/release',
    positional: ['task'],
    refusals: { conflict: staleFence },
  }),
  wait: operation({
    name: 'task.wait',
    summary: 'Parks a claimed task until a person has done something.',
    effect: 'write',
    scope: 'task:work',
    input: () => z.strictObject({ task: taskId, fence, for: z.string().max(120), reason: z.string().max(10_000) }),
    output: task,
    route: 'POST /tasks/:task/wait',
    positional: ['task'],
    refusals: { conflict: staleFence },
  }),
  depend: operation({
    name: 'task.depend',
    summary: 'Gives a claimed task back until further tasks are done; then it is queued again.',
    detail: 'For work that turns out to have parts: the attempt does not count against the retries.',
    effect: 'write',
    scope: 'task:work',
    input: () => z.strictObject({ task: taskId, fence, needs: z.array(id).min(1).max(2_000) }),
    output: task,
    route: 'POST /tasks/:task/depend',
    positional: ['task'],
    refusals: {
      conflict: staleFence,
      not_found: 'A need does not exist.',
      invalid: 'A need waits for this task itself.',
    },
  }),
  retry: operation({
    name: 'task.retry',
    summary: 'Queues a failed, cancelled or waiting task again, with its attempts counted anew.',
    effect: 'write',
    scope: 'task:write',
    input: () => z.strictObject({ task: taskId }),
    output: task,
    route: 'POST /tasks/:task/retry',
    positional: ['task'],
    refusals: { conflict: 'The task is not failed, cancelled or waiting, or its run was removed.' },
  }),
  cancel: operation({
    name: 'task.cancel',
    summary: 'Ends a task that has not ended; a process that works on it is stopped.',
    effect: 'write',
    scope: 'task:write',
    input: () => z.strictObject({ task: taskId, reason: z.string().max(1_000).default('cancelled by a person') }),
    output: task,
    route: 'POST /tasks/:task/cancel',
    positional: ['task'],
    refusals: { conflict: 'The task has already ended.' },
  }),
  tick: operation({
    name: 'task.tick',
    summary: 'Promotes delayed tasks whose time has come and releases claims whose lease ran out.',
    effect: 'write',
    scope: 'task:work',
    input: () => z.strictObject({}),
    output: () =>
      z.strictObject({
        promoted: z.int(),
        released: z.int(),
        nextAt: z
          .int()
          .nullable()
          .describe('When the next tick has something to do; null: nothing is delayed or claimed.'),
      }),
    route: 'POST /tasks/tick',
    internal: true,
  }),
} as const;
