/**
 * Finishes at the start of a server what a killed one has left half done: checks' worktrees, removals, landings, locks. What is
 * found by looking at files alone costs no process, so a start with nothing to do stays fast.
 */
import { readdir, readFile, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../kernel/error.ts';
import type { Call } from '../kernel/handler.ts';
import { projectOps } from '../projects/contract.ts';
import { removalReasons, workspaceOps } from './contract.ts';
import { absent, commonDirectory, isFolder } from './git/folder.ts';
import type { Git } from './git/git.ts';
import { resumeLanding, unfinishedLandings } from './git/land.ts';
import { dropLeftLocks } from './git/locks.ts';
import { listTrash } from './git/remove.ts';
import { lockReasons, removeThrowaway } from './git/worktree.ts';

export interface SweepOptions {
  readonly git: Git;
  readonly call: Call;
  /** The folder under which throw-away worktrees are made. */
  readonly root: string;
  readonly trash: string;
  /** What cannot be finished now stays for the doctor. */
  readonly onFailure: (place: string, error: unknown) => void;
}

/** To be called before anything else acts: whatever is half done then is nobody's any more. */
export async function sweep(options: SweepOptions): Promise<void> {
  const { call, onFailure } = options;
  const { projects } = await call(projectOps.list, {});
  const all = projects.map(async ({ id, path }) => {
    if (!(await isFolder(path))) return;
    await dropLeftLocks(options.git, path);
    await endChecks(options, path);
    await dropCheckFolders(join(options.root, id));
    await endLandings(options, path);
  });
  const done = await Promise.allSettled([...all, endRemovals(options)]);
  for (const one of done) if (one.status === 'rejected') onFailure('sweep', one.reason);
}

const ours: ReadonlySet<string> = new Set([lockReasons.filling, lockReasons.throwaway]);

async function endChecks({ git, root }: SweepOptions, repository: string): Promise<void> {
  const records = join(await commonDirectory(repository), 'worktrees');
  const real = (await realpath(root).catch(absent)) ?? root;
  for (const name of (await readdir(records).catch(absent)) ?? []) {
    const lock = await readFile(join(records, name, 'locked'), 'utf8').catch(absent);
    const link = await readFile(join(records, name, 'gitdir'), 'utf8').catch(absent);
    if (link === null) {
      // Git was killed before it had written anything else there; or it is still alive, and just about to.
      const torn = ours.has(lock?.trim() ?? '') && !(await git.busy(repository));
      if (torn) await rm(join(records, name), { recursive: true, force: true });
    } else if (lock?.trim() === lockReasons.throwaway) {
      const path = dirname(link.trim());
      if (path.startsWith(`${real}/`)) await removeThrowaway(git, repository, path);
    }
  }
}

/** Folders of checks that git does not know, or no longer. */
async function dropCheckFolders(folder: string): Promise<void> {
  const names = ((await readdir(folder).catch(absent)) ?? []).filter((name) => name.startsWith('check_'));
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
}

async function endLandings({ git, onFailure }: SweepOptions, repository: string): Promise<void> {
  for (const { branch } of await unfinishedLandings(repository)) {
    const result = await resumeLanding(git, repository, branch);
    if (result !== null && result.kind !== 'landed')
      onFailure(`landing on ${branch}`, new Error(`It is ${result.kind}.`));
  }
}

/** A removal leaves its entry in the trash before it moves anything, and the log hears of it at last. */
async function endRemovals({ trash, call, onFailure }: SweepOptions): Promise<void> {
  for (const { id, token } of await listTrash(trash)) {
    try {
      const { state } = await call(workspaceOps.get, { workspace: id });
      if (state === 'ready' || state === 'requested' || state === 'failed') {
        await call(workspaceOps.remove, { workspace: id, token, reason: removalReasons.interrupted });
      }
    } catch (error) {
      // It is held, or has changed since: then it was not removed, and that is an answer too.
      if (!(error instanceof AppError) || error.code === 'unavailable') onFailure(`removal of ${id}`, error);
    }
  }
}
