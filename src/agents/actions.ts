import { join } from 'node:path';
import { notFound } from '../kernel/error.ts';
import { action, type Handler, type Reader } from '../kernel/handler.ts';
import { type Mask, noMask } from '../kernel/mask.ts';
import type { Keys } from '../kernel/seal.ts';
import { sealedReader } from './archive.ts';
import { currentAttempt } from './attempt.ts';
import { agentOps } from './contract.ts';
import { knownRuntime } from './request.ts';
import { type Assignment, assignmentAt, resolveAgent } from './roster.ts';
import type { Probe, Runtime, SettingProblem, Settings } from './runtime.ts';
import { readLines, readMasked, readPiece, render, wholeCharacters } from './transcript.ts';

export interface AgentActionOptions {
  readonly runtimes: ReadonlyMap<string, Runtime>;
  /** The server's environment: where the programs of the runtimes are looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What hides the secrets that a session was given in what it printed. */
  readonly mask?: (assignment: Assignment) => Promise<Mask>;
  /** What opens the output of ended sessions, where that is sealed. */
  readonly keys?: () => Promise<Pick<Keys, 'find'>>;
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

function settingProblems(runtime: Runtime, settings: Settings): readonly SettingProblem[] {
  if (runtime.check !== undefined) return runtime.check(settings);
  return Object.keys(settings.options).map((option) => ({
    path: ['options', option],
    message: `The runtime "${runtime.name}" has no options. Remove this one.`,
    onKey: true,
  }));
}

/** Operations of agents that read the disk or start programs. */
export function agentActions(options: AgentActionOptions): readonly Handler[] {
  return [
    action(agentOps.logs, async (ctx, { agent, generation, after, limit, raw, stream }) => {
      const assignment = sessionToRead(ctx.db, agent, generation);
      const { session, config } = assignment;
      const mask = (await options.mask?.(assignment)) ?? noMask;
      const path = join(currentAttempt(session.folder), stream);
      const read = options.keys === undefined ? readPiece : sealedReader(await options.keys());
      const final = session.state === 'ended';
      const runtime = options.runtimes.get(config.runtime);
      if (raw || stream === 'stderr' || runtime === undefined) {
        const piece = read(path, after, limit);
        const whole = wholeCharacters(piece, final && piece.atEnd);
        const { text, length } = mask === noMask ? whole : readMasked(path, after, whole.length, final, mask, read);
        return { text, next: after + length, ended: final && piece.atEnd };
      }
      const piece = readLines(path, after, limit, final, read);
      const shown = mask.bytes(piece.bytes, 0, piece.bytes.length);
      return { text: mask.text(render(runtime, shown)), next: after + piece.bytes.length, ended: final && piece.atEnd };
    }),
    action(agentOps.checkSettings, async (_ctx, { runtime, ...settings }) => ({
      problems: settingProblems(knownRuntime(options.runtimes, runtime), settings).map(({ path, message, onKey }) => ({
        path: [...path],
        message,
        onKey: onKey === true,
      })),
    })),
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
