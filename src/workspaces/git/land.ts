import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { notFound } from '../../kernel/error.ts';
import { absent, commonDirectory, exists, gitDirectory, isFolder, removeStaleLock, writeWhole } from './folder.ts';
import { fields, gitFailure, isAncestor, resolveCommit, settle, type Git } from './git.ts';
import { mergeCommit, updateRef, type ConflictFile } from './merge.ts';
import { rescueCommit } from './rescue.ts';
import { listWorktrees } from './worktree.ts';

/** What keeps a branch from being moved. Nothing was changed. */
export type Blocked =
  /** A checkout of the branch has uncommitted changes, or untracked files where new files would be written. */
  | {
      readonly kind: 'dirty';
      readonly checkout: string;
      readonly files: readonly string[];
      readonly inTheWay: readonly string[];
    }
  /** A checkout of the branch is in the middle of something: `merge`, `rebase`, `cherry-pick`, `revert`. */
  | { readonly kind: 'busy'; readonly checkout: string; readonly operation: string }
  | { readonly kind: 'branch_moved'; readonly actual: string | null }
  /**
   * An earlier landing was interrupted after the branch had moved, and these files of the checkout were edited
   * since, so it cannot be completed without losing the edits.
   */
  | { readonly kind: 'interrupted'; readonly checkout: string; readonly files: readonly string[] };

export interface Landed {
  readonly kind: 'landed';
  readonly how: 'fast_forward' | 'merged';
  readonly branch: string;
  /** Where the branch was and where it is: what `undoLanding` needs. */
  readonly old: string;
  readonly new: string;
  /** The checkouts that were updated. */
  readonly checkouts: readonly string[];
}

export type Landing =
  | Landed
  | { readonly kind: 'up_to_date'; readonly branch: string; readonly head: string }
  | { readonly kind: 'conflict'; readonly files: readonly ConflictFile[] }
  | Blocked;

const journal = z.strictObject({
  branch: z.string(),
  /** What was to be landed; a repeated call with the same commit gets the same answer. */
  commit: z.string(),
  how: z.enum(['fast_forward', 'merged']),
  old: z.string(),
  new: z.string(),
  checkouts: z.array(z.string()),
  state: z.enum(['begun', 'done']),
});

/** What is written down before a branch moves, so that a crash can be completed. */
export type Journal = z.output<typeof journal>;

/**
 * Lands a commit on a branch of the user and updates the checkouts of that branch. A dirty checkout is never touched.
 * Order: journal, ref (compare-and-swap), checkouts, journal done. After a crash, a call with the same commit
 * completes what was begun and gives the same answer.
 */
export async function landOnBranch(
  git: Git,
  request: { repository: string; branch: string; commit: string; message: string },
): Promise<Landing> {
  const { repository, branch, commit, message } = request;
  return git.serially(repository, async () => {
    const earlier = await completeLanding(git, repository, branch);
    if (earlier !== null && earlier.kind !== 'landed') return earlier;
    const old = await resolveCommit(git, repository, `refs/heads/${branch}`);
    if (old === null) throw notFound('branch', branch, 'Give a branch that exists, or make it with `git branch`.');
    if (earlier !== null && earlier.commit === commit && earlier.new === old) return landedFrom(earlier);
    const merge = await mergeCommit(git, { repository, ours: old, theirs: commit, message });
    if (merge.kind === 'conflict') return merge;
    if (merge.kind === 'up_to_date') return { kind: 'up_to_date', branch, head: old };
    return moveBranch(git, repository, { branch, commit, how: merge.kind, old, new: merge.commit });
  });
}

/**
 * Takes a landing back, if the branch has not moved since. What no other branch, remote or tag holds goes to a rescue
 * ref first. Idempotent.
 */
