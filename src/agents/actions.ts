import { join } from 'node:path';
import { notFound } from '../kernel/error.ts';
import { action, type Handler, type Reader } from '../kernel/handler.ts';
import { currentAttempt } from './attempt.ts';
import { agentOps } from './contract.ts';
import { type Assignment, assignmentAt, resolveAgent } from './roster.ts';
import type { Probe, Runtime } from './runtime.ts';
import { readLines, readPiece, render, wholeCharacters } from './transcript.ts';

export interface AgentActionOptions {
  readonly runtimes: ReadonlyMap<string, Runtime>;
  /** The server's environment: where the programs of the runtimes are looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

function sessionToRead(db: Reader, text: string, generation: number | undefined): Assignment {
  const agent = resolveAgent(db, text);
  const wanted = generation ?? agent.generation;
  const found = assignmentAt(db, agent.id, wanted);
  if (found !== undefined) return found;
  const fix =
    agent.generation === 0 ? 'Start it first (maos agent start).' : `It has sessions 1 to ${agent.generation}.`;
  throw notFound('session', `${agent.name} ${wanted}`, fix);
}

function withoutHoles(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

/** Operations of agents that read the disk or start programs. */
export function agentActions(options: AgentActionOptions): readonly Handler[] {
  return [
    action(agentOps.logs, async (ctx, { agent, generation, after, limit, raw, stream }) => {
      const { session, config } = sessionToRead(ctx.db, agent, generation);
      const path = join(currentAttempt(session.folder), stream);
      const final = session.state === 'ended';
      const runtime = options.runtimes.get(config.runtime);
      if (raw || stream === 'stderr' || runtime === undefined) {
        const piece = readPiece(path, after, limit);
        const { text, length } = wholeCharacters(piece, final && piece.atEnd);
        return { text, next: after + length, ended: final && piece.atEnd };
      }
      const piece = readLines(path, after, limit, final);
      return { text: render(runtime, piece.bytes), next: after + piece.bytes.length, ended: final && piece.atEnd };
    }),
    action(agentOps.runtimes, async (_ctx, { probe }) => {
      const unknown: Probe | { usable: null; version: null; fix: null } = { usable: null, version: null, fix: null };
      const env = withoutHoles(options.environment);
      const list = [...options.runtimes.values()].map(async (runtime) => {
        const { usable, version, fix } = probe ? await runtime.probe(env) : unknown;
        const { name, summary, capabilities } = runtime;
        return { name, summary, capabilities: { ...capabilities }, usable, version, fix };
      });
      return { runtimes: await Promise.all(list) };
    }),
  ];
}
