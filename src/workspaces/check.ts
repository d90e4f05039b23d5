import { join } from 'node:path';
import type { NewId } from '../kernel/id.ts';
import type { Evidence } from './contract.ts';
import type { Git } from './git/git.ts';
import { addThrowaway, removeThrowaway } from './git/worktree.ts';

/** One command on its way: `name` marks its processes, so that none of them is left behind. */
export interface CommandSpec {
  readonly name: string;
  readonly line: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface CommandOutcome {
  readonly passed: boolean;
  /** `exit 1`, `SIGKILL`, `timeout`. */
  readonly exit: string;
  /** The end of what it printed on stdout and stderr. */
  readonly output: string;
}

/** Runs a shell line to its end and leaves no process of its tree. Composition gives one that uses the host of agents. */
export type RunCommand = (spec: CommandSpec) => Promise<CommandOutcome>;

export interface CheckRequest {
  readonly repository: string;
  readonly commit: string;
  readonly commands: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface CheckTools {
  readonly git: Git;
  /** The folder under which throw-away worktrees are made. */
  readonly root: string;
  readonly newId: NewId;
  readonly now: () => number;
  readonly run: RunCommand;
}

/**
 * Runs commands on exactly this commit, in a worktree that holds nothing else and is thrown away afterwards. Stops at
 * the first that fails.
 */
export async function checkCommit(tools: CheckTools, request: CheckRequest): Promise<Evidence[]> {
  if (request.commands.length === 0) return [];
  const name = tools.newId('check');
  const { repository, commit } = request;
  const path = join(tools.root, name);
  await addThrowaway(tools.git, { repository, path, commit });
  try {
    const evidence: Evidence[] = [];
    for (const line of request.commands) {
      const began = tools.now();
      const { env, timeoutMs } = request;
      const result = await tools.run({ name, line, cwd: path, env: { ...env, MAOS_CHECK: name }, timeoutMs });
      const { passed, exit, output } = result;
      evidence.push({ command: line, commit, passed, exit, ms: Math.round(tools.now() - began), output });
      if (!passed) break;
    }
    return evidence;
  } finally {
    await removeThrowaway(tools.git, repository, path);
  }
}

export function allPassed(evidence: readonly Evidence[]): boolean {
  return evidence.every((one) => one.passed);
}
