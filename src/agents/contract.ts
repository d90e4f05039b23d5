import * as z from 'zod';
import { once } from '../kernel/once.ts';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';
import { budgetUsd, changes, configuration, name, settings } from './configuration.ts';
import { usage } from './usage.ts';

const agentId = z.string().min(1).max(120).describe('The agent: its id, a unique beginning of it, or its name.');
const texts = z.array(z.string());

/**
 * How usage is summed, everywhere: SQL over a table with a row a session, its `cost` (null: no price was told), and its `tokens`.
 * An unknown price is never a zero: `unpriced` says that the sum is a lower bound.
 */
export const usageSums = {
  costUsd: 'coalesce(sum(cost), 0)',
  tokens: 'coalesce(sum(tokens), 0)',
  unpriced: 'coalesce(max(cost IS NULL AND tokens > 0), 0)',
} as const;

/** Where the value of a variable comes from that is not kept: a variable of the server, or a secret. */
export const passedVariable = z.union([z.string(), z.strictObject({ secret: z.string() })]);
type PassedVariables = Readonly<Record<string, z.output<typeof passedVariable>>>;

/** The names of the secrets among variables that are not kept. */
export function secretNames(passEnv: PassedVariables): string[] {
  return [...new Set(Object.values(passEnv).flatMap((from) => (typeof from === 'string' ? [] : [from.secret])))];
}

/** What one session of an agent is started with. */
export const sessionRequest = once(() =>
  z.strictObject({
    prompt: z.string().max(1_000_000).nullable().default(null),
    argv: z.array(z.string()).min(1).nullable().default(null).describe('A command, for the command runtime.'),
    cwd: z.string().describe('The folder it works in.'),
    env: z.record(z.string(), z.string()).default({}).describe('Added to the agent’s environment; kept in the log.'),
    passEnv: z
      .record(z.string(), passedVariable)
      .default({})
      .describe(
        'Variables whose values are found when the process is started, and not kept: {TOKEN: NAME_THERE} from the server’s environment, {TOKEN: {secret: NAME}} from its secrets.',
      ),
    options: settings.options.default({}).describe('Settings of its runtime, over those of the agent.'),
    resume: z.boolean().default(false).describe('Continue the agent’s last conversation, where the runtime can.'),
    task: z.string().nullable().default(null),
    workspace: z.string().nullable().default(null),
    timeoutMs: z.int().nullable().default(null),
    budgetUsd: budgetUsd.nullable().default(null).describe('The most money that it may be promised.'),
    resultSchema: z.unknown().optional(),
  }),
);
export type SessionRequest = z.output<ReturnType<typeof sessionRequest>>;

/** What a session is promised of its budgets: it is stopped when it has used that up. */
export const promised = z.strictObject({
  usd: z.number().nullable().describe('null: nothing bounds it.'),
  tokens: z.int().nullable(),
  payers: texts.describe('Whose budgets it is charged to: run:run_…, fleet:'),
});
export type Promised = z.output<typeof promised>;

/** What a session amounts to; see `Outcome` in `runtime.ts`. */
export const outcome = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('succeeded'), result: z.string(), structured: z.unknown() }),
  z.strictObject({
    kind: z.literal('failed'),
    reason: z.string(),
    message: z.string(),
    retry: z.boolean(),
    retryAt: z.int().nullable(),
  }),
]);

/** idle: can be started. starting, running, paused, stopping: has a session. removed: only its history remains. */
export const agentState = z.enum(['idle', 'starting', 'running', 'paused', 'stopping', 'removed']);
export type AgentState = z.output<typeof agentState>;

/** One process of an agent. Its number is the agent's generation: an older generation can no longer report. */
export const session = once(() =>
  z.strictObject({
    agent: z.string(),
    generation: z.int(),
    state: z.enum(['starting', 'running', 'ended']),
    request: sessionRequest(),
    promised: promised.nullable().describe('null: it uses neither money nor tokens.'),
    folder: z.string().describe('Where its output is kept.'),
    pid: z.int().nullable(),
    startTime: z.string().nullable(),
    providerSession: z.string().nullable(),
    offset: z.int().describe('Bytes of its output that were read.'),
    lastAction: z.string().nullable(),
    usage: usage.nullable(),
    exit: z.string().nullable().describe('How its process ended.'),
    outcome: outcome.nullable(),
    requestedAt: z.int(),
    startedAt: z.int().nullable(),
    endedAt: z.int().nullable(),
  }),
);
export type Session = z.output<ReturnType<typeof session>>;

