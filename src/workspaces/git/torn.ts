import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { absent, exists, gitDirectory, writeWhole } from './folder.ts';
import { resolveCommit, settle, type Git } from './git.ts';

/** Holds the commit that the worktree stood at, without changes, when git began to change its files. */
const markName = 'maos-merging';

/**
 * Has git change the files of a worktree that stands at `head` and has no changes of its own. When git is killed half way
 * (with its whole control group, say), `mendTorn` takes back what it has written.
 */
export async function changeClean<T>(worktree: string, head: string, change: () => Promise<T>): Promise<T> {
  const mark = join(await gitDirectory(worktree), markName);
  await writeWhole(mark, head);
  const result = await change();
  await rm(mark, { force: true });
  return result;
}

/** Takes back a change of `changeClean` that was cut off; one that was completed stays. Idempotent. */
export async function mendTorn(git: Git, worktree: string): Promise<void> {
  const directory = await gitDirectory(worktree);
  const mark = join(directory, markName);
  const before = await readFile(mark, 'utf8').catch(absent);
  if (before === null) return;
  await settle(git, worktree);
  await rm(join(directory, 'index.lock'), { force: true });
  // Git writes MERGE_HEAD, or moves HEAD, when all files are written.
  const complete =
    (await exists(join(directory, 'MERGE_HEAD'))) || (await resolveCommit(git, worktree, 'HEAD')) !== before;
  if (!complete) {
    await git.run(worktree, ['reset', '--hard', '--quiet']);
    await git.run(worktree, ['clean', '-d', '--force', '--quiet']);
  }
  await rm(mark, { force: true });
}
