import { createHash } from 'node:crypto';
import { conflict, notFound } from '../../kernel/error.ts';
import { attemptAdd } from './add.ts';
import { embeddedRepositories } from './commit.ts';
import { withIndexCopy } from './folder.ts';
import { gitFailure, resolveCommit, type Git } from './git.ts';
import { attachWorktree } from './worktree.ts';

/** Everything that a worktree holds, as git objects. Making it leaves the worktree and its index as they are. */
export interface Snapshot {
  readonly head: string;
  /** The tree of all files that git does not ignore. */
  readonly tree: string;
  /** The tree of the index, or null when it is not resolved or says nothing that `head` and `tree` do not say. */
  readonly index: string | null;
  /** Where the workspace's branch points, or null when it is gone. */
  readonly tip: string | null;
  /** Commits that only the reflog of this worktree still knows: amended, reset or rebased away. */
  readonly dropped: readonly string[];
  /** Repositories inside the worktree, whose files git cannot hold. */
  readonly embedded: readonly string[];
}

export interface Rescue {
  readonly ref: string;
  readonly id: string;
  readonly number: number;
  readonly commit: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly branch: string;
  readonly head: string;
  readonly tree: string;
  readonly index: string | null;
}

export type Rescued =
  | { readonly kind: 'saved'; readonly ref: string; readonly commit: string; readonly snapshot: Snapshot }
  /** Every commit is reachable from another branch, remote or tag, and there is nothing uncommitted. */
  | { readonly kind: 'reachable'; readonly snapshot: Snapshot };

interface Place {
  readonly worktree: string;
  readonly branch: string;
}

/** Reads the state of a worktree into objects; writes no ref. */
export async function takeSnapshot(git: Git, place: Place): Promise<Snapshot> {
  const { worktree, branch } = place;
  const head = await resolveCommit(git, worktree, 'HEAD');
  if (head === null) {
    throw conflict(`${worktree} has no HEAD commit.`, {
      fix: 'Run `maos doctor`; it says how to bring the branch back.',
    });
  }
  const [headTree, tip] = await Promise.all([
    git.run(worktree, ['rev-parse', `${head}^{tree}`]),
    resolveCommit(git, worktree, `refs/heads/${branch}`),
  ]);
  return withIndexCopy(worktree, async (index) => {
    const staged = await git.attempt(worktree, ['write-tree'], { index });
    const { result, unborn } = await attemptAdd(git, worktree, '--all', { index });
    if (result.code !== 0) throw gitFailure(['add'], result);
    const tree = (await git.run(worktree, ['write-tree'], { index })).trim();
    const indexTree = staged.code === 0 ? staged.stdout.trim() : tree;
    return {
      head,
      tree,
      index: indexTree === tree || indexTree === headTree.trim() ? null : indexTree,
      tip,
      dropped: await droppedCommits(git, worktree, head),
      embedded: [...(await embeddedRepositories(git, worktree, { index })), ...unborn],
    };
  });
}

async function droppedCommits(git: Git, worktree: string, head: string): Promise<string[]> {
  const log = await git.attempt(worktree, ['reflog', 'show', '--format=%H', '-n', '200', 'HEAD']);
  const seen = [...new Set(log.stdout.split('\n').filter((line) => line !== '' && line !== head))];
  if (log.code !== 0 || seen.length === 0) return [];
  // Rescue refs do not count: saving a state must not change what the same state looks like the next time.
  const shared = ['--not', head, '--branches', '--tags', '--remotes'];
  const lost = (await git.run(worktree, ['rev-list', '--no-walk=unsorted', ...seen, ...shared]))
    .split('\n')
    .filter((line) => line !== '');
  if (lost.length < 2) return lost;
  const tips = await git.run(worktree, ['merge-base', '--independent', ...lost]);
  return tips.split('\n').filter((line) => line !== '');
}

/** Whether losing the worktree and its branch would lose nothing. */
export async function isReachable(git: Git, place: Place, snapshot: Snapshot): Promise<boolean> {
  const headTree = (await git.run(place.worktree, ['rev-parse', `${snapshot.head}^{tree}`])).trim();
  if (snapshot.tree !== headTree || snapshot.index !== null || snapshot.dropped.length > 0) return false;
  // The tree does not show a repository without a commit, but its files are there.
  if (snapshot.embedded.length > 0) return false;
  return (await unreachableCommits(git, place.worktree, place.branch, tips(snapshot))).length === 0;
}

