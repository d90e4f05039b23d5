import { conflict } from '../../kernel/error.ts';
import { fields, gitFailure, isAncestor, resolveCommit, type Git } from './git.ts';

/** A file that two sides changed in ways that cannot be put together. */
export interface ConflictFile {
  readonly path: string;
  /** Git's words: `contents`, `modify/delete`, `binary`, `rename/delete` … */
  readonly kinds: readonly string[];
}

export type Merge =
  | { readonly kind: 'merged'; readonly commit: string }
  | { readonly kind: 'fast_forward'; readonly commit: string }
  /** Ours contains theirs already. */
  | { readonly kind: 'up_to_date'; readonly commit: string }
  | { readonly kind: 'conflict'; readonly files: readonly ConflictFile[] };

/** Merges two commits without a worktree and without moving any ref. */
export async function mergeCommit(
  git: Git,
  request: { repository: string; ours: string; theirs: string; message: string },
): Promise<Merge> {
  const { repository, ours, theirs, message } = request;
  if (await isAncestor(git, repository, theirs, ours)) return { kind: 'up_to_date', commit: ours };
  if (await isAncestor(git, repository, ours, theirs)) return { kind: 'fast_forward', commit: theirs };
  const { tree, files } = await mergeTree(git, repository, ours, theirs);
  if (files.length > 0) return { kind: 'conflict', files };
  const author = await git.identity(repository);
  const commit = await git.run(repository, ['commit-tree', tree, '-p', ours, '-p', theirs, '-m', message], { author });
  return { kind: 'merged', commit: commit.trim() };
}

/** The tree of a merge and its conflicts. */
export async function mergeTree(
  git: Git,
  repository: string,
  ours: string,
  theirs: string,
): Promise<{ tree: string; files: ConflictFile[] }> {
  const args = ['merge-tree', '--write-tree', '-z', '--messages', ours, theirs];
  const result = await git.attempt(repository, args);
  if (result.stderr.includes('unrelated histories')) {
    throw conflict('The two sides have no commit in common.', {
      fix: 'Start the work from a commit of this repository.',
    });
  }
  if (result.code > 1) throw gitFailure(args, result);
  return parseMerge(fields(result.stdout));
}

/** `tree, (mode oid stage TAB path)*, "", (count, path{count}, type, message)*` */
function parseMerge(output: readonly string[]): { tree: string; files: ConflictFile[] } {
  const conflicts = new Map<string, Set<string>>();
  let at = 1;
  for (; at < output.length && output[at] !== ''; at += 1) {
    const entry = output[at] ?? '';
    conflicts.set(entry.slice(entry.indexOf('\t') + 1), new Set());
  }
  at += 1;
  while (at < output.length) {
    const count = Number(output[at]);
    const paths = output.slice(at + 1, at + 1 + count);
    const kind = /^CONFLICT \((.*)\)$/.exec(output[at + 1 + count] ?? '')?.[1];
    if (kind !== undefined) for (const path of paths) conflicts.get(path)?.add(kind);
    at += count + 3;
  }
  return { tree: output[0] ?? '', files: [...conflicts].map(([path, kinds]) => ({ path, kinds: [...kinds] })) };
}

export type RefUpdate =
  | { readonly kind: 'updated' }
  /** The ref names another commit than `old` (null: it does not exist); nothing was changed. */
  | { readonly kind: 'moved'; readonly actual: string | null };

/** Moves a ref from `old` (null: it must not exist) to `new`, or says where it is. Idempotent. */
export async function updateRef(
  git: Git,
  request: { at: string; ref: string; new: string; old: string | null; reason: string },
): Promise<RefUpdate> {
  const { at, ref, old, reason } = request;
  const args = ['update-ref', '--create-reflog', '-m', reason, ref, request.new, old ?? '0'.repeat(request.new.length)];
  const result = await git.attempt(at, args);
  if (result.code === 0) return { kind: 'updated' };
  const actual = await resolveCommit(git, at, ref);
  if (actual === request.new) return { kind: 'updated' };
  if (actual === old) throw gitFailure(args, result);
  return { kind: 'moved', actual };
}
