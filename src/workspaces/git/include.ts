import { constants, copyFile, lstat, mkdir, readlink, realpath, symlink } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { absent, exists, isFolder } from './folder.ts';
import { fields, gitFailure, type Git } from './git.ts';

/** What was copied from the user's checkout into a worktree, and what was not, each with its reason. */
export interface Included {
  readonly copied: readonly string[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

/** The file in the root of the user's checkout that names, in gitignore syntax, what a worktree needs besides the commit. */
const includeFile = '.worktreeinclude';

/**
 * Copies the files that `.worktreeinclude` names (`.env`, caches, dependencies) into a worktree. Only files that git
 * ignores in the worktree are copied, since anything else would be committed with the agent's work. What is there
 * already stays as it is, so it is idempotent. Uses copy-on-write where the file system has it.
 */
export async function includeFiles(git: Git, checkout: string, worktree: string): Promise<Included> {
  const patterns = join(checkout, includeFile);
  if (!(await exists(patterns))) return { copied: [], skipped: [] };
  const named = fields(
    await git.run(checkout, ['ls-files', '-z', '--others', '--ignored', `--exclude-from=${patterns}`]),
  );
  const roots = { checkout: await realpath(checkout), worktree: await realpath(worktree) };
  const astray = await strayFolders(roots.worktree, named);
  const ignored = await ignoredIn(
    git,
    worktree,
    named.filter((path) => !astray.has(dirname(path))),
  );
  const copied: string[] = [];
  const skipped: { path: string; reason: string }[] = [];
  // In small groups: dependency folders hold tens of thousands of files.
  for (let at = 0; at < named.length; at += 32) {
    const group = named.slice(at, at + 32);
    const reasons = await Promise.all(
      group.map(async (path) => {
        if (astray.has(dirname(path))) return 'its folder is a symbolic link or a file in the worktree';
        return ignored.has(path) ? copyOne(roots, path) : notIgnored(path);
      }),
    );
    group.forEach((path, index) => {
      const reason = reasons[index] ?? null;
      if (reason === null) copied.push(path);
      else skipped.push({ path, reason });
    });
  }
  return { copied, skipped };
}

function notIgnored(path: string): string {
  return path.endsWith('/')
    ? 'it is a repository of its own'
    : 'git does not ignore it at the base commit, so it would be committed; add it to .gitignore';
}

async function ignoredIn(git: Git, worktree: string, paths: readonly string[]): Promise<Set<string>> {
  const files = paths.filter((path) => !path.endsWith('/'));
  if (files.length === 0) return new Set();
  const args = ['check-ignore', '-z', '--stdin'];
  const result = await git.attempt(worktree, args, { input: files.map((path) => `${path}\0`).join('') });
  // 1: none of them is ignored.
  if (result.code > 1) throw gitFailure(args, result);
  return new Set(fields(result.stdout));
}

/** Copies one file; returns why it did not, or null. */
async function copyOne(roots: { checkout: string; worktree: string }, path: string): Promise<string | null> {
  const source = join(roots.checkout, path);
  const target = join(roots.worktree, path);
  if (await exists(target)) return 'it is there already';
  const found = await lstat(source).catch(absent);
  if (found === null) return 'it has vanished';
  if (found.isSymbolicLink()) {
    const link = await readlink(source);
    const inside = !isAbsolute(link) && resolve(dirname(source), link).startsWith(roots.checkout + sep);
    if (!inside) return 'it is a symbolic link that leads out of the repository';
    await mkdir(dirname(target), { recursive: true });
    await symlink(link, target);
    return null;
  }
  if (found.isFile()) {
    await mkdir(dirname(target), { recursive: true });
    await copyFile(source, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    return null;
  }
  return 'it is not a file';
}

/** The folders whose way in the worktree is a file, or goes through a symbolic link, which would lead a copy elsewhere. */
async function strayFolders(worktree: string, paths: readonly string[]): Promise<Set<string>> {
  const stray = new Set<string>();
  for (const folder of new Set(paths.map((path) => dirname(path)))) {
    let place = join(worktree, folder);
    while (!(await exists(place))) place = dirname(place);
    if ((await realpath(place).catch(absent)) !== place || !(await isFolder(place))) stray.add(folder);
  }
  return stray;
}
