import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';

/** What a budget can be of. An agent is one of the roster, or one that a plan names, for all its tasks in that run. */
export const budgetKinds = ['fleet', 'project', 'run', 'agent', 'task'] as const;
export type BudgetKind = (typeof budgetKinds)[number];

const usd = z.number().positive().max(1_000_000_000).describe('Money, in US dollars.');
const tokens = z.int().positive().describe('Tokens: input, output and cache.');
const period = z
  .enum(['total', 'day', 'month'])
  .describe('total: once and for all. day, month: anew each day or month (UTC).');
const atLimit = z
  .enum(['stop', 'ask'])
  .describe('stop: nothing more is started until somebody raises it. ask: the inbox asks a person for as much again.');
const share = z
  .number()
  .positive()
  .describe('What a session is promised whose agent has no limit of its own; left out: all that is left.');

/** What a budget allows. */
export const budgetTerms = z.strictObject({
  usd: usd.nullable().default(null),
  tokens: tokens.nullable().default(null),
  period: period.default('total'),
  atLimit: atLimit.default('stop'),
  share: share.nullable().default(null),
});
export type BudgetTerms = z.output<typeof budgetTerms>;

/** Whom a budget belongs to, as events name it. `project` decides about its team; null for the fleet. */
const owner = {
  kind: z.enum(budgetKinds),
  subject: z.string().describe('Its id; of an agent of a plan: run/name. Empty for the fleet.'),
  name: z.string().describe('What people call it.'),
  project: z.string().nullable(),
  run: z.string().nullable(),
} as const;

const amounts = z.strictObject({ usd: z.number(), tokens: z.int() });
const some = z.strictObject({ usd: z.number().nullable(), tokens: z.int().nullable() });

/** A budget and how it stands. */
export const budget = z.strictObject({
  id: z.string(),
  ...owner,
  ...budgetTerms.shape,
  used: z
    .strictObject({
      ...amounts.shape,
      unpriced: z.boolean().describe('Some session told no price: it is a lower bound.'),
    })
    .describe('In its present period, killed sessions included.'),
  reserved: amounts.describe('Promised to sessions that work now, and not used by them yet.'),
  allowed: amounts.describe('What a person has allowed beyond it in the present period.'),
  left: some.describe('What the next session can be promised; null: not limited.'),
  over: z.string().nullable().describe('Why nothing more may be used, and what to do.'),
  resetsAt: z.int().nullable().describe('When its next period begins.'),
  approval: z.string().nullable().describe('The entry of the inbox that asks for more.'),
  setAt: z.int(),
  setBy: z.string(),
});
export type Budget = z.output<typeof budget>;

const span = z.string().describe('The period it happened in: total, 2026-11 or 2026-11-21.');

/** The stream of each is the budget’s id. */
export const budgetEvents = {
  set: event('budget.set', () => z.strictObject({ ...owner, ...budgetTerms.shape })),
  removed: event('budget.removed', () => z.strictObject({})),
  /** It is used up, and the inbox asks for more. */
  asked: event('budget.asked', () => z.strictObject({ approval: z.string(), span })),
  /** As much again, until the period ends. */
  allowed: event('budget.allowed', () => z.strictObject({ approval: z.string(), span, ...amounts.shape })),
  refused: event('budget.refused', () => z.strictObject({ approval: z.string(), span })),
};

const id = z.string().min(1).max(80).describe('The budget: its id or a unique beginning of it.');
const project = z.string().min(1).max(1_000);
const absent = 'There is no such budget.';

