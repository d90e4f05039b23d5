import { join } from 'node:path';
import { conflict, invalid } from '../kernel/error.ts';
import { action, type Handler } from '../kernel/handler.ts';
import type { CheckTools } from './check.ts';
import { workspaceOps } from './contract.ts';
import { type Git, gitFailure, resolveCommit } from './git/git.ts';
import { type Landing, landOnBranch, undoLanding } from './git/land.ts';
import { updateRef } from './git/merge.ts';
import { inspectRepository, listBranches } from './git/repository.ts';
import { rescueCommit, unreachableCommits } from './git/rescue.ts';
import { revertCommits } from './git/revert.ts';
import { changedFiles, diffText } from './git/status.ts';
import { addThrowaway, listWorktrees, removeThrowaway } from './git/worktree.ts';
import { repositoryOf } from './repository.ts';

async function commitOf(git: Git, repository: string, revision: string): Promise<string> {
  const commit = await resolveCommit(git, repository, revision);
  if (commit === null)
    throw invalid(`There is no commit "${revision}" in ${repository}.`, { fix: 'Give a branch, tag or commit of it.' });
  return commit;
}

/** Why a branch was not moved, as a refusal. */
function refuse(landing: Exclude<Landing, { kind: 'landed' | 'up_to_date' }>, branch: string): Error {
  switch (landing.kind) {
    case 'conflict':
      return conflict(`Both sides changed the same lines: ${landing.files.map((file) => file.path).join(', ')}.`, {
        fix: `Merge by hand (git merge), or bring ${branch} into the run and resume it.`,
        details: { files: landing.files },
      });
    case 'dirty':
      return conflict(
        `${landing.checkout} has uncommitted changes: ${[...landing.files, ...landing.inTheWay].slice(0, 20).join(', ')}.`,
        {
          fix: 'Commit or stash them, then repeat. Nothing was changed.',
          details: { files: landing.files, inTheWay: landing.inTheWay },
        },
      );
    case 'busy':
      return conflict(`${landing.checkout} is in the middle of a ${landing.operation}.`, {
        fix: 'Finish or abort it, then repeat.',
      });
    case 'branch_moved':
      return conflict(`${branch} has moved since (it is at ${landing.actual?.slice(0, 12) ?? 'nothing'}).`, {
        fix: 'Use git revert to take back a landing that others have built on.',
      });
    case 'interrupted':
      return conflict(
        `An earlier landing was interrupted, and ${landing.files.join(', ')} in ${landing.checkout} were edited since.`,
        {
          fix: 'Commit or stash these edits, then repeat.',
        },
      );
  }
}

