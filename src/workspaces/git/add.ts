import type { ExecResult } from '../../kernel/exec.ts';
import type { Git, GitCall } from './git.ts';

/** What an attempt to add everything came to. */
export interface Adding {
  readonly result: ExecResult;
  /** Repositories without a commit inside the worktree: git refuses to add anything while it meets one. */
  readonly unborn: readonly string[];
}

/** Adds all files to the index, around repositories that have no commit. */
export async function attemptAdd(
  git: Git,
  worktree: string,
  how: '--all' | '--intent-to-add',
  call: GitCall = {},
): Promise<Adding> {
  const unborn: string[] = [];
  for (;;) {
    const around = unborn.map((path) => `:(top,exclude,literal)${path}`);
    const args = ['-c', 'advice.addEmbeddedRepo=false', 'add', how, '--', ':(top)', ...around];
    const result = await git.attempt(worktree, args, call);
    const found = result.code === 0 ? undefined : /^error: '(.+)\/' does not have a commit/m.exec(result.stderr)?.[1];
    if (found === undefined || unborn.includes(found)) return { result, unborn };
    unborn.push(found);
  }
}
