import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { conflict } from '../../kernel/error.ts';
import { commitAll, unmergedFiles, type CommitRequest, type CommitResult } from './commit.ts';
import { absent } from './folder.ts';
import { fields, gitFailure, isAncestor, resolveCommit, type Git } from './git.ts';
import { mergeTree, type ConflictFile } from './merge.ts';
import { changeClean, mendTorn } from './torn.ts';

export type ConflictStart =
  /** The files hold conflict markers now (with the common ancestor in the middle), for an agent to resolve. */
  | { readonly kind: 'conflict'; readonly files: readonly ConflictFile[] }
  /** There was nothing to resolve; HEAD contains the other side. */
  | { readonly kind: 'merged'; readonly commit: string }
  /** The worktree has uncommitted changes; nothing was done. */
  | { readonly kind: 'dirty'; readonly files: readonly string[] };

/** Merges `other` into a worktree and leaves the conflict there for its agent. Idempotent. */
export async function startConflict(
  git: Git,
  request: { worktree: string; other: string; message: string },
): Promise<ConflictStart> {
  const { worktree, other, message } = request;
  await mendTorn(git, worktree);
  const [head, wanted, merging] = await Promise.all([
    resolveCommit(git, worktree, 'HEAD'),
    resolveCommit(git, worktree, other),
    resolveCommit(git, worktree, 'MERGE_HEAD'),
  ]);
  if (head === null || wanted === null) throw conflict(`There is no commit "${other}".`, { fix: 'Run `maos doctor`.' });
  if (merging !== null && merging !== wanted) {
    throw conflict(`${worktree} is in the middle of another merge.`, { fix: 'Finish or abort it there first.' });
  }
  if (merging === wanted) return { kind: 'conflict', files: (await mergeTree(git, worktree, head, wanted)).files };
  const status = await git.run(worktree, ['status', '--porcelain', '-z', '--no-renames', '--untracked-files=all']);
  if (status !== '') return { kind: 'dirty', files: fields(status).map((entry) => entry.slice(3)) };
  const author = await git.identity(worktree);
  const args = ['merge', '--no-ff', '--no-edit', '--no-verify', '--quiet', '-m', message, wanted];
  const result = await changeClean(worktree, head, () => git.attempt(worktree, args, { author }));
  if (result.code === 0) return { kind: 'merged', commit: (await resolveCommit(git, worktree, 'HEAD')) ?? head };
  if ((await resolveCommit(git, worktree, 'MERGE_HEAD')) === null) throw gitFailure(args, result);
  return { kind: 'conflict', files: (await mergeTree(git, worktree, head, wanted)).files };
}

/** Moves a worktree and its branch forward to `target`; false when that is no fast-forward, or its own changes are in the way. */
export async function fastForward(git: Git, worktree: string, head: string, target: string): Promise<boolean> {
  const status = await git.run(worktree, ['status', '--porcelain', '--no-renames', '--untracked-files=all']);
  const merge = () => git.attempt(worktree, ['merge', '--ff-only', '--quiet', target]);
  return (await (status === '' ? changeClean(worktree, head, merge) : merge())).code === 0;
}

export type ConflictEnd =
  | CommitResult
  /** These files still hold conflict markers, or a choice that nobody has made (`git add` or `git rm` makes it). */
  | { readonly kind: 'unresolved'; readonly files: readonly ConflictFile[] }
  /** The merge was aborted: HEAD does not contain the other side. */
  | { readonly kind: 'abandoned' };

/** Checks what an agent made of a conflict, and commits the merge when all of it is resolved. Idempotent. */
export async function finishConflict(
  git: Git,
  request: CommitRequest & { readonly other: string },
): Promise<ConflictEnd> {
  const { worktree, other } = request;
  const merging = await resolveCommit(git, worktree, 'MERGE_HEAD');
  const contained = await isAncestor(git, worktree, other, 'HEAD');
  if (merging === null && !contained) return { kind: 'abandoned' };
  // The agent may have committed the merge itself; then the two sides are the parents of that commit.
  const sides = contained ? await mergedSides(git, worktree, other) : { ours: 'HEAD', theirs: other };
  const files = sides === null ? [] : (await mergeTree(git, worktree, sides.ours, sides.theirs)).files;
  const unmerged = new Set(await unmergedFiles(git, worktree));
  const open: ConflictFile[] = [];
  for (const file of files) if (!(await isResolved(worktree, file, unmerged.has(file.path)))) open.push(file);
  if (open.length > 0) return { kind: 'unresolved', files: open };
  if (unmerged.size > 0)
    await git.run(worktree, ['add', '--', ...[...unmerged].map((path) => `:(top,literal)${path}`)]);
  return commitAll(git, request);
}

async function mergedSides(
  git: Git,
  worktree: string,
  other: string,
): Promise<{ ours: string; theirs: string } | null> {
  const merges = await git.run(worktree, ['rev-list', '--merges', '--ancestry-path', '--parents', `${other}..HEAD`]);
  const first = merges.trimEnd().split('\n').at(-1)?.split(' ') ?? [];
  const [, ours, theirs] = first;
  return ours === undefined || theirs === undefined ? null : { ours, theirs };
}

async function isResolved(worktree: string, file: ConflictFile, unmerged: boolean): Promise<boolean> {
  // Edited text speaks for itself; which side of a deletion or of a binary file is wanted, only `git add` or `git rm` says.
  const textual = file.kinds.every((kind) => kind === 'contents');
  if (unmerged && !textual) return false;
  const path = join(worktree, file.path);
  if (!((await lstat(path).catch(absent))?.isFile() ?? false)) return !unmerged;
  return !/^(<{7}|>{7}|\|{7}) /m.test(await readFile(path, 'utf8'));
}
