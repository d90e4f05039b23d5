import { conflict } from '../kernel/error.ts';
import type { AgentState, Signal } from './contract.ts';
import type { Usage } from './runtime.ts';

/** Every move of an agent: the states it is allowed in, and the state that each of them becomes. */
export const moves = {
  request: { idle: 'starting' },
  /** The process runs; after a crash of the server it is reported again, adopted. */
  started: { starting: 'running', running: 'running', paused: 'paused', stopping: 'stopping' },
  /** A second stop is allowed: it may be the one by force. */
  stop: { starting: 'stopping', running: 'stopping', paused: 'stopping', stopping: 'stopping' },
  kill: { starting: 'stopping', running: 'stopping', paused: 'stopping', stopping: 'stopping' },
  interrupt: { running: 'running' },
  pause: { running: 'paused', paused: 'paused' },
  resume: { paused: 'running' },
  message: { starting: 'starting', running: 'running', paused: 'paused' },
  ended: { starting: 'idle', running: 'idle', paused: 'idle', stopping: 'idle' },
  remove: { idle: 'removed' },
} as const satisfies Record<
  Signal | 'request' | 'started' | 'message' | 'ended' | 'remove',
  Partial<Record<AgentState, AgentState>>
>;
export type Move = keyof typeof moves;

const whatToDo: Record<AgentState, string> = {
  idle: 'Start it first (maos agent start).',
  starting: 'Wait until it runs, or stop it (maos agent stop).',
  running: 'Stop it first (maos agent stop).',
  paused: 'Let it go on (maos agent resume), or stop it (maos agent stop).',
  stopping: 'Wait until it has stopped.',
  removed: 'Create another agent (maos agent create).',
};

/** What a move is called in a refusal. */
const verbs: Record<Move, string> = {
  request: 'start',
  started: 'run',
  stop: 'be stopped',
  kill: 'be killed',
  interrupt: 'be interrupted',
  pause: 'be paused',
  resume: 'be resumed',
  message: 'take a message',
  ended: 'end',
  remove: 'be removed',
};

/** The state after a move, or undefined when the state does not allow it. */
export function stateAfter(state: AgentState, move: Move): AgentState | undefined {
  const targets: Partial<Record<AgentState, AgentState>> = moves[move];
  return targets[state];
}

/** The state after a move; a move that the state does not allow is refused. */
export function moved(agent: { readonly name: string; readonly state: AgentState }, move: Move): AgentState {
  const target = stateAfter(agent.state, move);
  if (target !== undefined) return target;
  const state = agent.state === 'idle' ? 'idle (it has no running session)' : agent.state;
  throw conflict(`Agent ${agent.name} is ${state} and cannot ${verbs[move]}.`, {
    fix: whatToDo[agent.state],
    details: { agent: agent.name, state: agent.state },
  });
}

/** Whether it has a session that has not ended. */
export function isLive(state: AgentState): boolean {
  return state !== 'idle' && state !== 'removed';
}

/** What runs in an agent's process carries this as MAOS_SESSION. */
export function sessionName(agent: string, generation: number): string {
  return `${agent}/${generation}`;
}

/** Refuses a report of any session but the newest: two processes of one agent can never both be believed. */
export function checkGeneration(agent: { readonly id: string; readonly generation: number }, generation: number): void {
  if (generation === agent.generation) return;
  throw conflict(`Session ${generation} of agent ${agent.id} cannot report: its newest is ${agent.generation}.`, {
    fix: 'End this process; its work is not wanted any more.',
    details: { agent: agent.id, generation: agent.generation },
  });
}

/** A uuid from the digest of an id, so that a replay makes the same one. Shaped as version 4: programs check that. */
export function uuidFrom(digest: Buffer): string {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Sums usage; a part whose price is unknown makes the whole unknown, never cheaper. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
    costUsd: a.costUsd === null || b.costUsd === null ? null : a.costUsd + b.costUsd,
  };
}

/** What one session may use; null: nothing bounds it. */
export interface Bound {
  readonly usd: number | null;
  readonly tokens: number | null;
}

/** Why a session must stop because of what it uses, or undefined while it may go on. An unknown price is a stop, not a zero. */
export function overBudget({ usd, tokens }: Bound, usage: Usage): string | undefined {
  const { costUsd } = usage;
  const used = usage.inputTokens + usage.outputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  if (tokens !== null && used > tokens) return `It has used ${used} of its budget of ${tokens} tokens.`;
  if (usd === null) return undefined;
  if (costUsd === null) return `It has a budget of $${usd}, but its program reports no price.`;
  return costUsd <= usd ? undefined : `It has used $${costUsd.toFixed(4)} of its budget of $${usd}.`;
}
