import { join } from 'node:path';
import { attemptAdd } from './add.ts';
import { exists, gitDirectory, removeStaleLock } from './folder.ts';
import { fields, gitFailure, isAncestor, resolveCommit, type Git, type Identity } from './git.ts';
import { changedFiles, type Changes } from './status.ts';

export interface CommitRequest {
  readonly worktree: string;
  /** The branch that the workspace was given. */
  readonly branch: string;
  /** The commit that the workspace started from. */
  readonly base: string;
  readonly message: string;
  /** Who did the work; the identity of the repository when left out. */
  readonly author?: Identity;
}

/** What keeps a worktree's state from being its task's result. */
export type Departure =
  | { readonly kind: 'branch_switched'; readonly expected: string; readonly actual: string | null }
  /** The base is no longer part of the history: the agent rewrote it. */
  | { readonly kind: 'history_rewritten'; readonly base: string; readonly head: string }
  /** A merge or rebase was left half done. */
  | { readonly kind: 'unmerged'; readonly files: readonly string[] };

export type CommitResult =
  | {
      readonly kind: 'result';
      /** HEAD after the leftovers were committed; null when nothing differs from the base. */
      readonly commit: string | null;
      /** Whether there were leftovers to commit. */
      readonly committed: boolean;
      /** All that the result changes, the agent's own commits included. */
      readonly changes: Changes;
      /** Repositories that the agent made inside the worktree: git cannot commit their files. */
      readonly embedded: readonly string[];
    }
  | Departure;

/**
 * Commits what the agent left uncommitted (tracked and untracked, not ignored) and returns the result of its work.
 * Idempotent: a second call commits nothing and returns the same commit. Call it when the agent has ended.
 */
export async function commitAll(git: Git, request: CommitRequest): Promise<CommitResult> {
  const { worktree, base } = request;
  if (await isUntouched(git, request))
    return { kind: 'result', commit: null, committed: false, changes: noChanges, embedded: [] };
  const departed = await departure(git, request);
  if (departed !== null) return departed;
  const unborn = await add(git, worktree);
  const embedded = [...(await unstageEmbedded(git, worktree)), ...unborn];
  // A finished merge is committed even if it changes no file: its second parent is its content.
  const dirty =
    (await stagedPaths(git, worktree)).length > 0 || (await resolveCommit(git, worktree, 'MERGE_HEAD')) !== null;
  if (dirty) await commit(git, request);
  const head = (await resolveCommit(git, worktree, 'HEAD')) ?? base;
  const changes = await changedFiles(git, worktree, base, head);
  return { kind: 'result', commit: head === base ? null : head, committed: dirty, changes, embedded };
}

const noChanges: Changes = { files: [], insertions: 0, deletions: 0, deleted: 0 };

/** The common case of a task that changes nothing, told by one call of git instead of ten. */
async function isUntouched(git: Git, { worktree, branch, base }: CommitRequest): Promise<boolean> {
  const [status, merging] = await Promise.all([
    git.attempt(worktree, ['status', '--porcelain=v2', '--branch', '-z', '--untracked-files=normal', '--no-renames']),
    isMerging(worktree),
  ]);
  const lines = fields(status.stdout);
  const told = [`# branch.oid ${base}`, `# branch.head ${branch}`].every((line) => lines.includes(line));
  return status.code === 0 && !merging && told && lines.every((line) => line.startsWith('# '));
}

/** Whether a merge was begun in the worktree and not finished. */
export async function isMerging(worktree: string): Promise<boolean> {
  return exists(join(await gitDirectory(worktree), 'MERGE_HEAD'));
}

async function departure(git: Git, request: CommitRequest): Promise<Departure | null> {
  const { worktree, branch, base } = request;
  const question = ['symbolic-ref', '--quiet', 'HEAD'];
  const symbolic = await git.attempt(worktree, question);
  // 1: HEAD is detached. Anything else is no deed of the agent: its repository was moved, or git could not look.
  if (symbolic.code > 1) throw gitFailure(question, symbolic);
  const actual = symbolic.code === 0 ? symbolic.stdout.trim().replace(/^refs\/heads\//, '') : null;
  if (actual !== branch) return { kind: 'branch_switched', expected: branch, actual };
  const head = await resolveCommit(git, worktree, 'HEAD');
  if (head === null || !(await isAncestor(git, worktree, base, head))) {
    return { kind: 'history_rewritten', base, head: head ?? '' };
  }
  const unmerged = await unmergedFiles(git, worktree);
  return unmerged.length > 0 ? { kind: 'unmerged', files: unmerged } : null;
}

/** Paths whose merge is not resolved in the index. */
export async function unmergedFiles(git: Git, worktree: string): Promise<string[]> {
  return fields(await git.run(worktree, ['diff', '--name-only', '-z', '--diff-filter=U', '--no-ext-diff']));
}

/** Returns the repositories without a commit that it had to leave out. */
async function add(git: Git, worktree: string): Promise<readonly string[]> {
  const first = await attemptAdd(git, worktree, '--all');
  if (first.result.code === 0) return first.unborn;
  if (!first.result.stderr.includes("index.lock': File exists") || !(await removeStaleLock(worktree)))
    throw gitFailure(['add'], first.result);
  const second = await attemptAdd(git, worktree, '--all');
  if (second.result.code !== 0) throw gitFailure(['add'], second.result);
  return second.unborn;
}

async function stagedPaths(git: Git, worktree: string): Promise<string[]> {
  return fields(
    await git.run(worktree, ['diff', '--cached', '--name-only', '-z', '--no-renames', '--no-ext-diff', 'HEAD']),
  );
}

/** New entries that point to a repository inside the worktree: a commit of them would hold none of their files. */
export async function embeddedRepositories(
  git: Git,
  worktree: string,
  call: { index?: string } = {},
): Promise<string[]> {
  const raw = fields(
    await git.run(worktree, ['diff', '--cached', '--raw', '-z', '--no-renames', '--no-ext-diff', 'HEAD'], call),
  );
  return raw.filter((_, at) => /^:\d+ 160000 \w+ \w+ A$/.test(raw[at - 1] ?? ''));
}

async function unstageEmbedded(git: Git, worktree: string): Promise<string[]> {
  const added = await embeddedRepositories(git, worktree);
  if (added.length === 0) return [];
  // A submodule that the agent registered properly is in .gitmodules, and is meant.
  const modules = await git.attempt(worktree, ['config', '--file', '.gitmodules', '--get-regexp', '\\.path$']);
  const registered = new Set(modules.stdout.split('\n').map((line) => line.slice(line.indexOf(' ') + 1)));
  const embedded = added.filter((path) => !registered.has(path));
  if (embedded.length > 0) await git.run(worktree, ['rm', '--cached', '--quiet', '--force', '--', ...embedded]);
  return embedded;
}

async function commit(git: Git, request: CommitRequest): Promise<void> {
  const author = request.author ?? (await git.identity(request.worktree));
  await git.run(
    request.worktree,
    ['commit', '--quiet', '--no-verify', '--cleanup=whitespace', `--message=${request.message}`],
    { author },
  );
}