export async function undoLanding(
  git: Git,
  request: { repository: string; branch: string; old: string; new: string },
): Promise<(Landed & { rescue: string | null }) | Blocked> {
  const { repository, branch } = request;
  return git.serially(repository, async () => {
    const earlier = await completeLanding(git, repository, branch);
    if (earlier !== null && earlier.kind !== 'landed') return earlier;
    const back = {
      branch,
      commit: `undo ${request.new}`,
      how: 'fast_forward' as const,
      old: request.new,
      new: request.old,
    };
    const actual = await resolveCommit(git, repository, `refs/heads/${branch}`);
    if (actual === request.old) return { ...landedFrom({ ...back, checkouts: [] }), rescue: null };
    if (actual !== request.new) return { kind: 'branch_moved', actual };
    const rescue = await keepLeaving(git, repository, request);
    const moved = await moveBranch(git, repository, back);
    return moved.kind === 'landed' ? { ...moved, rescue } : moved;
  });
}

/** Saves what only this branch holds and loses by going back; the branch that it landed from may be gone. */
async function keepLeaving(
  git: Git,
  repository: string,
  { branch, old, new: tip }: { branch: string; old: string; new: string },
): Promise<string | null> {
  const others = [`--exclude=refs/heads/${branch}`, '--glob=refs/heads', '--tags', '--remotes'];
  const leaving = await git.run(repository, ['rev-list', '--max-count=1', tip, '--not', old, ...others]);
  if (leaving.trim() === '') return null;
  const id = `undo-${branch.replaceAll('/', '-')}`;
  const saved = await rescueCommit(git, repository, { id, branch, commit: tip });
  return saved.kind === 'saved' ? saved.ref : null;
}

/** Landings that a crash interrupted, for the doctor. */
export async function unfinishedLandings(repository: string): Promise<Journal[]> {
  const folder = await journalFolder(repository);
  const names = ((await readdir(folder).catch(absent)) ?? []).filter((name) => name.endsWith('.json'));
  const all = await Promise.all(names.map((name) => readJournal(join(folder, name))));
  return all.filter((entry) => entry !== null && entry.state === 'begun').filter((entry) => entry !== null);
}

/** Completes the landing on `branch` that a crash interrupted, if there is one. */
export async function resumeLanding(git: Git, repository: string, branch: string): Promise<Landed | Blocked | null> {
  return git.serially(repository, async () => {
    const result = await completeLanding(git, repository, branch);
    return result === null || result.kind !== 'landed' ? result : landedFrom(result);
  });
}

function landedFrom(entry: Omit<Journal, 'state' | 'commit'>): Landed {
  const { branch, how, old, checkouts } = entry;
  return { kind: 'landed', how, branch, old, new: entry.new, checkouts };
}

async function moveBranch(
  git: Git,
  repository: string,
  move: Omit<Journal, 'checkouts' | 'state'>,
): Promise<Landed | Blocked> {
  const checkouts: string[] = [];
  for (const worktree of await listWorktrees(git, repository)) {
    const here = worktree.branch === move.branch;
    const operation = (await isFolder(worktree.path)) ? await operationOn(worktree.path, move.branch, here) : null;
    if (operation !== null) return { kind: 'busy', checkout: worktree.path, operation };
    if (here && (await isFolder(worktree.path))) checkouts.push(worktree.path);
  }
  for (const checkout of checkouts) {
    const blocked = await dirt(git, checkout, move.old, move.new);
    if (blocked !== null) return blocked;
  }
  const entry: Journal = { ...move, checkouts, state: 'begun' };
  await writeJournal(repository, entry);
  const update = await updateRef(git, {
    // In a checkout of the branch, git notes the move in the reflog of its HEAD as well.
    at: checkouts[0] ?? repository,
    ref: `refs/heads/${move.branch}`,
    new: move.new,
    old: move.old,
    reason: 'maos: land',
  });
  if (update.kind === 'moved') {
    await writeJournal(repository, { ...entry, state: 'done' });
    return { kind: 'branch_moved', actual: update.actual };
  }
  for (const checkout of checkouts) {
    const blocked = await switchFiles(git, checkout, move.old, move.new);
    if (blocked !== null) return blocked;
  }
  await writeJournal(repository, { ...entry, state: 'done' });
  return landedFrom(entry);
}