/** Commits that no branch but `branch`, no remote branch and no tag contains. Newest first. */
export async function unreachableCommits(
  git: Git,
  at: string,
  branch: string,
  from: readonly string[],
): Promise<string[]> {
  const others = ['--not', `--exclude=refs/heads/${branch}`, '--glob=refs/heads', '--tags', '--remotes'];
  return (await git.run(at, ['rev-list', ...from, ...others])).split('\n').filter((line) => line !== '');
}

function tips(snapshot: Snapshot): string[] {
  return [...new Set([snapshot.head, ...(snapshot.tip === null ? [] : [snapshot.tip])])];
}

/**
 * Saves all that a worktree holds under `refs/maos/rescue/<id>/<n>`, unless all of it is reachable elsewhere.
 * Idempotent: the same state is saved once.
 */
export async function rescue(git: Git, place: Place & { readonly id: string }): Promise<Rescued> {
  const snapshot = await takeSnapshot(git, place);
  if (await isReachable(git, place, snapshot)) return { kind: 'reachable', snapshot };
  return save(git, place, snapshot);
}

/** Saves a snapshot that was taken before. */
export async function save(
  git: Git,
  place: Place & { readonly id: string },
  snapshot: Snapshot,
): Promise<Rescued & { kind: 'saved' }> {
  const { worktree, id } = place;
  const state = stateOf(snapshot, place.branch);
  const earlier = await readRescues(git, worktree, id);
  const same = earlier.find((entry) => entry.state === state);
  if (same !== undefined) return { kind: 'saved', ref: same.ref, commit: same.commit, snapshot };
  const commit = await saveCommit(git, place, snapshot, state);
  for (let number = (earlier.at(-1)?.number ?? 0) + 1; ; number += 1) {
    const ref = `refs/maos/rescue/${id}/${number}`;
    // "Must not exist yet": a rescue ref is never overwritten.
    const made = await git.attempt(worktree, ['update-ref', ref, commit, '0'.repeat(commit.length)]);
    if (made.code === 0) return { kind: 'saved', ref, commit, snapshot };
    if ((await resolveCommit(git, worktree, ref)) === null) throw gitFailure(['update-ref'], made);
  }
}

/** Saves commits alone, for a branch whose folder has vanished. */
export async function rescueCommit(
  git: Git,
  repository: string,
  place: { id: string; branch: string; commit: string },
): Promise<Rescued> {
  const tree = (await git.run(repository, ['rev-parse', `${place.commit}^{tree}`])).trim();
  const snapshot: Snapshot = { head: place.commit, tree, index: null, tip: place.commit, dropped: [], embedded: [] };
  const where = { worktree: repository, branch: place.branch, id: place.id };
  return (await isReachable(git, where, snapshot)) ? { kind: 'reachable', snapshot } : save(git, where, snapshot);
}

function stateOf(snapshot: Snapshot, branch: string): string {
  return createHash('sha256')
    .update(JSON.stringify([snapshot, branch]))
    .digest('hex');
}

