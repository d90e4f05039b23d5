import { join } from 'node:path';
import { conflict, errorData, invalid } from '../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../kernel/handler.ts';
import { sha256 } from '../kernel/hash.ts';
import { type Agent, agentEvents, agentOps, type Promised, type SessionRequest, type Signal } from './contract.ts';
import { moved, uuidFrom } from './model.ts';
import { reportHandlers } from './reports.ts';
import { checkRequest, conversationFor, demand, knownRuntime } from './request.ts';
import { agentAt, agentIds, checkName, lastConversation, listAgents, resolveAgent, sessionsOf } from './roster.ts';
import type { Capabilities } from './runtime.ts';

export interface AgentServiceOptions {
  /** What each runtime can do, by its name. */
  readonly runtimes: ReadonlyMap<string, Capabilities>;
  /** The folder below which every session gets a folder for its output. */
  readonly transcripts: string;
  /** What a session is promised of the budgets that apply to it; refuses one for which nothing is left. Left out: there are none. */
  readonly reserve?: (
    ctx: CommandContext,
    agent: Agent,
    request: SessionRequest,
    /** Whether its runtime tells what it uses. */
    tellsUsage: boolean,
  ) => Promised;
}

/** Decides a signal to the agent's session. */
function signal(ctx: CommandContext, id: string, which: Signal, reason: string): Agent {
  const agent = resolveAgent(ctx.db, id);
  moved(agent, which);
  ctx.emit(agentEvents.signalled, agent.id, { generation: agent.generation, signal: which, reason });
  return agentAt(ctx.db, agent.id);
}

function remove(ctx: CommandContext, id: string, reason: string): Agent {
  const agent = resolveAgent(ctx.db, id);
  moved(agent, 'remove');
  ctx.emit(agentEvents.removed, agent.id, { reason });
  return agentAt(ctx.db, agent.id);
}

/** Records that a session is wanted, under the next generation and in a folder that no other session ever had. */
function begin(ctx: CommandContext, options: AgentServiceOptions, id: string, request: SessionRequest): Agent {
  const agent = agentAt(ctx.db, id);
  moved(agent, 'request');
  checkRequest(options.runtimes, agent, request);
  const providerSession = conversationFor(request, agent.name, lastConversation(ctx.db, id, agent.runtime));
  const { usage } = knownRuntime(options.runtimes, agent.runtime);
  // In one commit with the session, so that nothing is promised twice. A command uses no tokens.
  const promised = request.argv === null ? (options.reserve?.(ctx, agent, request, usage) ?? null) : null;
  const generation = agent.generation + 1;
  const folder = join(options.transcripts, id, String(generation));
  const sessionId = uuidFrom(Buffer.from(sha256(ctx.newId('session')), 'base64url'));
  ctx.emit(agentEvents.requested, id, { generation, request, promised, folder, sessionId, providerSession });
  return agentAt(ctx.db, id);
}

function restart(ctx: CommandContext, options: AgentServiceOptions, text: string): Agent {
  const agent = agentAt(ctx.db, resolveAgent(ctx.db, text).id);
  moved(agent, 'request');
  if (agent.session === null) {
    throw conflict(`Agent ${agent.name} never had a session.`, {
      fix: 'Start it with a prompt or a command (maos agent start).',
    });
  }
  const can = knownRuntime(options.runtimes, agent.runtime).resume;
  const resume = can && lastConversation(ctx.db, agent.id, agent.runtime) !== null;
  return begin(ctx, options, agent.id, { ...agent.session.request, resume });
}

