import { attemptAdd } from './add.ts';
import { withIndexCopy } from './folder.ts';
import { fields, gitFailure, type Git } from './git.ts';

export interface FileChange {
  readonly path: string;
  readonly kind: 'added' | 'modified' | 'deleted' | 'type_changed' | 'conflicted';
  /** Lines; both 0 for a binary file. */
  readonly insertions: number;
  readonly deletions: number;
  readonly binary: boolean;
}

export interface Changes {
  readonly files: readonly FileChange[];
  readonly insertions: number;
  readonly deletions: number;
  /** How many files are gone: a mass deletion is worth a second look before it lands. */
  readonly deleted: number;
}

export interface WorktreeStatus extends Changes {
  readonly head: string;
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  /** Commits that HEAD has and the base has not. */
  readonly ahead: number;
  /** Paths with changes that no commit holds yet, untracked ones included. */
  readonly uncommitted: readonly string[];
  readonly untracked: readonly string[];
}

const diffFlags = ['--no-renames', '--no-ext-diff', '--no-textconv', '--ignore-submodules=dirty'];

/** All that a worktree changed since `base`: commits, uncommitted changes and untracked files. Touches nothing. */
export async function worktreeStatus(git: Git, worktree: string, base: string): Promise<WorktreeStatus> {
  const [porcelain, ahead] = await Promise.all([
    git.run(worktree, ['status', '--porcelain=v2', '--branch', '-z', '--untracked-files=all', '--no-renames']),
    git.run(worktree, ['rev-list', '--count', `${base}..HEAD`]),
  ]);
  const entries = fields(porcelain);
  const header = (name: string): string | undefined =>
    entries.find((entry) => entry.startsWith(`# ${name} `))?.slice(name.length + 3);
  const branch = header('branch.head');
  const untracked = entries.filter((entry) => entry.startsWith('? ')).map((entry) => entry.slice(2));
  const tracked = entries
    .filter((entry) => /^[12u] /.test(entry))
    .map((entry) =>
      entry
        .split(' ')
        .slice(entry.startsWith('u') ? 10 : 8)
        .join(' '),
    );
  const changes = await withUntracked(git, worktree, untracked.length > 0, (index) =>
    diffChanges(git, worktree, [base], index),
  );
  return {
    ...changes,
    head: header('branch.oid') ?? '',
    branch: branch === undefined || branch === '(detached)' ? null : branch,
    ahead: Number(ahead),
    uncommitted: [...tracked, ...untracked],
    untracked,
  };
}

/** What changed between two commits. */
export function changedFiles(git: Git, repository: string, from: string, to: string): Promise<Changes> {
  return diffChanges(git, repository, [from, to]);
}

/** The patch from `from` to the commit `to`, or to the files of the worktree (untracked ones included) when `to` is null. */
export async function diffText(
  git: Git,
  at: string,
  from: string,
  to: string | null,
  limit = 1_000_000,
): Promise<{ text: string; truncated: boolean }> {
  const patch = await withUntracked(git, at, to === null, (index) =>
    git.run(at, ['diff', ...diffFlags, from, ...(to === null ? [] : [to]), '--'], index),
  );
  if (patch.length <= limit) return { text: patch, truncated: false };
  // Cut at the end of a line, so that what is shown is at least readable.
  return { text: patch.slice(0, patch.lastIndexOf('\n', limit) + 1), truncated: true };
}

export interface Expectation {
  /** Changed files that no pattern covers. */
  readonly unexpected: readonly string[];
  /** Patterns that no changed file matches. */
  readonly untouched: readonly string[];
}

/**
 * Compares what changed with the globs of a task's `expects`. Git matches them, since its `**` covers files
 * that start with a dot as well.
 */
export async function checkExpectations(
  git: Git,
  repository: string,
  range: { from: string; to: string },
  patterns: readonly string[],
): Promise<Expectation> {
  const names = async (...specs: string[]): Promise<string[]> =>
    fields(
      await git.run(repository, ['diff', '--name-only', '-z', ...diffFlags, range.from, range.to, '--', ...specs]),
    );
  if (patterns.length === 0) return { unexpected: [], untouched: [] };
  const [unexpected, ...matches] = await Promise.all([
    names(':(top)', ...patterns.map((pattern) => `:(top,exclude,glob)${pattern}`)),
    ...patterns.map((pattern) => names(`:(top,glob)${pattern}`)),
  ]);
  return { unexpected, untouched: patterns.filter((_, index) => matches[index]?.length === 0) };
}

/** Lets git see untracked files as added, in a copy of the index. */
async function withUntracked<T>(
  git: Git,
  at: string,
  wanted: boolean,
  task: (call: { index?: string }) => Promise<T>,
): Promise<T> {
  if (!wanted) return task({});
  return withIndexCopy(at, async (index) => {
    const { result } = await attemptAdd(git, at, '--intent-to-add', { index });
    if (result.code !== 0) throw gitFailure(['add'], result);
    return task({ index });
  });
}

const kinds: Readonly<Record<string, FileChange['kind']>> = {
  A: 'added',
  M: 'modified',
  D: 'deleted',
  T: 'type_changed',
  U: 'conflicted',
};

async function diffChanges(
  git: Git,
  at: string,
  range: readonly string[],
  call: { index?: string } = {},
): Promise<Changes> {
  const output = fields(await git.run(at, ['diff', '--raw', '--numstat', '-z', ...diffFlags, ...range, '--'], call));
  const states = new Map<string, FileChange['kind']>();
  const files = new Map<string, FileChange>();
  for (let index = 0; index < output.length; index += 1) {
    const entry = output[index] ?? '';
    if (entry.startsWith(':')) {
      index += 1;
      const path = output[index] ?? '';
      // A conflicted path stands twice: once as U, once with its change.
      if (states.get(path) !== 'conflicted')
        states.set(path, kinds[entry.split(' ')[4]?.charAt(0) ?? ''] ?? 'modified');
      continue;
    }
    const [insertions = '', deletions = '', ...rest] = entry.split('\t');
    const path = rest.join('\t');
    files.set(path, {
      path,
      kind: states.get(path) ?? 'modified',
      insertions: Number(insertions) || 0,
      deletions: Number(deletions) || 0,
      binary: insertions === '-',
    });
  }
  return summary([...files.values()]);
}

function summary(files: readonly FileChange[]): Changes {
  const sum = (pick: (file: FileChange) => number): number => files.reduce((total, file) => total + pick(file), 0);
  return {
    files,
    insertions: sum((file) => file.insertions),
    deletions: sum((file) => file.deletions),
    deleted: files.filter((file) => file.kind === 'deleted').length,
  };
}
