/**
 * Lock files that a killed git has left: as long as one is there, no git can change what it locks. Those of MAOS's own refs and
 * worktrees are taken away; a user's are only told, because a person may be in the middle of something.
 */
import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { absent, commonDirectory, exists, isLeftLock, isOld } from './folder.ts';
import { listWorktrees } from './worktree.ts';
import type { Git } from './git.ts';

/** A lock that is older than any git command of moments. */
export interface LeftLock {
  readonly path: string;
  /** Whether only MAOS changes what it locks. */
  readonly own: boolean;
}

/** Where a person or an agent works, a lock may be held for long: while the message of a commit is written, say. */
const patienceMs = 10 * 60_000;

/** Takes away the old locks of what only MAOS changes, unless a git is at work in the repository. Returns what it removed. */
export async function dropLeftLocks(git: Git, repository: string): Promise<string[]> {
  const locks = (await leftLocks(git, repository)).filter(({ own }) => own);
  const dropped: string[] = [];
  for (const { path } of locks) {
    // Once more: meanwhile it may have become the lock of another git.
    if (!(await isLeftLock(path))) continue;
    await rm(path, { force: true });
    dropped.push(path);
  }
  return dropped;
}

/** The locks that nobody holds any more, as far as their age and the process table tell. */
export async function leftLocks(git: Git, repository: string): Promise<LeftLock[]> {
  const common = await commonDirectory(repository);
  const found = (await Promise.all([findOwn(common), findUsers(common)])).flat();
  if (found.length === 0 || (await isAtWork(git, repository))) return [];
  return found;
}

async function findOwn(common: string): Promise<LeftLock[]> {
  const names = await entries(join(common, 'worktrees'));
  const records = names.filter((entry) => entry.isDirectory()).map((entry) => join(common, 'worktrees', entry.name));
  const refs = (await Promise.all(ownRefs.map((folder) => below(join(common, folder))))).flat();
  const old = await kept([...refs, join(common, 'packed-refs.lock')], isLeftLock);
  const inRecords = await kept(
    (await Promise.all(records.map(below))).flat(),
    async (path) => (await isLeftLock(path)) && isOld(path, patienceMs),
  );
  return [...old, ...inRecords].map((path) => ({ path, own: true }));
}

/** All other locks: of branches, of the checkout and of the configuration. */
async function findUsers(common: string): Promise<LeftLock[]> {
  const top = (await entries(common)).filter((entry) => entry.isFile()).map((entry) => join(common, entry.name));
  const locks = [...top, ...(await below(join(common, 'refs')))].filter(
    (path) => path.endsWith('.lock') && !path.endsWith('/packed-refs.lock') && !isOwn(common, path),
  );
  const old = await kept(locks, async (path) => (await exists(path)) && isOld(path, patienceMs));
  return old.map((path) => ({ path, own: false }));
}

const ownRefs = ['refs/heads/maos/', 'refs/maos/'] as const;

function isOwn(common: string, path: string): boolean {
  return ownRefs.some((folder) => path.startsWith(join(common, folder)));
}

async function kept(paths: readonly string[], fits: (path: string) => Promise<boolean>): Promise<string[]> {
  const judged = await Promise.all(paths.map(async (path) => ((await fits(path)) ? [path] : [])));
  return judged.flat();
}

async function entries(folder: string): Promise<Dirent[]> {
  return (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? [];
}

/** The lock files in a folder and all folders below it. */
async function below(folder: string): Promise<string[]> {
  const found = (await readdir(folder, { withFileTypes: true, recursive: true }).catch(absent)) ?? [];
  return found
    .filter((entry) => entry.isFile() && entry.name.endsWith('.lock'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Whether any git, MAOS's or a user's, works in this repository. */
async function isAtWork(git: Git, repository: string): Promise<boolean> {
  if (await git.busy(repository)) return true;
  const places = [repository, ...(await listWorktrees(git, repository)).map((worktree) => worktree.path)];
  return gitFolders().some((folder) => places.some((place) => folder === place || folder.startsWith(`${place}/`)));
}

/** In which folders git processes stand; only Linux tells. */
function gitFolders(): string[] {
  try {
    return readdirSync('/proc').flatMap((pid) => (/^\d+$/.test(pid) ? gitFolder(pid) : []));
  } catch (error) {
    if (absent(error) === null) return [];
    throw error;
  }
}

function gitFolder(pid: string): string[] {
  try {
    if (!/^git(-|$)/.test(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())) return [];
    return [readlinkSync(`/proc/${pid}/cwd`)];
  } catch {
    // It has ended meanwhile, or belongs to somebody else, who then cannot be asked.
    return [];
  }
}