async function saveCommit(git: Git, place: Place & { id: string }, snapshot: Snapshot, state: string): Promise<string> {
  const { worktree, branch, id } = place;
  const author = await git.identity(worktree);
  const make = async (tree: string, parents: readonly string[], message: string): Promise<string> => {
    const args = ['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent]), '-m', message];
    return (await git.run(worktree, args, { author })).trim();
  };
  const parents = [...new Set([...tips(snapshot), ...snapshot.dropped])];
  if (snapshot.index !== null) parents.push(await make(snapshot.index, [snapshot.head], `Index of ${id}`));
  const trailers = [
    `Maos-Branch: ${branch}`,
    `Maos-Head: ${snapshot.head}`,
    ...(snapshot.index === null ? [] : [`Maos-Index: ${snapshot.index}`]),
    `Maos-State: ${state}`,
  ];
  return make(snapshot.tree, parents, `Rescue of ${id}\n\n${trailers.join('\n')}`);
}

/** The rescues of one workspace, or of all, oldest first. */
export async function listRescues(git: Git, repository: string, id?: string): Promise<Rescue[]> {
  return (await readRescues(git, repository, id)).map(({ state: _state, ...entry }) => entry);
}

async function readRescues(git: Git, repository: string, id?: string): Promise<(Rescue & { state: string })[]> {
  const format = '%(refname)%00%(objectname)%00%(tree)%00%(creatordate:unix)%00%(contents)%01';
  const output = await git.run(repository, ['for-each-ref', `--format=${format}`, `refs/maos/rescue/${id ?? ''}`]);
  const entries = output.split('\x01').map((block) => block.trimStart());
  return entries
    .filter((block) => block !== '')
    .map((block) => {
      const [ref = '', commit = '', tree = '', seconds = '', message = ''] = block.split('\0');
      const trailer = (name: string): string | null => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1] ?? null;
      const [owner = '', number = ''] = ref.slice('refs/maos/rescue/'.length).split('/');
      return {
        ref,
        id: owner,
        number: Number(number),
        commit,
        at: Number(seconds) * 1000,
        branch: trailer('Maos-Branch') ?? '',
        head: trailer('Maos-Head') ?? commit,
        tree,
        index: trailer('Maos-Index'),
        state: trailer('Maos-State') ?? '',
      };
    })
    .toSorted((a, b) => (a.id === b.id ? a.number - b.number : a.id < b.id ? -1 : 1));
}

/** Makes a branch that holds all of a rescue, uncommitted files included, as commits. Idempotent. */
export async function restoreBranch(git: Git, repository: string, ref: string, branch: string): Promise<string> {
  const commit = await resolveCommit(git, repository, ref);
  if (commit === null) throw notFound('rescue', ref, 'List what was rescued with `maos trash`.');
  await makeBranch(git, repository, branch, commit);
  return commit;
}

/** Brings a rescued worktree back: the branch at its commit, uncommitted and staged changes as they were. */
export async function restoreWorktree(
  git: Git,
  wanted: { repository: string; ref: string; branch: string; path: string },
): Promise<Rescue> {
  const { repository, ref, branch, path } = wanted;
  const found = (await listRescues(git, repository)).find((entry) => entry.ref === ref);
  if (found === undefined) throw notFound('rescue', ref, 'List what was rescued with `maos trash`.');
  await makeBranch(git, repository, branch, found.head);
  const added = await attachWorktree(git, { repository, path, branch });
  if (added.kind === 'present') {
    // Called again: either nothing was restored yet, or all of it, or somebody works here already.
    const now = await takeSnapshot(git, { worktree: path, branch });
    if (now.tree === found.tree) return found;
    if (now.tree !== (await git.run(path, ['rev-parse', `${found.head}^{tree}`])).trim()) {
      throw conflict(`${path} is in use.`, { fix: 'Restore to another path and branch.' });
    }
  }
  await git.run(path, ['read-tree', '--reset', '-u', found.tree]);
  await restoreIndex(git, path, found);
  return found;
}

/** Sets the index as it was saved; files stay as they are. */
export async function restoreIndex(
  git: Git,
  worktree: string,
  saved: { head: string; index: string | null },
): Promise<void> {
  await git.run(worktree, ['read-tree', saved.index ?? saved.head]);
  // Exit code 1 only says that some files differ from the index.
  await git.attempt(worktree, ['update-index', '-q', '--refresh']);
}

/** Makes a branch at a commit; one that is there already at that commit will do. */
export async function makeBranch(git: Git, repository: string, branch: string, commit: string): Promise<void> {
  const made = await git.attempt(repository, ['update-ref', `refs/heads/${branch}`, commit, '0'.repeat(commit.length)]);
  if (made.code === 0) return;
  const tip = await resolveCommit(git, repository, `refs/heads/${branch}`);
  if (tip === commit) return;
  throw conflict(
    tip === null
      ? `The branch "${branch}" cannot be made: ${made.stderr.trim()}`
      : `The branch "${branch}" exists already.`,
    {
      fix: 'Give another branch name.',
    },
  );
}

/** Drops a rescue for good; refuses when the ref no longer names `commit`. */
export async function dropRescue(git: Git, repository: string, ref: string, commit: string): Promise<void> {
  if (!ref.startsWith('refs/maos/rescue/')) throw notFound('rescue', ref, 'List what was rescued with `maos trash`.');
  await git.run(repository, ['update-ref', '-d', ref, commit]);
}
