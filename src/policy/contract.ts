import * as z from 'zod';
import { once } from '../kernel/once.ts';
import type { Actor } from '../kernel/actor.ts';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';

/** How bad it is when it goes wrong. `low` needs nobody, `critical` a quorum of agents and a person. */
export const risks = ['low', 'medium', 'high', 'critical'] as const;
export type Risk = (typeof risks)[number];

/** What a rule decides. At the same priority the later of these overrides the earlier. */
export const effects = ['allow', 'ask', 'block'] as const;
export type Effect = (typeof effects)[number];

export const actionKinds = ['operation', 'bash', 'file', 'api', 'database', 'deployment'] as const;
export type ActionKind = (typeof actionKinds)[number];

const accesses = ['read', 'write', 'delete'] as const;
export type Access = (typeof accesses)[number];

/** Something that somebody is about to do, as the place that was asked for it knows it. */
export interface Action {
  readonly kind: ActionKind;
  /** The program and its arguments, when no shell is between. */
  readonly argv?: readonly string[];
  /** A line for a shell. For `database`: the statement. */
  readonly command?: string;
  readonly path?: string;
  readonly access?: Access;
  readonly host?: string;
  readonly method?: string;
  /** The agent's tool, by the name its program gives it: `Bash`, `Write`, `mcp__github__merge`. */
  readonly tool?: string;
  /** An operation of MAOS: `run.merge`. */
  readonly operation?: string;
  /** Variables of which the value is known; others are unknown in what is decided. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where a relative path begins. */
  readonly cwd?: string;
  /** The top folder of the agent's workspace. */
  readonly workspace?: string;
  readonly actor: Actor;
  readonly role?: string;
  readonly team?: string;
  /** Milliseconds. */
  readonly at: number;
}

/** What a rule, or the lack of one (`rule: null`), says about an action. */
export interface Decision {
  readonly effect: Effect;
  readonly risk: Risk;
  /** The id of the rule that decided; null: none matched. */
  readonly rule: string | null;
  readonly reason: string;
}

const text = z.string().min(1).max(1_000);
const several = <Schema extends z.ZodType>(schema: Schema) => z.union([schema, z.array(schema).min(1).max(200)]);
const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const commandMatch = once(() =>
  z
    .strictObject({
      program: several(text).optional().describe('The program’s name without its folder; * stands for any letters.'),
      subcommand: several(text)
        .optional()
        .describe('The first words after the program that are no options: "push", "remote add".'),
      flags: z
        .array(text)
        .min(1)
        .max(50)
        .optional()
        .describe('Options that are all there; "f|force" is either -f or --force, "!dry-run" one that is not there.'),
      args: several(text)
        .optional()
        .describe('Arguments, options included; * stands for any letters. One of a list is enough.'),
      env: several(text)
        .optional()
        .describe(
          'A variable that is set before the program, or by it: NAME or NAME=value, with *; !NAME=value leaves one out.',
        ),
      inputs: several(text)
        .optional()
        .describe('A program whose output it gets, through a pipe or inside its arguments.'),
      via: several(text).optional().describe('What started it: sudo, "bash -c", xargs, "$(…)".'),
      opaque: z.boolean().optional().describe('Nobody can know what it runs before it runs.'),
      suspicious: z.boolean().optional().describe('Characters in the text hide what it says.'),
      recursive: z.boolean().optional().describe('A function of the shell that calls itself.'),
    })
    .describe('A program that the shell text or argv would run. All fields that are given must hold.'),
);

const pathMatch = z
  .strictObject({
    glob: several(text)
      .optional()
      .describe('** any folders, * any letters, ~ the home folder, ${WORKSPACE} and ${MAOS_HOME}.'),
    except: several(text).optional().describe('Paths that are left out.'),
    outside: z.literal('workspace').optional().describe('Not in the workspace, or nobody knows where.'),
    inside: z.literal('workspace').optional(),
    access: several(z.enum(accesses)).optional().describe('What is done to it. Default: anything.'),
  })
  .describe('A file that is named by the action: in an argument, a redirection, or by itself.');

