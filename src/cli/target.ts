import { agentOps, type Agent } from '../agents/contract.ts';
import { AppError, conflict, notFound } from '../kernel/error.ts';
import { nearest } from '../kernel/nearest.ts';
import { taskOps, type Task } from '../tasks/contract.ts';
import { runOps, type RunDetail, type Step } from '../workflows/contract.ts';
import { workspaceOps, type Workspace } from '../workspaces/contract.ts';
import type { Connection } from './connection.ts';

/** What a word of a shell line can mean. */
export type Target =
  | { readonly kind: 'run'; readonly run: RunDetail }
  | { readonly kind: 'step'; readonly run: RunDetail; readonly step: Step }
  | { readonly kind: 'agent'; readonly agent: Agent }
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'workspace'; readonly workspace: Workspace };
type Kind = Target['kind'];

const prefixes: Readonly<Record<string, Kind>> = { run: 'run', agent: 'agent', task: 'task', ws: 'workspace' };

/**
 * Finds what a word means among the kinds that a command takes: an id or its beginning, a name, or RUN/TASK. A word that
 * means two things is refused.
 */
export async function findTarget<Wanted extends Kind>(
  connection: Connection,
  word: string,
  kinds: readonly Wanted[],
): Promise<Extract<Target, { kind: Wanted }>> {
  const wanted = (target: Target): target is Extract<Target, { kind: Wanted }> =>
    kinds.some((kind) => kind === target.kind);
  const sure = prefixes[word.slice(0, Math.max(0, word.indexOf('_')))];
  const tried = kinds.filter((kind) => sure === undefined || kind === sure || (kind === 'step' && word.includes('/')));
  // What was asked in two ways (RUN/TASK is also how a run names its agents) is answered by the more exact one first.
  const order: readonly Kind[] = ['step', 'run', 'agent', 'task', 'workspace'];
  const found: Target[] = [];
  for (const kind of order.filter((candidate) => tried.some((other) => other === candidate))) {
    const target = await lookUp(connection, kind, word);
    if (target !== undefined) found.push(target);
    if (target?.kind === 'step') break;
  }
  const [first, second] = found;
  if (first === undefined) throw missing(kinds, word);
  if (second !== undefined) throw ambiguous(word, found);
  if (wanted(first)) return first;
  throw missing(kinds, word);
}

function missing(kinds: readonly Kind[], word: string): Error {
  const names = kinds.map((kind) => (kind === 'step' ? 'task of a run' : kind));
  return notFound(names.join(' or '), word, `Use an id, the beginning of one, a name, or RUN/TASK; ${listing(kinds)}`);
}

function listing(kinds: readonly Kind[]): string {
  return kinds.includes('run') ? '"maos run list" shows the runs.' : `"maos ${kinds[0] ?? 'run'} list" shows them.`;
}

function ambiguous(word: string, found: readonly Target[]): Error {
  const candidates = found.map((target) => `${target.kind} ${idOf(target)}`);
  return conflict(`"${word}" fits ${candidates.join(' and ')}.`, {
    fix: 'Use the id with what it begins with, for example run_….',
    details: { candidates },
  });
}

/** The id of what was found. */
function idOf(target: Target): string {
  switch (target.kind) {
    case 'run':
      return target.run.id;
    case 'step':
      return target.step.task;
    case 'agent':
      return target.agent.id;
    case 'task':
      return target.task.id;
    case 'workspace':
      return target.workspace.id;
  }
}

/** The one thing of a kind that a word means, or undefined. */
async function lookUp(connection: Connection, kind: Kind, word: string): Promise<Target | undefined> {
  try {
    switch (kind) {
      case 'run':
        return { kind, run: await connection.call(runOps.get, { run: word }) };
      case 'agent':
        return { kind, agent: await connection.call(agentOps.get, { agent: word }) };
      case 'task':
        return { kind, task: await connection.call(taskOps.get, { task: word }) };
      case 'workspace':
        return { kind, workspace: await connection.call(workspaceOps.get, { workspace: word }) };
      case 'step':
        return await findStep(connection, word);
    }
  } catch (error) {
    // A word that is no such id or name at all (too long, other letters) is not found either.
    if (error instanceof AppError && (error.code === 'not_found' || error.code === 'invalid')) return undefined;
    throw error;
  }
}

/** `quickstart-1/rename`: the task of a run by its id in the plan, or by a unique beginning of that. */
async function findStep(connection: Connection, word: string): Promise<Target | undefined> {
  const slash = word.indexOf('/');
  if (slash < 1) return undefined;
  const run = await connection.call(runOps.get, { run: word.slice(0, slash) });
  const id = word.slice(slash + 1);
  const starting = run.steps.filter((candidate) => candidate.id.startsWith(id));
  const step = run.steps.find((candidate) => candidate.id === id) ?? (starting.length === 1 ? starting[0] : undefined);
  if (step !== undefined) return { kind: 'step', run, step };
  const guess = nearest(
    id,
    run.steps.map((candidate) => candidate.id),
  );
  const among = starting.length > 1 ? `It fits ${starting.map((candidate) => candidate.id).join(', ')}.` : undefined;
  const hint =
    guess === undefined
      ? `Its tasks are ${run.steps.map((candidate) => candidate.id).join(', ')}.`
      : `Did you mean ${run.name}/${guess}?`;
  throw new AppError('conflict', `${run.name} has no single task "${id}".`, { fix: among ?? hint });
}
