import { randomBytes } from 'node:crypto';
import { cp, lstat, mkdtemp, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { invalid } from '../../kernel/error.ts';

/** Whether something stands at `path`; a symbolic link counts, wherever it leads. */
export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(absent)) !== null;
}

/** Whether `path` is a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(absent))?.isDirectory() ?? false;
}

/** For `.catch`: nothing there is an answer, anything else stays an error. */
export function absent(error: unknown): null {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return null;
  throw error;
}

/** The git directory of a checkout: `.git` itself, or what the `.git` file of a linked worktree names. */
export async function gitDirectory(worktree: string): Promise<string> {
  const link = join(worktree, '.git');
  const found = await lstat(link).catch(absent);
  if (found?.isDirectory() ?? false) return link;
  const target = found === null ? undefined : /^gitdir: (.*)$/m.exec(await readFile(link, 'utf8'))?.[1];
  if (target === undefined) {
    throw invalid(`${worktree} is not a git checkout.`, { fix: 'Run `maos doctor` to compare worktrees and log.' });
  }
  return resolve(worktree, target);
}

/** The directory that all worktrees of a repository share. Found without starting git; any folder of a checkout names it. */
export async function commonDirectory(path: string): Promise<string> {
  let folder = path;
  while (!(await exists(join(folder, '.git'))) && dirname(folder) !== folder) folder = dirname(folder);
  const directory = await gitDirectory(folder);
  const common = await readFile(join(directory, 'commondir'), 'utf8').catch(absent);
  return realpath(common === null ? directory : resolve(directory, common.trim()));
}

/** Writes a whole file or nothing: a reader, or a crash, sees the old text or the new. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** Lends a copy of a worktree's index, so that git can be asked "what if" without touching the worktree. */
export async function withIndexCopy<T>(worktree: string, task: (index: string) => Promise<T>): Promise<T> {
  // Beside the index: what a killed server leaves of it goes with the worktree.
  const folder = await mkdtemp(join(await gitDirectory(worktree), 'maos-index-'));
  try {
    const index = join(folder, 'index');
    // A worktree that was never filled has no index; git then starts from an empty one.
    await cp(join(await gitDirectory(worktree), 'index'), index).catch(absent);
    return await task(index);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Removes the lock of the index that a killed git command left behind. False when it is so young that its owner
 * may still be at work.
 */
export async function removeStaleLock(worktree: string): Promise<boolean> {
  const lock = join(await gitDirectory(worktree), 'index.lock');
  if (!(await exists(lock))) return true;
  if (!(await isOld(lock, 5_000))) return false;
  await rm(lock, { force: true });
  return true;
}

/** Locks of what only MAOS changes: its branches and refs, its worktrees; and of the packed refs, which git holds for moments. */
const ownLocks = /\/(refs\/heads\/maos\/.+|refs\/maos\/.+|worktrees\/(ws|check)_[^/]+\/.+|packed-refs)\.lock$/;

/** Whether a killed git command has left this lock behind, as far as its name and age tell. */
export async function isLeftLock(lock: string): Promise<boolean> {
  // The packed refs are everybody's, and packing very many of them takes a while.
  const patience = lock.endsWith('/packed-refs.lock') ? 60_000 : 5_000;
  return ownLocks.test(lock) && (await exists(lock)) && isOld(lock, patience);
}

/** Whether a file was last written so long ago. The age is measured with the clock of the file system itself. */
export async function isOld(file: string, ms: number): Promise<boolean> {
  const written = (await stat(file).catch(absent))?.mtimeMs;
  if (written === undefined) return true;
  const probe = await mkdtemp(join(dirname(file), 'maos-'));
  const age = (await stat(probe)).mtimeMs - written;
  await rm(probe, { recursive: true });
  return age >= ms;
}
