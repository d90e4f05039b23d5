import * as z from 'zod';
import { durationSchema, timeoutSchema } from './duration.ts';

/** Tells a field that is missing from one that holds the wrong thing. */
const missingOr = (missing: string, wrong: string) => ({
  error: (issue: { readonly input: unknown }) => (issue.input === undefined ? missing : wrong),
});

/** A value that can stand in an environment variable or in a prompt. */
const scalarSchema = z.union([z.string(), z.number(), z.boolean()], {
  error: 'Write a text, a number, true or false here (an empty text is "").',
});

const idSchema = z
  .string(
    missingOr(
      'A task needs an id. Add one such as "rename-files".',
      'An id is a text. Put it in quotes, or write a word.',
    ),
  )
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,39}$/,
    'An id has up to 40 small letters, digits, "-" and "_", and begins with a letter or digit. Write it such as "rename-files".',
  );

// Lower case only: `count` becomes MAOS_INPUT_COUNT, and two names must never become the same variable.
const valueNameSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9_]{0,39}$/,
    'A name of an input or output has up to 40 small letters, digits and "_", and begins with a letter. Write it such as "file_count".',
  );

const variableSchema = z
  .string({ error: 'Write the name of a variable, such as "LOG_LEVEL".' })
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    'A variable has letters, digits and "_", and begins with a letter or "_". Write it such as "LOG_LEVEL".',
  );

/** A variable whose value is not in the plan. */
const passedSchema = z
  .strictObject({ from: variableSchema.describe('The variable’s name in the environment of the MAOS server.') })
  .describe(
    'The value is read when the program is started, and kept nowhere. Only for callers that are bound to no team and may set secrets.',
  );

/** A variable whose value is a secret of MAOS. */
const secretSchema = z
  .strictObject({ secret: z.string().min(1).max(100).describe('The secret’s name (maos secret set NAME).') })
  .describe('The value is opened when the program is started, and hidden in what is shown of it.');

const envSchema = z
  .record(
    variableSchema.regex(/^(?!MAOS_)/, 'Variables that begin with MAOS_ are set by MAOS. Choose another name.'),
    z.union([z.string(), z.number(), z.boolean(), passedSchema, secretSchema], {
      error:
        'Write a text, a number, true or false here (an empty text is ""), {secret: NAME}, or {from: NAME_ON_THE_SERVER}.',
    }),
  )
  .describe(
    'Environment variables: NAME: value, NAME: {secret: NAME}, or NAME: {from: NAME_ON_THE_SERVER}. Only values are kept in the log.',
  );
/** Environment variables as a plan gives them. */
export type PlanEnv = z.infer<typeof envSchema>;

const shellLineSchema = z
  .string({ error: 'Write one shell line as text, such as "npm test".' })
  .min(1, 'This shell line is empty. Write a command, such as "npm test".');

const argvSchema = z
  .array(scalarSchema)
  .min(1, 'This command is empty. Write the program and its arguments, such as [npm, test].');

const checksSchema = z
  .array(shellLineSchema, { error: 'Checks are a list of shell lines. Write checks: ["npm test"].' })
  .describe('Shell lines that must all pass on the exact commit before the task counts as done.');

const retriesSchema = z
  .union(
    [
      z
        .int('Retries are a whole number.')
        .min(0, 'Retries cannot be negative.')
        .max(100, 'More than 100 retries are refused.'),
      z.strictObject({
        max: z
          .int('max is a whole number.')
          .min(0, 'max cannot be negative.')
          .max(100, 'More than 100 retries are refused.')
          .describe('How many further attempts after the first.'),
        backoff: durationSchema.optional().describe('Wait before the first retry. Default: 1s.'),
        factor: z
          .number()
          .min(1, 'factor is at least 1.')
          .max(100, 'factor is at most 100.')
          .optional()
          .describe('Each further wait is this many times the last. Default: 2.'),
        maxBackoff: durationSchema.optional().describe('The longest wait. Default: 1m.'),
      }),
    ],
    { error: 'Write retries as a number (retries: 2) or as {max: 2, backoff: 1s, factor: 2, maxBackoff: 1m}.' },
  )
  .describe('Further attempts after a failure. Default: 0.');