function rosterHandlers(options: AgentServiceOptions): Handler[] {
  return [
    command(agentOps.create, (ctx, input) => {
      knownRuntime(options.runtimes, input.runtime);
      const id = ctx.newId('agent');
      const name = input.name ?? `${input.runtime}-${id.slice('agent_'.length, 'agent_'.length + 6)}`;
      checkName(ctx.db, name, null);
      ctx.emit(agentEvents.created, id, { ...input, name });
      return agentAt(ctx.db, id);
    }),
    command(agentOps.update, (ctx, { agent: text, limits, ...changes }) => {
      const agent = agentAt(ctx.db, resolveAgent(ctx.db, text).id);
      if (agent.state === 'removed') {
        throw conflict(`Agent ${agent.name} was removed.`, { fix: 'Create another agent (maos agent create).' });
      }
      knownRuntime(options.runtimes, changes.runtime ?? agent.runtime);
      if (changes.name !== undefined) checkName(ctx.db, changes.name, agent.id);
      const budgetUsd = limits?.budgetUsd === undefined ? agent.limits.budgetUsd : (limits.budgetUsd ?? undefined);
      const budgetTokens =
        limits?.budgetTokens === undefined ? agent.limits.budgetTokens : (limits.budgetTokens ?? undefined);
      ctx.emit(agentEvents.updated, agent.id, {
        name: changes.name ?? agent.name,
        runtime: changes.runtime ?? agent.runtime,
        model: changes.model === undefined ? agent.model : changes.model,
        role: changes.role ?? agent.role,
        capabilities: changes.capabilities ?? agent.capabilities,
        maxConcurrentTasks: changes.maxConcurrentTasks ?? agent.maxConcurrentTasks,
        limits: {
          timeoutMs: limits?.timeoutMs ?? agent.limits.timeoutMs,
          ...(budgetUsd === undefined ? {} : { budgetUsd }),
          ...(budgetTokens === undefined ? {} : { budgetTokens }),
        },
        env: changes.env ?? agent.env,
        args: changes.args ?? agent.args,
        options: changes.options ?? agent.options,
        team: changes.team === undefined ? agent.team : changes.team,
        project: changes.project === undefined ? agent.project : changes.project,
      });
      return agentAt(ctx.db, agent.id);
    }),
    command(agentOps.remove, (ctx, input) => remove(ctx, input.agent, input.reason)),
    query(agentOps.get, (ctx, input) => agentAt(ctx.db, resolveAgent(ctx.db, input.agent).id)),
    query(agentOps.list, (ctx, input) => listAgents(ctx.db, input)),
    query(agentOps.sessions, (ctx, input) => ({
      sessions: sessionsOf(ctx.db, resolveAgent(ctx.db, input.agent).id, input.limit),
    })),
  ];
}

function controlHandlers(options: AgentServiceOptions): Handler[] {
  const { runtimes } = options;
  return [
    command(agentOps.start, (ctx, { agent, ...request }) =>
      begin(ctx, options, resolveAgent(ctx.db, agent).id, request),
    ),
    command(agentOps.restart, (ctx, input) => restart(ctx, options, input.agent)),
    command(agentOps.stop, (ctx, input) => signal(ctx, input.agent, input.force ? 'kill' : 'stop', input.reason)),
    command(agentOps.pause, (ctx, input) => signal(ctx, input.agent, 'pause', input.reason)),
    command(agentOps.resume, (ctx, input) => signal(ctx, input.agent, 'resume', input.reason)),
    command(agentOps.interrupt, (ctx, input) => {
      const agent = agentAt(ctx.db, resolveAgent(ctx.db, input.agent).id);
      demand(runtimes, agent.runtime, 'interrupt', 'cannot be interrupted');
      return signal(ctx, agent.id, 'interrupt', input.reason);
    }),
    command(agentOps.send, (ctx, input) => {
      const agent = agentAt(ctx.db, resolveAgent(ctx.db, input.agent).id);
      demand(runtimes, agent.runtime, 'steer', 'takes no messages while it works');
      moved(agent, 'message');
      const message = ctx.newId('message');
      ctx.emit(agentEvents.messaged, agent.id, { generation: agent.generation, message, text: input.text });
      return { message };
    }),
  ];
}

type Bulk = 'stop' | 'kill' | 'pause' | 'resume' | 'remove' | 'restart';

function one(ctx: CommandContext, options: AgentServiceOptions, verb: Bulk, agent: string, reason: string): Agent {
  if (verb === 'remove') return remove(ctx, agent, reason);
  if (verb === 'restart') return restart(ctx, options, agent);
  return signal(ctx, agent, verb, reason);
}

/** Each verb decides before it emits, so an agent that is refused leaves nothing and does not hurt the others. */
function bulkHandler(options: AgentServiceOptions): Handler {
  return command(agentOps.bulk, (ctx, { verb, agents, team, project, reason }) => {
    if (agents === undefined && team === undefined && project === undefined) {
      throw invalid('No agents were named.', {
        fix: 'Give agents, team or project; a verb for the whole fleet has to name it.',
      });
    }
    const members = team === undefined && project === undefined ? [] : agentIds(ctx.db, { team, project });
    const done: string[] = [];
    const refused: { agent: string; message: string }[] = [];
    for (const agent of new Set([...(agents ?? []), ...members])) {
      try {
        done.push(one(ctx, options, verb, agent, reason).id);
      } catch (error) {
        const { code, message, fix } = errorData(error);
        if (code === 'internal') throw error;
        refused.push({ agent, message: fix === undefined ? message : `${message} ${fix}` });
      }
    }
    return { done, refused };
  });
}

/** Commands and queries of agents; they run in the core thread. */
export function agentHandlers(options: AgentServiceOptions): readonly Handler[] {
  return [...rosterHandlers(options), ...controlHandlers(options), bulkHandler(options), ...reportHandlers];
}
