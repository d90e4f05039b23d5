import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { AppError, conflict, notFound } from '../../kernel/error.ts';
import { absent, exists, isFolder, writeWhole } from './folder.ts';
import { resolveCommit, settle, type Git } from './git.ts';
import {
  isReachable,
  makeBranch,
  rescueCommit,
  restoreIndex,
  save,
  takeSnapshot,
  unreachableCommits,
  type Snapshot,
} from './rescue.ts';
import { worktreeStatus } from './status.ts';
import { attachWorktree, findWorktree, forget, listWorktrees } from './worktree.ts';

/** A workspace, as far as its removal is concerned. */
export interface Doomed {
  readonly repository: string;
  readonly id: string;
  readonly path: string;
  readonly branch: string;
}

/** What a removal would take away, and the token that says "exactly this". */
export interface RemovalPlan {
  /** `discard-` and a hash of workspace, HEAD, branch, files and index: it is stale after any change. */
  readonly token: string;
  /** True when all commits are reachable elsewhere and nothing is uncommitted. */
  readonly safe: boolean;
  /** Commits that no other branch, remote or tag contains; newest first. */
  readonly commits: readonly { readonly commit: string; readonly subject: string }[];
  /** Paths with changes that no commit holds. */
  readonly uncommitted: readonly string[];
  /** Repositories inside the worktree; only the trash keeps their files. */
  readonly embedded: readonly string[];
}

export type Removal =
  | {
      readonly kind: 'removed';
      readonly rescue: string | null;
      readonly trashed: boolean;
      readonly branchKept: boolean;
    }
  /** The token names another state; this is the plan for the state of now. */
  | { readonly kind: 'stale'; readonly plan: RemovalPlan };

const trashEntry = z.strictObject({
  id: z.string(),
  path: z.string(),
  branch: z.string(),
  head: z.string(),
  /** Where the branch pointed; it is deleted only as long as it still points there. */
  tip: z.string().nullable(),
  index: z.string().nullable(),
  rescue: z.string().nullable(),
  token: z.string(),
});

/** A removed workspace: enough to finish an interrupted removal, and to bring it back. */
export type TrashEntry = z.output<typeof trashEntry>;

/** What a removal would lose, without removing anything. */
export async function removalPlan(git: Git, doomed: Doomed): Promise<RemovalPlan> {
  if (await isFolder(doomed.path)) {
    return describe(git, doomed, await takeSnapshot(git, { worktree: doomed.path, branch: doomed.branch }));
  }
  const tip = await resolveCommit(git, doomed.repository, `refs/heads/${doomed.branch}`);
  const commits = tip === null ? [] : await unreachableCommits(git, doomed.repository, doomed.branch, [tip]);
  return {
    token: tokenOf(doomed.id, vanished(tip)),
    safe: commits.length === 0,
    commits: await subjects(git, doomed.repository, commits.slice(0, 50)),
    uncommitted: [],
    embedded: [],
  };
}

/** What is left to lose when the folder was deleted by hand: the branch. */
function vanished(tip: string | null): Snapshot {
  return { head: tip ?? '', tree: '', index: null, tip, dropped: [], embedded: [] };
}

async function describe(git: Git, doomed: Doomed, snapshot: Snapshot): Promise<RemovalPlan> {
  const { path, branch, id } = doomed;
  const from = [snapshot.head, ...(snapshot.tip === null ? [] : [snapshot.tip]), ...snapshot.dropped];
  const [status, commits, safe] = await Promise.all([
    worktreeStatus(git, path, snapshot.head),
    unreachableCommits(git, path, branch, from),
    isReachable(git, { worktree: path, branch }, snapshot),
  ]);
  return {
    token: tokenOf(id, snapshot),
    safe,
    commits: await subjects(git, path, commits.slice(0, 50)),
    uncommitted: status.uncommitted,
    embedded: snapshot.embedded,
  };
}