export const agent = once(() =>
  z.strictObject({
    id: z.string(),
    name: z.string(),
    ...configuration,
    state: agentState,
    since: z.int(),
    reason: z.string().nullable().describe('What it waits for, or why it is in this state.'),
    generation: z.int(),
    session: session().nullable().describe('Its newest session.'),
    usage: usage.describe('Of all its sessions.'),
    createdAt: z.int(),
  }),
);
export type Agent = z.output<ReturnType<typeof agent>>;

const generation = z.int().describe('The session’s number; a report of an old one is refused.');
const signal = z.enum(['stop', 'kill', 'interrupt', 'pause', 'resume']);
export type Signal = z.output<typeof signal>;

const observation = {
  generation,
  offset: z.int(),
  providerSession: z.string().nullable(),
  model: z.string().nullable(),
  action: z.string().nullable(),
  usage: usage.nullable(),
  waiting: z.string().nullable(),
};
const ending = {
  generation,
  offset: z.int(),
  exit: z.string().describe('How the process ended: `exit 0`, `SIGTERM`, `lost`, and what was special about it.'),
  outcome,
  usage: usage.nullable(),
};

/** The stream of each is the agent's id. */
export const agentEvents = {
  created: event('agent.created', () => z.strictObject({ name: z.string(), ...configuration })),
  updated: event('agent.updated', () => z.strictObject({ name: z.string(), ...configuration })),
  removed: event('agent.removed', () => z.strictObject({ reason: z.string() })),
  /** A session is wanted; the runner starts it. `sessionId` is the uuid that the runtime may give to its program. */
  requested: event('session.requested', () =>
    z.strictObject({
      generation,
      request: sessionRequest(),
      /** Records of an older MAOS do not have it. */
      promised: promised.nullable().optional(),
      folder: z.string(),
      sessionId: z.string(),
      providerSession: z.string().nullable(),
    }),
  ),
  started: event('session.started', () =>
    z.strictObject({ generation, pid: z.int(), startTime: z.string(), adopted: z.boolean() }),
  ),
  /** What the program reported: its own session id, an action, usage; with how far its output was read. */
  observed: event('session.observed', () => z.strictObject(observation)),
  /** Someone wants the process stopped, paused, … */
  signalled: event('session.signalled', () => z.strictObject({ generation, signal, reason: z.string() })),
  messaged: event('session.messaged', () => z.strictObject({ generation, message: z.string(), text: z.string() })),
  ended: event('session.ended', () => z.strictObject(ending)),
};

const control = z.strictObject({ agent: agentId, reason: z.string().max(1_000).default('asked by a person') });
const noSession = 'The agent has no running session.';

