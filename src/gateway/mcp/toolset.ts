import { AppError } from '../../kernel/error.ts';
import { nearest } from '../../kernel/nearest.ts';

/** A selection of tools. A hundred tools are a long prompt, so a caller is shown what its work needs. */
interface Toolset {
  readonly summary: string;
  /** Operations by name; `task.*` stands for all of a noun. */
  readonly operations: readonly string[];
  /** Tools of this door beside the operations. */
  readonly extras?: readonly string[];
  /** Short descriptions and no output schemas: it is read by every agent at every start. */
  readonly brief?: true;
  /** With the names that older fleets used (alias.ts). */
  readonly aliases?: true;
}

/** What `?toolset=` chooses from. Whatever is chosen, only what the caller's scopes allow is shown; calling is not limited by it. */
export const toolsets: Readonly<Record<string, Toolset>> = {
  worker: {
    summary: 'What an agent that does a task needs.',
    operations: [
      'task.get',
      'task.list',
      'task.create',
      'task.claim',
      'task.complete',
      'task.fail',
      'task.release',
      'task.wait',
      'task.depend',
      'run.get',
      'run.diff',
      'workspace.diff',
    ],
    brief: true,
  },
  coordinator: {
    summary: 'Plans, runs, tasks and agents: what a person or a leading agent works with.',
    operations: [
      'run.*',
      'task.create',
      'task.batch',
      'task.get',
      'task.list',
      'task.explain',
      'task.update',
      'task.assign',
      'task.retry',
      'task.cancel',
      'agent.get',
      'agent.list',
      'agent.start',
      'agent.stop',
      'agent.send',
      'agent.logs',
      'approval.list',
      'approval.get',
      'approval.approve',
      'approval.deny',
      'cost.list',
      'server.status',
    ],
    extras: ['run_wait'],
  },
  monitor: {
    summary: 'Looking only.',
    operations: [
      'run.list',
      'run.get',
      'run.report',
      'run.diff',
      'task.list',
      'task.get',
      'task.explain',
      'task.history',
      'agent.list',
      'agent.get',
      'agent.sessions',
      'agent.logs',
      'approval.list',
      'merge.list',
      'cost.list',
      'audit.list',
      'server.status',
    ],
    extras: ['run_wait'],
  },
  merger: {
    summary: 'Landing what was done.',
    operations: [
      'run.get',
      'run.diff',
      'run.report',
      'run.accept',
      'run.merge',
      'run.undo',
      'run.rollback',
      'merge.list',
      'workspace.*',
    ],
  },
  fleet: { summary: 'The tool names of earlier fleets, for agents that know those.', operations: [], aliases: true },
  all: { summary: 'Every operation.', operations: ['*'], extras: ['run_wait'] },
};

export function toolsetNamed(name: string): Toolset {
  const found = Object.hasOwn(toolsets, name) ? toolsets[name] : undefined;
  if (found !== undefined) return found;
  const guess = nearest(name, Object.keys(toolsets));
  throw new AppError('invalid', `There is no toolset "${name.slice(0, 100)}".`, {
    fix: guess === undefined ? `Use one of ${Object.keys(toolsets).join(', ')}.` : `Did you mean "${guess}"?`,
  });
}

export function holds({ operations }: Toolset, operation: string): boolean {
  const noun = operation.slice(0, operation.indexOf('.'));
  return operations.includes(operation) || operations.includes('*') || operations.includes(`${noun}.*`);
}
