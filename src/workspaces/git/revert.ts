import { unmergedFiles } from './commit.ts';
import { gitFailure, resolveCommit, type Git } from './git.ts';

/** Work that has landed: from where, what was made, and the commit by which the branch got it. */
export interface LandedWork {
  readonly base: string;
  readonly commit: string;
  readonly landed: string;
}

/**
 * Makes one commit in a throw-away worktree that takes back what a task has landed. A merge is taken back against its
 * first parent, the branch; what was landed as it was, commit by commit from its base on.
 */
export async function revertCommits(
  git: Git,
  worktree: string,
  { base, commit, landed }: LandedWork,
): Promise<{ commit: string | null; conflicts: string[] }> {
  const what = landed === commit ? [`${base}..${commit}`] : ['-m', '1', landed];
  const author = await git.identity(worktree);
  const args = ['revert', '--no-commit', ...what];
  const result = await git.attempt(worktree, args, { author });
  const conflicts = await unmergedFiles(git, worktree);
  if (conflicts.length > 0) return { commit: null, conflicts };
  if (result.code !== 0) throw gitFailure(args, result);
  await git.run(worktree, ['commit', '--quiet', '-m', `Take back ${landed.slice(0, 12)}`], { author });
  return { commit: await resolveCommit(git, worktree, 'HEAD'), conflicts: [] };
}