const operations: readonly (readonly [file: string, name: string])[] = [
  ['MERGE_HEAD', 'merge'],
  ['CHERRY_PICK_HEAD', 'cherry-pick'],
  ['REVERT_HEAD', 'revert'],
  ['rebase-merge', 'rebase'],
  ['rebase-apply', 'rebase'],
];

/** What a checkout is in the middle of, as far as it concerns the branch. A rebase detaches HEAD and notes its branch. */
async function operationOn(checkout: string, branch: string, here: boolean): Promise<string | null> {
  const directory = await gitDirectory(checkout);
  for (const [file, name] of operations) {
    const path = join(directory, file);
    if (!(await exists(path))) continue;
    if (here) return name;
    const rebased = await readFile(join(path, 'head-name'), 'utf8').catch(absent);
    if (rebased?.trim() === `refs/heads/${branch}`) return name;
  }
  return null;
}

/** Why the files of a checkout cannot go from `old` to `new`, or null when they can. */
async function dirt(git: Git, checkout: string, old: string, target: string): Promise<Blocked | null> {
  const status = await git.run(checkout, [
    'status',
    '--porcelain',
    '-z',
    '--no-renames',
    '--untracked-files=no',
    '--ignore-submodules=dirty',
  ]);
  const files = fields(status).map((entry) => entry.slice(3));
  const tracked = new Set(fields(await git.run(checkout, ['ls-files', '-z'])));
  const inTheWay = new Set<string>();
  for (const { path } of (await changes(git, checkout, old, target)).filter((change) => change.oldBlob === null)) {
    // A folder above the new file may be an untracked file today.
    for (let place = path; place !== '.'; place = dirname(place)) {
      const found = await lstat(join(checkout, place)).catch(absent);
      if (found === null || tracked.has(place)) continue;
      if (place !== path && found.isDirectory()) break;
      if (place !== path || !found.isDirectory() || (await holdsUntracked(join(checkout, place), place, tracked)))
        inTheWay.add(place);
    }
  }
  if (files.length === 0 && inTheWay.size === 0) return null;
  return { kind: 'dirty', checkout, files, inTheWay: [...inTheWay] };
}

async function holdsUntracked(folder: string, name: string, tracked: ReadonlySet<string>): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.some(
    (entry) => !entry.isDirectory() && !tracked.has(name + entry.parentPath.slice(folder.length) + '/' + entry.name),
  );
}

interface BlobChange {
  readonly path: string;
  readonly oldBlob: string | null;
  readonly newBlob: string | null;
}

async function changes(git: Git, at: string, old: string, target: string): Promise<BlobChange[]> {
  const raw = fields(await git.run(at, ['diff-tree', '-r', '-z', '--raw', '--no-renames', old, target]));
  const blob = (oid: string | undefined): string | null => (oid === undefined || /^0+$/.test(oid) ? null : oid);
  return raw.flatMap((entry, index) => {
    if (!entry.startsWith(':')) return [];
    const [, , oldBlob, newBlob] = entry.split(' ');
    return [{ path: raw[index + 1] ?? '', oldBlob: blob(oldBlob), newBlob: blob(newBlob) }];
  });
}

/** Brings index and files from `old` to `new`; git itself refuses to touch a file that is neither. */
async function switchFiles(git: Git, checkout: string, old: string, target: string): Promise<Blocked | null> {
  // Refreshes what git knows of unchanged files; its exit code only says that some are changed.
  await git.attempt(checkout, ['update-index', '-q', '--refresh']);
  const result = await git.attempt(checkout, ['read-tree', '-m', '-u', old, target]);
  if (result.code === 0) return null;
  if (result.stderr.includes(".lock': File exists")) throw gitFailure(['read-tree'], result);
  const files = [...result.stderr.matchAll(/(?:Entry|file) '(.*?)'/g)].map((match) => match[1] ?? '');
  return { kind: 'interrupted', checkout, files: files.length > 0 ? files : [result.stderr.trim()] };
}