const onConflictSchema = z
  .union(
    [
      z.literal('return'),
      z.literal('wait'),
      z.strictObject({
        command: shellLineSchema.describe('Run in the worktree with the conflict in place; exit 0 means resolved.'),
      }),
    ],
    {
      error: 'Write onConflict: return, onConflict: wait, or onConflict: {command: "…"}.',
    },
  )
  .describe(
    "What to do when the result does not merge. return (default): give it back to the task's agent, or wait for a person when its runtime cannot. wait: wait for a person. {command}: run a command.",
  );

const prioritySchema = z
  .int('A priority is a whole number from 0 to 100.')
  .min(0, 'A priority is a whole number from 0 to 100.')
  .max(100, 'A priority is a whole number from 0 to 100.')
  .describe('0 to 100; higher starts first. Default: 50.');

const runtimeSchema = z
  .string({ error: 'Write the name of a runtime, such as claude.' })
  .describe('The program that works: command, claude or fake. Default: command for a command, claude for a prompt.');
const modelSchema = z
  .string({ error: 'Write the name of a model as text.' })
  .min(1, 'This model has no name. Write one or leave the field out.')
  .describe('The model that the agent uses.');
const agentNameSchema = z
  .string({ error: 'Write the name of an entry of "agents".' })
  .describe('The name of an entry of "agents".');
const usdSchema = z.number('Write an amount in US dollars, such as 2.50.').positive('Write an amount above 0.');

const tokensSchema = z.int('tokens is a whole number.').positive('Write a number above 0.');

const budgetSchema = z
  .strictObject(
    {
      usd: usdSchema.optional().describe('Money, in US dollars.'),
      tokens: tokensSchema.optional().describe('Tokens: input, output and cache.'),
      period: z
        .enum(['total', 'day', 'month'], { error: 'Write period: total, period: day or period: month.' })
        .optional()
        .describe('total (default): once and for all. day, month: anew each day or month (UTC).'),
      atLimit: z
        .enum(['stop', 'ask'], { error: 'Write atLimit: stop or atLimit: ask.' })
        .optional()
        .describe('stop (default): nothing more is started until somebody raises it. ask: the inbox asks a person.'),
      share: usdSchema
        .optional()
        .describe('What a session is promised whose agent has no limit. Default: all that is left.'),
    },
    { error: 'Write a budget as a mapping, such as {usd: 5} or {tokens: 2000000}.' },
  )
  .refine(
    ({ usd, tokens }) => usd !== undefined || tokens !== undefined,
    'A budget needs a limit. Add usd: or tokens:.',
  );
/** A budget as a plan gives it. */
export type PlanBudget = z.infer<typeof budgetSchema>;

/** One element of a `forEach` list. */
export const itemSchema = z.union([scalarSchema, z.record(z.string(), scalarSchema)], {
  error: 'An item is a text, a number, true, false, or a mapping of names to these.',
});
export type Item = z.infer<typeof itemSchema>;

const forEachSchema = z
  .union([z.array(itemSchema), z.string()], {
    error: 'Write forEach as a list ([a, b]) or as one reference ("${{ tasks.scan.outputs.files }}").',
  })
  .describe(
    'Makes one task for every item: a list, or one reference to a run input or to an output that holds a JSON array or lines.',
  );