export const budgetOps = {
  set: operation({
    name: 'budget.set',
    summary: 'Sets what a project, an agent or the whole fleet may use, or changes a budget that is there.',
    detail:
      'Without project, agent and budget it is the fleet’s. A subject has one budget a period. What is left out stays as it is; ' +
      'null takes a limit away. What waits for money goes on at once. What was used before counts.',
    effect: 'write',
    scope: 'budget:write',
    input: () =>
      z.strictObject({
        budget: id.optional().describe('One that is there, also of a run, of an agent of a plan, or of a task.'),
        project: project.optional().describe('For all that is done for this project.'),
        agent: z.string().min(1).max(120).optional().describe('For all sessions of this agent of the roster.'),
        usd: usd.nullable().optional(),
        tokens: tokens.nullable().optional(),
        period: period.optional(),
        atLimit: atLimit.optional(),
        share: share.nullable().optional(),
      }),
    output: () => budget,
    route: 'POST /budgets',
    refusals: {
      invalid: 'Neither money nor tokens are limited, or two subjects are named.',
      not_found: 'There is no such project, agent or budget.',
    },
  }),
  get: operation({
    name: 'budget.get',
    summary: 'Shows a budget: what is used, promised and left.',
    effect: 'read',
    scope: 'budget:read',
    input: () => z.strictObject({ budget: id }),
    output: () => budget,
    route: 'GET /budgets/:budget',
    positional: ['budget'],
    refusals: { not_found: absent },
  }),
  list: operation({
    name: 'budget.list',
    summary:
      'Lists budgets with what is used, promised and left: those of the fleet, projects and agents, or of a run.',
    effect: 'read',
    scope: 'budget:read',
    input: () =>
      z.strictObject({
        project: project.optional().describe('Only of this project.'),
        run: z.string().min(1).max(120).optional().describe('Those of this run, its agents and its tasks (whole id).'),
        all: z.boolean().default(false).describe('Also those of runs, agents of plans and tasks.'),
        limit: z.int().min(1).max(1_000).default(100),
      }),
    output: () => z.strictObject({ budgets: z.array(budget) }),
    route: 'GET /budgets',
  }),
  remove: operation({
    name: 'budget.remove',
    summary: 'Takes a budget away: what it bounded is bounded by the others only.',
    effect: 'write',
    scope: 'budget:write',
    input: () => z.strictObject({ budget: id }),
    output: () => budget,
    route: 'DELETE /budgets/:budget',
    positional: ['budget'],
    refusals: { not_found: absent },
  }),
  record: operation({
    name: 'budget.record',
    summary: 'Records the budgets that a plan gives to its run, its agents and its tasks.',
    effect: 'write',
    scope: 'budget:write',
    input: () => z.strictObject({ budgets: z.array(z.strictObject({ ...owner, ...budgetTerms.shape })) }),
    output: () => z.strictObject({}),
    route: 'POST /budgets/record',
    internal: true,
  }),
  ask: operation({
    name: 'budget.ask',
    summary: 'Puts a budget that is used up, and says ask, into the inbox; asked already, it changes nothing.',
    effect: 'write',
    scope: 'budget:write',
    input: () => z.strictObject({ budget: id }),
    output: () => budget,
    route: 'POST /budgets/ask',
    internal: true,
  }),
  keep: operation({
    name: 'budget.keep',
    summary: 'Stops a session whose budgets are used up, or its promise, and asks for more where they say so.',
    effect: 'write',
    scope: 'budget:write',
    input: () => z.strictObject({ agent: z.string(), generation: z.int() }),
    output: () => z.strictObject({ over: z.boolean() }),
    route: 'POST /budgets/keep',
    internal: true,
  }),
  answer: operation({
    name: 'budget.answer',
    summary: 'Takes up what was answered in the inbox.',
    effect: 'write',
    scope: 'budget:write',
    input: () => z.strictObject({ approval: z.string() }),
    output: () => z.strictObject({}),
    route: 'POST /budgets/answer',
    internal: true,
  }),
} as const;

/** How the reason begins for which a session is stopped whose budget is used up. */
export const stopReason = 'budget: ';

/** The stem of the subject of an entry that asks for more. */
export const askSubject = 'budget:';

/** Who pays for a session, as it stands in its record: `run:run_…`, `fleet:`. */
export function payer(kind: BudgetKind, subject = ''): string {
  return `${kind}:${subject}`;
}