/** Returns null when there is no journal, the journal when its landing is complete, or what blocks its completion. */
async function completeLanding(
  git: Git,
  repository: string,
  branch: string,
): Promise<(Journal & { kind: 'landed' }) | Blocked | null> {
  const entry = await readJournal(await journalPath(repository, branch));
  if (entry === null) return null;
  if (entry.state === 'done') return { ...entry, kind: 'landed' };
  for (const checkout of [repository, ...entry.checkouts]) await settle(git, checkout);
  const tip = await resolveCommit(git, repository, `refs/heads/${branch}`);
  // The crash came before the branch moved: nothing has happened. The branch may also have moved on from `new` since.
  const moved =
    tip !== null && (tip === entry.new || (tip !== entry.old && (await isAncestor(git, repository, entry.new, tip))));
  if (moved) {
    for (const checkout of entry.checkouts) {
      const blocked = await recover(git, checkout, entry, tip === entry.new);
      if (blocked !== null) return blocked;
    }
  }
  const done: Journal = { ...entry, state: 'done' };
  await writeJournal(repository, done);
  return moved ? { ...done, kind: 'landed' } : null;
}

/** Completes the files of one checkout after a crash in the middle of `switchFiles`. */
async function recover(git: Git, checkout: string, entry: Journal, unmoved: boolean): Promise<Blocked | null> {
  if (!(await isFolder(checkout))) return null;
  const here = await git.attempt(checkout, ['symbolic-ref', '--quiet', '--short', 'HEAD']);
  const staged = await git.attempt(checkout, ['diff-index', '--cached', '--quiet', entry.new]);
  // Somebody has checked out another branch meanwhile, has committed, or the files were complete already.
  if (here.stdout.trim() !== entry.branch || staged.code === 0 || !unmoved) return null;
  await removeStaleLock(checkout);
  const written: string[] = [];
  for (const change of await changes(git, checkout, entry.old, entry.new)) {
    if (change.newBlob !== null && (await completed(git, checkout, change.path, change.newBlob)))
      written.push(change.path);
  }
  // Git takes what is staged as it is in `new` for done already, and carries on with the rest.
  const input = written.map((path) => `${path}\0`).join('');
  if (written.length > 0) await git.run(checkout, ['update-index', '--add', '--replace', '-z', '--stdin'], { input });
  return switchFiles(git, checkout, entry.old, entry.new);
}

/** Whether a file is as `blob` says. One that was cut off while it was written is taken away, to be written again. */
async function completed(git: Git, checkout: string, path: string, blob: string): Promise<boolean> {
  const place = join(checkout, path);
  const found = await lstat(place).catch(absent);
  if (found === null || found.isDirectory()) return false;
  const wanted = await git.run(checkout, ['cat-file', '-p', blob]);
  if (found.isSymbolicLink()) return (await readlink(place)) === wanted;
  if ((await git.run(checkout, ['hash-object', '--', path])).trim() === blob) return true;
  const text = await readFile(place, 'utf8');
  if (text.length < wanted.length && wanted.startsWith(text)) await rm(place);
  return false;
}

async function journalFolder(repository: string): Promise<string> {
  return join(await commonDirectory(repository), 'maos', 'landing');
}

async function journalPath(repository: string, branch: string): Promise<string> {
  const name = createHash('sha256').update(branch).digest('hex').slice(0, 16);
  return join(await journalFolder(repository), `${name}.json`);
}

async function readJournal(path: string): Promise<Journal | null> {
  const text = await readFile(path, 'utf8').catch(absent);
  return text === null ? null : journal.parse(JSON.parse(text));
}

async function writeJournal(repository: string, entry: Journal): Promise<void> {
  await mkdir(await journalFolder(repository), { recursive: true });
  await writeWhole(await journalPath(repository, entry.branch), JSON.stringify(entry));
}
