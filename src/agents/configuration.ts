import * as z from 'zod';

/** The name of an agent. */
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._/-]{0,119}$/, 'Use lower-case letters, digits, dot, dash, underscore and slash.')
  .describe('A name that no other agent has.');

const timeoutMs = z
  .int()
  .min(100)
  .max(7 * 24 * 3_600_000)
  .describe('Wall time of one session.');
export const budgetUsd = z.number().positive().describe('Money that one session may use.');
const budgetTokens = z.int().positive().describe('Tokens that one session may use.');

/** Bounds of one agent. */
const agentLimits = z.strictObject({
  timeoutMs: timeoutMs.default(3_600_000),
  budgetUsd: budgetUsd.optional(),
  budgetTokens: budgetTokens.optional(),
});

/** What can be set about an agent; without defaults, so that an update changes what it names and nothing else. */
export const settings = {
  runtime: z.string().min(1).max(40).describe('The program it runs: command, claude, fake.'),
  model: z.string().max(120).nullable(),
  role: z.enum(['coordinator', 'worker', 'monitor', 'notifier', 'merger']),
  capabilities: z.array(z.string().min(1).max(60)).max(50).describe('What it is good at.'),
  maxConcurrentTasks: z.int().min(1).max(100),
  env: z.record(z.string(), z.string()).describe('Environment variables of its process.'),
  args: z.array(z.string()).max(50).describe('Further arguments for its program.'),
  options: z.record(z.string(), z.unknown()).describe('Settings of its runtime: permissions, tools.'),
  team: z.string().max(60).nullable(),
  project: z.string().max(80).nullable(),
};

/** How an agent is run. The same fields everywhere: plan file, API, roster. */
export const configuration = {
  runtime: settings.runtime,
  model: settings.model.default(null),
  role: settings.role.default('worker'),
  capabilities: settings.capabilities.default([]),
  maxConcurrentTasks: settings.maxConcurrentTasks.default(1),
  limits: agentLimits.prefault({}),
  env: settings.env.default({}),
  args: settings.args.default([]),
  options: settings.options.default({}),
  team: settings.team.default(null),
  project: settings.project.default(null),
};
/** What an update may change. */
export const changes = {
  name,
  ...settings,
  limits: z
    .strictObject({ timeoutMs, budgetUsd: budgetUsd.nullable(), budgetTokens: budgetTokens.nullable() })
    .partial()
    .describe('null: no bound.'),
};
const shape = z.strictObject(configuration);
export type AgentConfiguration = z.output<typeof shape>;
