import * as z from 'zod';
import { once } from '../kernel/once.ts';
import { passedVariable } from '../agents/contract.ts';
import { budgetTerms } from '../budgets/contract.ts';
import { itemSchema } from './plan.ts';

const text = z.record(z.string(), z.string());

/** Where the values of a task's references come from. Only what its texts name is here, so nothing else changes its key. */
const valuesSchema = z.strictObject({
  inputs: text.describe("The run's inputs that the task names."),
  item: itemSchema.nullable().describe('The element of forEach that this task was made for.'),
  tasks: z
    .record(z.string(), z.strictObject({ fan: z.boolean(), ids: z.array(z.string()) }))
    .describe(
      'Tasks that the texts name, by the id in the plan; a fanned-out one has all its instances, and its values become a JSON array.',
    ),
});

/** What a task does about a conflict; a command is an argv. */
const conflictSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('return') }),
  z.strictObject({ kind: z.literal('wait') }),
  z.strictObject({ kind: z.literal('command'), command: z.array(z.string()) }),
]);

/** A task ready for the queue: defaults applied, fan-out done, plain JSON. Texts still hold references; `fillTask` fills them. */
export const plannedTaskSchema = once(() =>
  z.strictObject({
    id: z.string(),
    title: z.string(),
    prompt: z.string().nullable().describe('Template; null for a command.'),
    command: z
      .array(z.string())
      .nullable()
      .describe('Template of an argv; a shell line is ["sh", "-c", line]; null for a prompt.'),
    needs: z.array(z.string()),
    runtime: z.string(),
    agent: z.strictObject({
      name: z.string().nullable(),
      model: z.string().nullable(),
      args: z.array(z.string()).describe('Already filled: they may name inputs of the run only.'),
      options: z.record(z.string(), z.unknown()).default({}).describe('Settings of its runtime.'),
      env: text.describe('Templates: defaults, agent and task together.'),
      passEnv: z
        .record(z.string(), passedVariable)
        .default({})
        .describe('Variables whose values stay outside of the log: names in the server’s environment, and secrets.'),
      limits: z.strictObject({ usd: z.number().nullable(), tokens: z.int().nullable().default(null) }),
    }),
    checks: z.array(z.string()).describe('Templates of shell lines.'),
    retries: z.strictObject({ max: z.int(), backoffMs: z.number(), factor: z.number(), maxBackoffMs: z.number() }),
    timeoutMs: z.number(),
    expects: z.array(z.string()).nullable().describe('Patterns of files that may change; null: any.'),
    allowEmpty: z.boolean(),
    outputs: z.array(z.string()),
    inputs: text.describe("Templates of the task's own inputs."),
    priority: z.int(),
    budget: budgetTerms.nullable().default(null).describe('For all attempts at it together.'),
    workspace: z.string().nullable().describe('Name of a shared workspace; null: one of its own.'),
    onConflict: conflictSchema,
    forEach: z
      .strictObject({ task: z.string(), output: z.string() })
      .nullable()
      .describe(
        'Set on a task that only stands for its instances until that output is known: never start it, call expandDynamic.',
      ),
    fan: z
      .strictObject({ of: z.string(), index: z.int() })
      .nullable()
      .describe('Set on an instance: which task of the plan it was made from.'),
    values: valuesSchema,
  }),
);
export type PlannedTask = z.infer<ReturnType<typeof plannedTaskSchema>>;

/** Whether an agent carries it out; commands, and what only stands for a list, use no money. */
export function usesMoney(task: PlannedTask): boolean {
  return task.prompt !== null && task.forEach === null;
}