async function subjects(git: Git, at: string, commits: readonly string[]): Promise<RemovalPlan['commits']> {
  if (commits.length === 0) return [];
  const lines = (await git.run(at, ['log', '--no-walk=unsorted', '--format=%H %s', ...commits])).trimEnd().split('\n');
  return lines.map((line) => ({
    commit: line.slice(0, line.indexOf(' ')),
    subject: line.slice(line.indexOf(' ') + 1),
  }));
}

function tokenOf(id: string, snapshot: Snapshot): string {
  const { head, tip, tree, index, dropped } = snapshot;
  const state = JSON.stringify([id, head, tip, tree, index, dropped]);
  return `discard-${createHash('sha256').update(state).digest('hex').slice(0, 12)}`;
}

/**
 * Removes a worktree and its branch, in an order in which a crash at any point loses nothing: (1) rescue ref,
 * (2) trash entry, (3) the folder moves aside, (4) git forgets the worktree, (5) the branch goes if it has not moved.
 * Calling it again with the same token finishes what was begun. `trash` must be on the file system of the worktree.
 */
export async function removeWorktree(
  git: Git,
  request: Doomed & { readonly trash: string; readonly token: string },
): Promise<Removal> {
  return git.serially(request.repository, async () => {
    const begun = await readTrash(request.trash, request.id);
    if (!(await isFolder(request.path))) return resume(git, request, begun);
    await settle(git, request.path);
    const snapshot = await takeSnapshot(git, { worktree: request.path, branch: request.branch });
    if (tokenOf(request.id, snapshot) !== request.token) {
      return { kind: 'stale', plan: await describe(git, request, snapshot) };
    }
    const place = { worktree: request.path, branch: request.branch, id: request.id };
    const reachable = await isReachable(git, place, snapshot);
    const rescue = reachable ? null : (await save(git, place, snapshot)).ref;
    const { id, path, branch, token } = request;
    const entry: TrashEntry = {
      id,
      path,
      branch,
      token,
      rescue,
      head: snapshot.head,
      tip: snapshot.tip,
      index: snapshot.index,
    };
    await moveAside(request.trash, entry);
    return finish(git, request.repository, request.trash, entry);
  });
}

/** The folder is gone: the removal was interrupted, or is done, or somebody deleted the folder by hand. */
async function resume(
  git: Git,
  request: Doomed & { trash: string; token: string },
  begun: TrashEntry | null,
): Promise<Removal> {
  const { repository, trash, id, path, branch, token } = request;
  if (begun !== null) return finish(git, repository, trash, begun);
  const tip = await resolveCommit(git, repository, `refs/heads/${branch}`);
  const listed = await findWorktree(git, repository, path);
  if (tip === null && listed === null) return { kind: 'removed', rescue: null, trashed: false, branchKept: false };
  const head = tip ?? listed?.head ?? null;
  if (tokenOf(id, vanished(tip)) !== token) return { kind: 'stale', plan: await removalPlan(git, request) };
  const saved = head === null ? null : await rescueCommit(git, repository, { id, branch, commit: head });
  const rescue = saved?.kind === 'saved' ? saved.ref : null;
  const entry: TrashEntry = { id, path, branch, token, rescue, head: head ?? '', tip, index: null };
  await mkdir(join(trash, id), { recursive: true });
  await writeWhole(join(trash, id, 'entry.json'), JSON.stringify(entry));
  return finish(git, repository, trash, entry);
}

async function moveAside(trash: string, entry: TrashEntry): Promise<void> {
  const folder = join(trash, entry.id);
  if (await exists(join(folder, 'files'))) {
    throw conflict(`The trash holds files of ${entry.id} already.`, { fix: `Move ${folder} away, then try again.` });
  }
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, 'entry.json'), JSON.stringify(entry));
  await rename(entry.path, join(folder, 'files')).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EXDEV') {
      throw new AppError('invalid', `The trash ${trash} is on another file system than ${entry.path}.`, {
        fix: 'Put the trash beside the worktrees.',
      });
    }
    throw error;
  });
}