const timeMatch = z
  .strictObject({
    days: z.array(z.enum(days)).min(1).optional(),
    hours: z
      .string()
      .regex(/^(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d$/, 'Write it as 22:00-06:00.')
      .optional(),
    zone: z.string().max(100).default('UTC').describe('Europe/Berlin. Default: UTC.'),
  })
  .describe('When. 22:00-06:00 goes over midnight, and belongs to the day on which it began.');

/** What a rule looks for. Every field that is given must hold; of a list, one entry is enough. */
const ruleMatch = once(() =>
  z.strictObject({
    kind: several(z.enum(actionKinds)).optional(),
    command: commandMatch().optional(),
    text: z.string().min(1).max(500).optional().describe('A regular expression (RE2) on the text of the command.'),
    contains: several(text)
      .optional()
      .describe(
        'Words that stand in the text of the command or statement, in small or capital letters; * any letters.',
      ),
    path: pathMatch.optional(),
    host: several(text)
      .optional()
      .describe('*.example.com is every name below example.com; !localhost leaves one out.'),
    method: several(text).optional(),
    tool: several(text).optional().describe('The agent’s tool; mcp__github__* is all of a server’s.'),
    operation: several(text).optional().describe('An operation of MAOS: run.merge, task.*'),
    actor: several(text).optional().describe('agent:ag_…, user:*'),
    role: several(text).optional(),
    team: several(text).optional(),
    time: timeMatch.optional(),
  }),
);

const ruleId = z
  .string()
  .max(80)
  .regex(/^[a-z0-9][a-z0-9.-]*$/, 'Small letters, digits, dots and dashes; it begins with a letter or a digit.');

/** One rule, as it stands in a file. */
export const policyRule = once(() =>
  z.strictObject({
    id: ruleId,
    match: ruleMatch().describe('What it is about. Empty: everything.'),
    when: z
      .string()
      .min(1)
      .max(4_000)
      .optional()
      .describe('A condition in Cedar, over principal, action, resource, context.'),
    decision: z.enum(effects),
    risk: z.enum(risks).optional().describe('Default: low for allow, medium for ask, high for block.'),
    reason: z.string().min(1).max(500).optional().describe('Told to whoever is asked or blocked.'),
    quorum: z.int().min(1).max(100).optional().describe('How many agents must agree, beside a person.'),
    answerWithin: z
      .string()
      .regex(/^[1-9]\d{0,3}[mhd]$/, 'Write it as 30m, 24h or 7d.')
      .optional()
      .describe('How long a request for approval stays open.'),
    expires: z.iso.datetime({ offset: true }).optional().describe('From then on the rule does nothing.'),
    priority: z.int().min(-1_000).max(1_000).optional().describe('Higher ones are asked first. Default: 0.'),
  }),
);
export type PolicyRule = z.output<ReturnType<typeof policyRule>>;

const actorText = z.string().regex(/^(?:user|agent|system):.{1,200}$/, 'Write it as agent:NAME or user:NAME.');

/** An action as a person describes it. */
const actionFields = once(
  () =>
    ({
      kind: z.enum(actionKinds).optional().describe('Default: what the other fields make of it.'),
      command: z.string().max(300_000).optional().describe('A line for a shell; for a database, the statement.'),
      path: text.optional(),
      access: z.enum(accesses).optional(),
      host: text.optional(),
      method: text.optional(),
      tool: text.optional(),
      operation: text.optional(),
      cwd: text.optional(),
      workspace: text.optional().describe('The agent’s top folder. Default: the repository of cwd.'),
      actor: actorText.optional().describe('Default: whoever asks.'),
      role: text.optional(),
      team: text.optional(),
      at: z.iso.datetime({ offset: true }).optional().describe('Default: now.'),
    }) as const,
);

/** A test of rules: an action, and what they must say about it. */
export const policyTest = z.strictObject({
  ...actionFields(),
  name: text.optional(),
  argv: z.array(z.string()).min(1).max(1_000).optional(),
  expect: z.enum(effects),
  risk: z.enum(risks).optional(),
  rule: ruleId.optional().describe('The rule that must decide.'),
});
export type PolicyTest = z.output<typeof policyTest>;

/** A policy file. */
export const policyFile = once(() =>
  z.strictObject({
    default: z.enum(effects).optional().describe('What holds when no rule matches. Default: allow.'),
    disable: z.array(ruleId).max(500).optional().describe('Rules that came with MAOS and are not wanted.'),
    rules: z.array(policyRule()).max(2_000).default([]),
    tests: z.array(policyTest).max(5_000).default([]),
  }),
);
export type PolicyFile = z.output<ReturnType<typeof policyFile>>;

/** Where a rule comes from; `repository` can only make things stricter. */
const layers = ['shipped', 'home', 'api', 'repository'] as const;
export type Layer = (typeof layers)[number];

const decision = {
  effect: z.enum(effects),
  risk: z.enum(risks),
  rule: z.string().nullable().describe('The rule that decided; null: none matched.'),
  reason: z.string(),
} as const;

const seenCommand = once(() =>
  z.strictObject({
    program: z.string().nullable().describe('null: nobody can know it before it runs.'),
    argv: z.array(z.string()),
    via: z.array(z.string()).describe('What starts it, from the outside in.'),
    inputs: z.array(z.string()).describe('Programs whose output it gets.'),
    paths: z.array(z.strictObject({ path: z.string().nullable(), access: z.enum(accesses) })),
    opaque: z.string().nullable(),
    ...decision,
  }),
);

/** The stream of each is `policy`. */
export const policyEvents = {
  changed: event('policy.changed', () => z.strictObject({ set: z.array(policyRule()), removed: z.array(z.string()) })),
};

const change = z.strictObject({
  rules: z.array(policyRule()).max(500).default([]).describe('Each replaces the one with its id that was set before.'),
  remove: z.array(ruleId).max(500).default([]).describe('Rules set here before that are taken back.'),
});

/** What can be done with rules. */
export const policyOps = {
  get: operation({
    name: 'policy.get',
    summary: 'Shows the rules that hold, the strongest first, and where each comes from.',
    effect: 'read',
    scope: 'policy:read',
    input: () =>
      z.strictObject({
        cwd: text.optional().describe('A repository whose own rules are shown as well.'),
        layer: z.enum(layers).optional(),
      }),
    output: () =>
      z.strictObject({
        default: z.enum(effects),
        rules: z.array(z.strictObject({ layer: z.enum(layers), ...policyRule().shape })),
      }),
    route: 'GET /policy',
  }),
  set: operation({
    name: 'policy.set',
    summary:
      'Sets or takes back rules; they stand beside those of the home folder’s policy.yaml and replace those with the same id.',
    effect: 'write',
    scope: 'policy:write',
    input: () => change,
    output: () => z.strictObject({ set: z.array(z.string()), removed: z.array(z.string()) }),
    route: 'POST /policy',
    refusals: { invalid: 'A rule cannot be read; each issue names the field.' },
  }),
  record: operation({
    name: 'policy.record',
    summary: 'Records rules that were read without a mistake.',
    effect: 'write',
    scope: 'policy:write',
    input: () => change,
    output: () => z.strictObject({ set: z.array(z.string()), removed: z.array(z.string()) }),
    route: 'POST /policy/record',
    internal: true,
  }),
  check: operation({
    name: 'policy.check',
    summary: 'Tells what the rules say about a command or another action, without doing it.',
    detail:
      'maos policy check -- rm -rf build puts the words together as a line for a shell. Put a line with pipes and quotes in quotes.',
    effect: 'read',
    scope: 'policy:read',
    input: () =>
      z.strictObject({
        argv: z.array(z.string()).min(1).max(1_000).optional().describe('A program and its arguments.'),
        ...actionFields(),
      }),
    output: () =>
      z.strictObject({
        ...decision,
        suspicious: z.array(z.string()).describe('Characters that hide what is meant.'),
        commands: z.array(seenCommand()).describe('Every program that would run, and what is said about each.'),
      }),
    route: 'POST /policy/check',
    positional: ['command'],
    rest: true,
  }),
  test: operation({
    name: 'policy.test',
    summary: 'Runs the tests that came with the rules of MAOS, and those of a policy file against its own rules.',
    effect: 'read',
    scope: 'policy:read',
    input: () =>
      z.strictObject({
        file: text
          .optional()
          .describe('A policy file, absolute. Default: policy.yaml in the home folder, when there is one.'),
        content: z.string().max(1_000_000).optional().describe('The text of a policy file, instead of a file.'),
      }),
    output: () =>
      z.strictObject({
        passed: z.int(),
        failed: z.array(
          z.strictObject({ name: z.string(), expected: z.string(), got: z.string(), rule: z.string().nullable() }),
        ),
      }),
    route: 'POST /policy/test',
    positional: ['file'],
    refusals: { invalid: 'The file cannot be read as a policy; each issue has line and column.' },
  }),
  stats: operation({
    name: 'policy.stats',
    summary: 'Tells how often each rule decided since the server started.',
    effect: 'read',
    scope: 'policy:read',
    input: () => z.strictObject({}),
    output: () =>
      z.strictObject({
        since: z.int(),
        decisions: z.int(),
        effects: z.strictObject({ allow: z.int(), ask: z.int(), block: z.int() }),
        rules: z.array(z.strictObject({ rule: z.string().nullable(), count: z.int(), last: z.int() })),
      }),
    route: 'GET /policy/stats',
  }),
} as const;