export const agentOps = {
  create: operation({
    name: 'agent.create',
    summary: 'Adds an agent to the roster; it runs when it is started or given a task.',
    effect: 'write',
    scope: 'agent:write',
    input: () =>
      z.strictObject({
        name: name.optional().describe('A name that no other agent has; made up when left out.'),
        ...configuration,
      }),
    output: () => agent(),
    route: 'POST /agents',
    positional: ['runtime'],
    refusals: { conflict: 'The name is taken.', invalid: 'The runtime is unknown.' },
  }),
  get: operation({
    name: 'agent.get',
    summary: 'Shows an agent and its newest session.',
    effect: 'read',
    scope: 'agent:read',
    input: () => z.strictObject({ agent: agentId }),
    output: () => agent(),
    route: 'GET /agents/:agent',
    positional: ['agent'],
  }),
  list: operation({
    name: 'agent.list',
    summary: 'Lists agents, newest first.',
    effect: 'read',
    scope: 'agent:read',
    input: () =>
      z.strictObject({
        state: z.array(agentState).optional(),
        team: z.string().optional(),
        project: z.string().optional(),
        live: z.boolean().optional().describe('Only agents with a session that has not ended.'),
        limit: z.int().min(1).max(1_000).default(100),
        cursor: z.string().optional(),
      }),
    output: () => z.strictObject({ agents: z.array(agent()), next: z.string().nullable() }),
    route: 'GET /agents',
  }),
  sessions: operation({
    name: 'agent.sessions',
    summary: 'Lists the sessions of an agent, newest first.',
    effect: 'read',
    scope: 'agent:read',
    input: () => z.strictObject({ agent: agentId, limit: z.int().min(1).max(1_000).default(100) }),
    output: () => z.strictObject({ sessions: z.array(session()) }),
    route: 'GET /agents/:agent/sessions',
    positional: ['agent'],
  }),
  update: operation({
    name: 'agent.update',
    summary: 'Changes an agent’s configuration; a running session keeps what it was started with.',
    effect: 'write',
    scope: 'agent:write',
    input: () => z.strictObject({ agent: agentId, ...z.strictObject(changes).partial().shape }),
    output: () => agent(),
    route: 'PATCH /agents/:agent',
    positional: ['agent'],
    refusals: { conflict: 'The name is taken, or the agent was removed.' },
  }),
  remove: operation({
    name: 'agent.remove',
    summary: 'Takes an agent off the roster; its sessions and their output remain.',
    effect: 'destroy',
    scope: 'agent:write',
    input: () => control,
    output: () => agent(),
    route: 'DELETE /agents/:agent',
    positional: ['agent'],
    refusals: { conflict: 'The agent has a running session: stop it first.' },
  }),
  start: operation({
    name: 'agent.start',
    summary: 'Starts a session of an agent with a prompt or a command.',
    detail: 'Returns when the session is recorded; follow its events for the start itself.',
    effect: 'write',
    scope: 'agent:write',
    input: () => z.strictObject({ agent: agentId, ...sessionRequest().shape }),
    output: () => agent(),
    route: 'POST /agents/:agent/start',
    positional: ['agent', 'prompt'],
    refusals: {
      conflict: 'It already has a session.',
      invalid: 'Its runtime lacks what was asked for, which is named.',
      exhausted: 'A budget that applies has nothing left; it is named, with what to do.',
    },
  }),
  stop: operation({
    name: 'agent.stop',
    summary: 'Stops an agent’s session and every process of its tree; after ten seconds by force.',
    effect: 'write',
    scope: 'agent:write',
    input: () =>
      z.strictObject({ ...control.shape, force: z.boolean().default(false).describe('At once, with SIGKILL.') }),
    output: () => agent(),
    route: 'POST /agents/:agent/stop',
    positional: ['agent'],
    refusals: { conflict: noSession },
  }),
  interrupt: operation({
    name: 'agent.interrupt',
    summary: 'Interrupts what an agent is doing; the session goes on where the runtime can.',
    effect: 'write',
    scope: 'agent:write',
    input: () => control,
    output: () => agent(),
    route: 'POST /agents/:agent/interrupt',
    positional: ['agent'],
    refusals: { conflict: noSession, invalid: 'Its runtime cannot be interrupted.' },
  }),
  pause: operation({
    name: 'agent.pause',
    summary: 'Freezes the processes of an agent; resume lets them go on.',
    effect: 'write',
    scope: 'agent:write',
    input: () => control,
    output: () => agent(),
    route: 'POST /agents/:agent/pause',
    positional: ['agent'],
    refusals: { conflict: noSession },
  }),
  resume: operation({
    name: 'agent.resume',
    summary: 'Lets a paused agent go on.',
    effect: 'write',
    scope: 'agent:write',
    input: () => control,
    output: () => agent(),
    route: 'POST /agents/:agent/resume',
    positional: ['agent'],
    refusals: { conflict: 'The agent is not paused.' },
  }),
  restart: operation({
    name: 'agent.restart',
    summary: 'Starts an agent again with its last request, continuing its conversation where the runtime can.',
    effect: 'write',
    scope: 'agent:write',
    input: () => z.strictObject({ agent: agentId }),
    output: () => agent(),
    route: 'POST /agents/:agent/restart',
    positional: ['agent'],
    refusals: { conflict: 'It still has a running session (stop it first), or never had one.' },
  }),
  send: operation({
    name: 'agent.send',
    summary: 'Sends a message to a running agent whose runtime takes messages while it works.',
    effect: 'write',
    scope: 'agent:write',
    input: () => z.strictObject({ agent: agentId, text: z.string().min(1).max(100_000) }),
    output: () => z.strictObject({ message: z.string() }),
    route: 'POST /agents/:agent/send',
    positional: ['agent', 'text'],
    refusals: { conflict: noSession, invalid: 'Its runtime takes no messages.' },
  }),
  bulk: operation({
    name: 'agent.bulk',
    summary: 'Does one thing with many agents: of a team, of a project, or listed; says for each what came of it.',
    effect: 'destroy',
    scope: 'agent:write',
    input: () =>
      z.strictObject({
        verb: z.enum(['stop', 'kill', 'pause', 'resume', 'remove', 'restart']),
        agents: z.array(agentId).max(1_000).optional(),
        team: z.string().optional(),
        project: z.string().optional(),
        reason: z.string().max(1_000).default('asked by a person'),
      }),
    output: () =>
      z.strictObject({
        done: texts,
        refused: z.array(z.strictObject({ agent: z.string(), message: z.string() })),
      }),
    route: 'POST /agents/bulk',
    positional: ['verb'],
  }),
  logs: operation({
    name: 'agent.logs',
    summary: 'Reads an agent’s output from a byte offset: as its runtime tells it, or raw.',
    effect: 'read',
    scope: 'agent:read',
    input: () =>
      z.strictObject({
        agent: agentId,
        generation: z.int().min(1).optional().describe('Which session; default: the newest.'),
        after: z.int().min(0).default(0).describe('Byte offset to start from; `next` of the answer before.'),
        limit: z.int().min(1).max(1_000_000).default(200_000).describe('Bytes to read at most.'),
        raw: z.boolean().default(false),
        stream: z.enum(['stdout', 'stderr']).default('stdout'),
      }),
    output: () =>
      z.strictObject({
        text: z.string(),
        next: z.int(),
        ended: z.boolean().describe('The session has ended and all was read.'),
      }),
    route: 'GET /agents/:agent/logs',
    positional: ['agent'],
    refusals: { not_found: 'It has no such session.' },
  }),
  runtimes: operation({
    name: 'runtime.list',
    summary: 'Lists the runtimes: what each can do, and whether its program is usable on this machine.',
    effect: 'read',
    scope: 'agent:read',
    input: () =>
      z.strictObject({
        probe: z.boolean().default(false).describe('Also start each program to see its version.'),
      }),
    output: () =>
      z.strictObject({
        runtimes: z.array(
          z.strictObject({
            name: z.string(),
            summary: z.string(),
            capabilities: z.record(z.string(), z.boolean()),
            usable: z.boolean().nullable(),
            version: z.string().nullable(),
            fix: z.string().nullable(),
          }),
        ),
      }),
    route: 'GET /runtimes',
  }),
  checkSettings: operation({
    name: 'runtime.check',
    summary: 'Tells what a runtime would refuse in an agent’s options, arguments and variables.',
    effect: 'read',
    scope: 'agent:read',
    input: () =>
      z.strictObject({ runtime: z.string(), options: settings.options, args: texts, env: texts.default([]) }),
    output: () =>
      z.strictObject({
        problems: z.array(
          z.strictObject({
            path: z.array(z.union([z.string(), z.int()])).describe('Begins with options, args or env.'),
            message: z.string(),
            onKey: z.boolean().describe('It is about the name of the field, not its value.'),
          }),
        ),
      }),
    route: 'POST /runtimes/check',
    internal: true,
    refusals: { invalid: 'The runtime is unknown.' },
  }),
  reportStarted: operation({
    name: 'session.started',
    summary: 'Reports that a session’s process runs.',
    effect: 'write',
    scope: 'agent:run',
    input: () =>
      z.strictObject({ agent: agentId, generation, pid: z.int(), startTime: z.string(), adopted: z.boolean() }),
    output: () => z.strictObject({}),
    route: 'POST /sessions/started',
    internal: true,
    refusals: { conflict: 'The session is not the agent’s newest, or has ended.' },
  }),
  reportObserved: operation({
    name: 'session.observed',
    summary: 'Reports what a session’s program said about itself.',
    effect: 'write',
    scope: 'agent:run',
    input: () => z.strictObject({ agent: agentId, ...observation }),
    output: () => z.strictObject({}),
    route: 'POST /sessions/observed',
    internal: true,
    refusals: { conflict: 'The session is not the agent’s newest, or has ended.' },
  }),
  reportEnded: operation({
    name: 'session.ended',
    summary: 'Reports that a session has ended and what it amounts to.',
    effect: 'write',
    scope: 'agent:run',
    input: () => z.strictObject({ agent: agentId, ...ending }),
    output: () => z.strictObject({}),
    route: 'POST /sessions/ended',
    internal: true,
    refusals: { conflict: 'The session is not the agent’s newest.' },
  }),
} as const;