/** Operations on branches: MAOS's own, and landing on the user's. */
export function branchActions({ git, root, newId }: Pick<CheckTools, 'git' | 'root' | 'newId'>): readonly Handler[] {
  return [
    action(workspaceOps.revert, async (ctx, { project, branch, ...landed }) => {
      const repository = await repositoryOf(ctx, project);
      const head = await commitOf(git, repository, `refs/heads/${branch}`);
      const path = join(root, project, newId('revert'));
      await addThrowaway(git, { repository, path, commit: head });
      try {
        return await revertCommits(git, path, landed);
      } finally {
        await removeThrowaway(git, repository, path);
      }
    }),
    action(workspaceOps.ensureBranch, async (ctx, { project, branch, commit, fresh }) => {
      const repository = await repositoryOf(ctx, project);
      if (fresh) return makeFresh(git, repository, branch, commit);
      const ref = `refs/heads/${branch}`;
      const update = await updateRef(git, { at: repository, ref, new: commit, old: null, reason: 'maos: begin' });
      return { head: update.kind === 'updated' ? commit : await commitOf(git, repository, ref) };
    }),
    action(workspaceOps.branches, async (ctx, { project, prefix }) => {
      const found = await listBranches(git, await repositoryOf(ctx, project), prefix);
      return { branches: found.map(({ branch }) => branch) };
    }),
    action(workspaceOps.inspect, async (ctx, { project, revision }) => {
      const repository = await repositoryOf(ctx, project);
      const [commit, { branch }] = await Promise.all([
        commitOf(git, repository, revision),
        inspectRepository(git, repository),
      ]);
      return { commit, branch };
    }),
    action(workspaceOps.land, async (ctx, { project, branch, commit, message }) => {
      const repository = await repositoryOf(ctx, project);
      const landing = await landOnBranch(git, { repository, branch, commit, message });
      if (landing.kind === 'up_to_date') return { from: landing.head, to: landing.head, kind: 'already' as const };
      if (landing.kind === 'landed') return { from: landing.old, to: landing.new, kind: landing.how };
      throw refuse(landing, branch);
    }),
    action(workspaceOps.unland, async (ctx, { project, branch, from, to }) => {
      const repository = await repositoryOf(ctx, project);
      const undone = await undoLanding(git, { repository, branch, old: from, new: to });
      if (undone.kind !== 'landed') throw refuse(undone, branch);
      return { rescue: undone.rescue };
    }),
    action(workspaceOps.compare, async (ctx, { project, from, to, stat }) => {
      const repository = await repositoryOf(ctx, project);
      const changes = await changedFiles(git, repository, from, to);
      const { text } = stat ? { text: '' } : await diffText(git, repository, from, to);
      return {
        files: changes.files.map(({ path, insertions, deletions }) => ({
          path,
          added: insertions,
          deleted: deletions,
        })),
        text,
      };
    }),
    action(workspaceOps.dropBranch, async (ctx, { project, branch, token }) => {
      const repository = await repositoryOf(ctx, project);
      return git.serially(repository, () => dropBranch(git, repository, branch, token));
    }),
  ];
}

/** Makes a branch that nobody has: git itself refuses one that is there, whichever program made it. */
async function makeFresh(git: Git, repository: string, branch: string, commit: string): Promise<{ head: string }> {
  const ref = `refs/heads/${branch}`;
  const args = ['update-ref', '--create-reflog', '-m', 'maos: begin', ref, commit, '0'.repeat(commit.length)];
  const made = await git.attempt(repository, args);
  if (made.code === 0) return { head: commit };
  const actual = await resolveCommit(git, repository, ref);
  if (actual === null) throw gitFailure(args, made);
  throw conflict(`The branch "${branch}" exists already, at ${actual.slice(0, 12)}.`, {
    fix: 'Use another name: branches are never taken over.',
    details: { branch, head: actual },
  });
}

async function dropBranch(
  git: Git,
  repository: string,
  branch: string,
  token: string | undefined,
): Promise<{ rescue: string | null }> {
  const ref = `refs/heads/${branch}`;
  const commit = await resolveCommit(git, repository, ref);
  if (commit === null) return { rescue: null };
  const holder = (await listWorktrees(git, repository)).find(
    (worktree) => worktree.branch === branch && worktree.prunable === null,
  );
  if (holder !== undefined) {
    throw conflict(`${branch} is checked out at ${holder.path}.`, {
      fix: 'Switch that checkout to another branch (git switch), then repeat. The branch was not deleted.',
    });
  }
  const own = await unreachableCommits(git, repository, branch, [commit]);
  const expected = `discard-${commit.slice(0, 12)}`;
  if (own.length > 0 && !(token?.split(',') ?? []).includes(expected)) {
    throw conflict(`${branch} holds ${own.length} commit(s) that no other branch has.`, {
      fix: `Land it (maos merge), or repeat with --token ${expected}; a rescue ref keeps its commits.`,
      details: { token: expected, commits: own.slice(0, 50) },
    });
  }
  const id = branch.replaceAll('/', '-');
  const rescued = own.length > 0 ? await rescueCommit(git, repository, { id, branch, commit }) : null;
  await git.run(repository, ['update-ref', '-d', ref, commit]);
  return { rescue: rescued?.kind === 'saved' ? rescued.ref : null };
}