async function finish(git: Git, repository: string, trash: string, entry: TrashEntry): Promise<Removal> {
  await forget(git, repository, entry.path);
  const holder = (await listWorktrees(git, repository)).find((worktree) => worktree.branch === entry.branch);
  const ref = `refs/heads/${entry.branch}`;
  const tip = await resolveCommit(git, repository, ref);
  // A branch that moved since, or that somebody has checked out, is somebody's work.
  const deletable = tip !== null && tip === entry.tip && holder === undefined;
  if (deletable) await git.run(repository, ['update-ref', '-d', ref, tip]);
  return {
    kind: 'removed',
    rescue: entry.rescue,
    trashed: await exists(join(trash, entry.id, 'files')),
    branchKept: tip !== null && !deletable,
  };
}

/** What the trash knows of one workspace, or null. */
export async function readTrash(trash: string, id: string): Promise<TrashEntry | null> {
  const text = await readFile(join(trash, id, 'entry.json'), 'utf8').catch(absent);
  return text === null ? null : trashEntry.parse(JSON.parse(text));
}

/** What the trash holds. */
export async function listTrash(trash: string): Promise<TrashEntry[]> {
  const names = (await readdir(trash).catch(absent)) ?? [];
  const entries = await Promise.all(names.toSorted().map((name) => readTrash(trash, name)));
  return entries.filter((entry) => entry !== null);
}

/** Brings a removed worktree back as it was: branch, commits, index, and all files, ignored ones included. Idempotent. */
export async function restoreTrash(
  git: Git,
  wanted: { repository: string; trash: string; id: string },
): Promise<TrashEntry> {
  const { repository, trash, id } = wanted;
  const entry = await readTrash(trash, id);
  if (entry === null) throw notFound('workspace in the trash', id, 'List it with `maos trash`.');
  const files = join(trash, id, 'files');
  await makeBranch(git, repository, entry.branch, entry.tip ?? entry.head);
  if (await exists(files)) await reconnect(git, repository, entry, files);
  else if (!(await isFolder(entry.path))) {
    throw notFound('trashed folder', files, `Restore the rescue ${entry.rescue ?? 'of its branch'} instead.`);
  }
  // Without this mark the removal never got so far as to move the folder, and there is nothing to set right.
  if (await exists(join(trash, id, 'replaced'))) {
    if (entry.tip !== null && entry.tip !== entry.head) {
      await git.run(entry.path, ['update-ref', '--no-deref', 'HEAD', entry.head]);
    }
    await restoreIndex(git, entry.path, entry);
  }
  await rm(join(trash, id), { recursive: true, force: true });
  return entry;
}

/** Makes a worktree at the old path, gives its link to git to the trashed folder, and puts that folder in its place. */
async function reconnect(git: Git, repository: string, entry: TrashEntry, files: string): Promise<void> {
  if (await exists(entry.path)) {
    const found = (await readdir(entry.path)).filter((name) => name !== '.git');
    const ours = (await findWorktree(git, repository, entry.path))?.branch === entry.branch;
    const untouched = async (): Promise<boolean> =>
      ours && (await worktreeStatus(git, entry.path, entry.head)).uncommitted.length === 0;
    // Of what holds no file, `attachWorktree` knows whether a git that was killed has left it.
    if (found.length > 0 && !(await untouched())) {
      throw conflict(`${entry.path} is in use again.`, { fix: 'Move what is there away, then try again.' });
    }
  }
  await attachWorktree(git, { repository, path: entry.path, branch: entry.branch });
  const link = await readFile(join(entry.path, '.git'), 'utf8');
  await writeWhole(join(files, '.git'), link);
  const replaced = join(dirname(files), 'replaced');
  await rm(replaced, { recursive: true, force: true });
  await rename(entry.path, replaced);
  await rename(files, entry.path);
}

/** Deletes a trashed folder for good. Its rescue ref stays. Idempotent. */
export async function purgeTrash(trash: string, id: string): Promise<void> {
  await rm(join(trash, id), { recursive: true, force: true });
}