const taskSchema = z
  .strictObject(
    {
      id: idSchema.describe("The task's name in this plan."),
      title: z
        .string({ error: 'Write the title as text.' })
        .min(1, 'The title is empty. Write one or leave it out.')
        .optional()
        .describe('A line for people. Default: the id.'),
      prompt: z
        .string({ error: 'Write the prompt as text (prompt: | begins a longer one).' })
        .min(1, 'The prompt is empty. Say what to do.')
        .optional()
        .describe('What the agent is asked to do. Exactly one of prompt and command.'),
      command: z
        .union([shellLineSchema, argvSchema], {
          error: 'Write command as one shell line ("npm run build") or as a list ([npm, run, build]).',
        })
        .optional()
        .describe('A shell line, or a program with its arguments. Exactly one of prompt and command.'),
      needs: z
        .array(z.string({ error: 'Write the id of a task.' }), {
          error: 'needs is a list of task ids. Write needs: [a, b].',
        })
        .optional()
        .describe('Tasks that must be done before this one starts.'),
      agent: agentNameSchema.optional(),
      runtime: runtimeSchema.optional(),
      model: modelSchema.optional(),
      checks: checksSchema.optional(),
      retries: retriesSchema.optional(),
      timeout: timeoutSchema
        .optional()
        .describe("The longest time for one attempt. Default: the agent's limit, else 1h."),
      expects: z
        .array(
          z
            .string({ error: 'Write a path pattern as text, such as "src/**".' })
            .min(1, 'This pattern is empty. Write one such as "src/**".'),
          { error: 'expects is a list of path patterns. Write expects: ["src/**"].' },
        )
        .optional()
        .describe(
          'Files that the task may change, as patterns (src/**). A change outside is a failed check; [] means it may change nothing.',
        ),
      allowEmpty: z
        .boolean('Write allowEmpty: true or allowEmpty: false.')
        .optional()
        .describe('Whether it succeeds without any change. Default: true for a command, false for a prompt.'),
      outputs: z
        .array(valueNameSchema, { error: 'outputs is a list of names. Write outputs: [count].' })
        .optional()
        .describe(
          'Values the task hands on. It writes lines name=value, or one JSON object, to the file that $MAOS_OUTPUT names.',
        ),
      inputs: z
        .record(valueNameSchema, scalarSchema)
        .optional()
        .describe(
          'Values the task is given: in the environment as MAOS_INPUT_<NAME>, and in its texts as ${{ inputs.<name> }}.',
        ),
      forEach: forEachSchema.optional(),
      priority: prioritySchema.optional(),
      workspace: z
        .string({ error: 'Write own, or the name of a shared workspace.' })
        .regex(
          /^[a-z0-9][a-z0-9-]{0,39}$/,
          'A workspace name has up to 40 small letters, digits and "-". Write own, or a name such as "shared-build".',
        )
        .optional()
        .describe(
          'own (default): a workspace of its own. A name: tasks with the same name work in one workspace, one after another.',
        ),
      onConflict: onConflictSchema.optional(),
      budget: budgetSchema.optional().describe('The most that all attempts at this task may use together.'),
      env: envSchema.optional(),
    },
    { error: 'A task is a mapping. Write - id: … with prompt: or command: under it.' },
  )
  .meta({ description: 'One unit of work.', oneOf: [{ required: ['prompt'] }, { required: ['command'] }] });

const agentSchema = z
  .strictObject({
    runtime: runtimeSchema.optional(),
    model: modelSchema.optional(),
    args: z.array(scalarSchema).optional().describe("Further arguments for the agent's program."),
    options: z
      .record(z.string(), z.unknown(), {
        error: 'Write options as a mapping, such as {allowedTools: ["Bash(npm test:*)"]}.',
      })
      .optional()
      .describe('Settings of the runtime, such as permissions and tools; docs/runtimes.md lists them.'),
    env: envSchema.optional(),
    limits: z
      .strictObject({
        timeout: timeoutSchema.optional().describe('The longest time for one attempt of any task of this agent.'),
        usd: usdSchema.optional().describe('The most that one attempt may cost.'),
        tokens: tokensSchema.optional().describe('The most tokens that one attempt may use.'),
      })
      .optional(),
    budget: budgetSchema.optional().describe('The most that all tasks of this agent may use together in a run.'),
  })
  .describe('A named agent configuration.');

const inputSchema = z
  .strictObject(
    {
      default: scalarSchema
        .optional()
        .describe('Used when the run does not give the input. Without it the input must be given.'),
      description: z.string().optional(),
    },
    { error: 'An input is a mapping. Write {default: …, description: …}, or {} when it must be given.' },
  )
  .describe('A value given to the run with --input name=value.');

const defaultsSchema = z
  .strictObject({
    agent: agentNameSchema.optional(),
    runtime: runtimeSchema.optional(),
    model: modelSchema.optional(),
    checks: checksSchema.optional(),
    retries: retriesSchema.optional(),
    timeout: timeoutSchema.optional(),
    priority: prioritySchema.optional(),
    onConflict: onConflictSchema.optional(),
    env: envSchema.optional(),
  })
  .describe('Used by every task that does not say otherwise. agent, runtime and model apply to tasks with a prompt.');

const repositorySchema = z
  .strictObject({
    path: z
      .string({ error: 'Say which folder holds the repository. Add path: ./folder (relative to the plan file).' })
      .min(1, 'The path is empty. Write a folder, relative to the plan file.')
      .describe("The repository's folder, relative to the plan file."),
    template: z
      .string()
      .min(1, 'The template is empty. Write a folder, relative to the plan file, or leave it out.')
      .optional()
      .describe('If path does not exist, it is made from this folder, committed as the first commit.'),
  })
  .describe('The repository to work on. Default: the git repository of the current folder.');

/** The shape of a plan file. What a shape cannot say (graph, names, references) is checked by `parsePlan`. */
export const planSchema = z
  .strictObject(
    {
      name: z
        .string(
          missingOr('A plan needs a name. Add name: such as "quickstart".', 'The name is a text. Put it in quotes.'),
        )
        .regex(
          /^[a-z0-9][a-z0-9-]{0,39}$/,
          'A plan name has up to 40 small letters, digits and "-", and begins with a letter or digit. Write it such as "quickstart".',
        )
        .describe("The plan's name."),
      description: z.string({ error: 'Write the description as text.' }).optional(),
      repository: repositorySchema.optional(),
      base: z
        .string({ error: 'Write a branch, tag or commit as text (put quotes around digits).' })
        .regex(/^[^\s-][^\s]*$/, 'A base is a branch, tag or commit: no spaces, no "-" in front.')
        .optional()
        .describe('Branch, tag or commit to start from. Default: HEAD.'),
      inputs: z.record(valueNameSchema, inputSchema).optional(),
      defaults: defaultsSchema.optional(),
      concurrency: z
        .int('concurrency is a whole number.')
        .min(1, 'At least one task must be able to run. Write concurrency: 1 or more.')
        .max(1000, 'concurrency is at most 1000.')
        .optional()
        .describe('How many tasks run at the same time. Default: 4.'),
      budget: budgetSchema.optional().describe('The most that the whole run may use.'),
      agents: z
        .record(
          z
            .string()
            .regex(
              /^[a-z0-9][a-z0-9-]{0,39}$/,
              'An agent name has up to 40 small letters, digits and "-". Write it such as "coder".',
            ),
          agentSchema,
        )
        .optional(),
      tasks: z
        .array(
          taskSchema,
          missingOr(
            'A plan needs tasks. Add tasks: with at least one "- id: …" under it.',
            'tasks is a list. Write each task as "- id: …" under tasks:.',
          ),
        )
        .min(1, 'A plan needs at least one task. Add - id: … under tasks:.'),
    },
    { error: 'A plan is a mapping. Begin with name: … and tasks: ….' },
  )
  .describe('A MAOS plan: tasks, what they need, and how they are run and checked.');

/** A plan file that `parsePlan` has accepted. Plain JSON. */
export type Plan = z.infer<typeof planSchema>;
/** One entry of a plan's `tasks`. */
export type PlanTask = z.infer<typeof taskSchema>;

/** How many tasks run at the same time when the plan does not say. */
export const defaultConcurrency = 4;
