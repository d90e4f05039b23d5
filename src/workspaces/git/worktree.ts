import { mkdir, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { conflict, invalid } from '../../kernel/error.ts';
import { absent, commonDirectory, exists, gitDirectory, isFolder, writeWhole } from './folder.ts';
import { fields, gitFailure, resolveCommit, settle, type Git } from './git.ts';

/** One line of `git worktree list`. */
export interface Worktree {
  readonly path: string;
  readonly head: string | null;
  /** Without `refs/heads/`; null when HEAD is detached. */
  readonly branch: string | null;
  /** Why it is locked, or null when it is not. */
  readonly locked: string | null;
  /** Why git would forget it (its folder is gone), or null. */
  readonly prunable: string | null;
}

export interface NewWorktree {
  /** Any checkout of the repository. */
  readonly repository: string;
  /** Never used before; its last part names the worktree inside git. */
  readonly path: string;
  /** Never used before. */
  readonly branch: string;
  readonly base: string;
}

export interface Added {
  /** `present`: it was there already, and was not touched. */
  readonly kind: 'added' | 'present';
  readonly head: string;
}

/** The lock reasons say in which state a worktree of ours is; a lock also keeps other tools from removing it. */
export const lockReasons = {
  filling: 'MAOS is filling it',
  held: 'held by MAOS; remove it with `maos rm`',
  throwaway: 'a throw-away check of MAOS',
} as const;

/** All worktrees of the repository, the main checkout first. */
export async function listWorktrees(git: Git, repository: string): Promise<Worktree[]> {
  return (await readList(git, repository))
    .split('\0\0')
    .filter((block) => block !== '')
    .map((block) => {
      const entry = new Map(
        fields(block).map((line) => {
          const space = line.indexOf(' ');
          return space === -1 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
        }),
      );
      return {
        path: entry.get('worktree') ?? '',
        head: entry.get('HEAD') ?? null,
        branch: entry.get('branch')?.replace(/^refs\/heads\//, '') ?? null,
        locked: entry.get('locked') ?? null,
        prunable: entry.get('prunable') ?? null,
      };
    });
}

/** Git cannot list worktrees while another one is being added: it stumbles over the half written record. */
async function readList(git: Git, repository: string): Promise<string> {
  const args = ['worktree', 'list', '--porcelain', '-z'];
  for (let tries = 1; ; tries += 1) {
    const result = await git.attempt(repository, args);
    if (result.code === 0) return result.stdout;
    const half = /failed to read .*worktrees\/([^/]+)\//.exec(result.stderr)?.[1];
    if (half === undefined || tries > 50) throw gitFailure(args, result);
    if (tries === 50) await dropTornRecord(git, repository, half);
  }
}

/** When git was killed while it wrote the record, it would stumble for ever: nothing was worked on there yet. */
async function dropTornRecord(git: Git, repository: string, name: string): Promise<void> {
  if (await git.busy(repository)) return;
  const record = join(await commonDirectory(repository), 'worktrees', name);
  const lock = (await readFile(join(record, 'locked'), 'utf8').catch(absent))?.trim();
  if (lock === lockReasons.filling || lock === lockReasons.throwaway)
    await rm(record, { recursive: true, force: true });
}

/** The worktree that git knows at `path`, or null. The folder itself may be gone. */
export async function findWorktree(git: Git, repository: string, path: string): Promise<Worktree | null> {
  const parent = await realpath(dirname(path)).catch(absent);
  const wanted = parent === null ? path : join(parent, basename(path));
  return (await listWorktrees(git, repository)).find((entry) => entry.path === wanted) ?? null;
}

/**
 * Makes a worktree with a new branch at `base`. Idempotent: one that is there on the same branch is left as it is,
 * one that a crash left half filled is completed, anything else in the way is refused.
 */
export async function addWorktree(git: Git, wanted: NewWorktree): Promise<Added> {
  const added = await git.serially(wanted.repository, () => register(git, wanted, ['-b', wanted.branch]));
  // Filling is most of the time, and needs no lock: worktrees of one repository are filled side by side.
  if (added.kind === 'added') await fill(git, wanted.path);
  return added;
}

/** Makes the folder of an existing branch again, for example after it was deleted by hand. Idempotent. */
export async function attachWorktree(git: Git, wanted: Omit<NewWorktree, 'base'>): Promise<Added> {
  const added = await git.serially(wanted.repository, async () => {
    const known = await findWorktree(git, wanted.repository, wanted.path);
    if (known !== null && !(await isFolder(wanted.path))) await forget(git, wanted.repository, wanted.path);
    return register(git, { ...wanted, base: `refs/heads/${wanted.branch}` }, []);
  });
  if (added.kind === 'added') await fill(git, wanted.path);
  return added;
}

/** A worktree without a branch, at exactly this commit, for checks. What stood at `path` from an earlier check goes. */
export async function addThrowaway(
  git: Git,
  wanted: { repository: string; path: string; commit: string },
): Promise<void> {
  const { repository, path, commit } = wanted;
  await removeThrowaway(git, repository, path);
  await git.serially(repository, () =>
    create(git, repository, ['--detach', '--reason', lockReasons.throwaway, '--', path, commit]),
  );
  await checkOut(git, path);
}

/** Removes a throw-away worktree; refuses any other. Idempotent. */
export async function removeThrowaway(git: Git, repository: string, path: string): Promise<void> {
  await git.serially(repository, async () => {
    await settle(git, path);
    const found = await findWorktree(git, repository, path);
    if (found === null && !(await exists(path))) return;
    if (found?.locked !== lockReasons.throwaway || found.branch !== null) {
      throw conflict(`${path} is not a throw-away worktree of MAOS.`, {
        fix: 'Look at what is there, and move it away.',
      });
    }
    await rm(path, { recursive: true, force: true });
    await forget(git, repository, path);
  });
}

/** Makes git forget a worktree whose folder is gone, locked or not. */
export async function forget(git: Git, repository: string, path: string): Promise<void> {
  if (await exists(path)) throw conflict(`${path} still exists.`, { fix: 'Remove the workspace with `maos rm`.' });
  if ((await findWorktree(git, repository, path)) === null) return;
  await git.run(repository, ['worktree', 'remove', '--force', '--force', '--', path]);
}

/** Connects worktrees and repository again after either was moved by hand; returns what git did, one line each. */
export async function repairWorktrees(git: Git, repository: string, paths: readonly string[]): Promise<string[]> {
  const result = await git.attempt(repository, ['worktree', 'repair', '--', ...paths]);
  if (result.code !== 0) throw gitFailure(['worktree', 'repair'], result);
  return `${result.stdout}${result.stderr}`.split('\n').filter((line) => line !== '');
}

/** Says in git that the worktree is in use, so that neither git nor another tool removes it. */
export async function lockWorktree(worktree: string, reason: string = lockReasons.held): Promise<void> {
  await writeWhole(join(await gitDirectory(worktree), 'locked'), reason);
}

async function register(git: Git, wanted: NewWorktree, flags: readonly string[]): Promise<Added> {
  const { repository, path } = wanted;
  if (!(await exists(path))) {
    // A full id is taken at its word: git refuses it soon enough, and asking first costs a process.
    const base = /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(wanted.base) ? wanted.base : await baseOf(git, wanted);
    await mkdir(dirname(path), { recursive: true });
    if ((await attemptCreate(git, repository, creation(wanted, flags, base))).code === 0)
      return { kind: 'added', head: base };
  }
  // Something is there already. It may be in the making by a git command that outlived the server that started it.
  await settle(git, path);
  const known = await findWorktree(git, repository, path);
  if (known !== null && isTorn(known, wanted.branch)) await discardTorn(git, repository, path);
  else if (known !== null && (await exists(path))) return recognise(path, wanted.branch, known);
  return reconcile(git, wanted, flags);
}

/** Whether git itself was killed while it made the worktree: it was never filled, so nobody can have worked in it. */
function isTorn({ branch, locked }: Worktree, wanted: string): boolean {
  return branch !== wanted && (locked === lockReasons.filling || locked === 'initializing');
}

async function discardTorn(git: Git, repository: string, path: string): Promise<void> {
  const records = join(await commonDirectory(repository), 'worktrees');
  for (const name of (await readdir(records).catch(absent)) ?? []) {
    const link = await readFile(join(records, name, 'gitdir'), 'utf8').catch(absent);
    if (link !== null && dirname(link.trim()) === path) await rm(join(records, name), { recursive: true, force: true });
  }
  await rm(path, { recursive: true, force: true });
}

function creation(wanted: NewWorktree, flags: readonly string[], base: string): string[] {
  const target = flags.length === 0 ? wanted.branch : base;
  return ['--reason', lockReasons.filling, ...flags, '--', wanted.path, target];
}

async function baseOf(git: Git, wanted: NewWorktree): Promise<string> {
  const base = await resolveCommit(git, wanted.repository, wanted.base);
  if (base !== null) return base;
  throw invalid(`There is no commit "${wanted.base}" in ${wanted.repository}.`, {
    fix: 'Give a commit or a branch that exists.',
  });
}

/** Whether nothing is there but a link to a record that git does not have: it was killed while it made the worktree. */
async function isUnfilled(path: string): Promise<boolean> {
  const names = (await readdir(path).catch(absent)) ?? [];
  return names.length === 1 && names[0] === '.git' && !(await exists(await gitDirectory(path)));
}

/** Completes what a crash left of an earlier call, or says what is in the way. */
async function reconcile(git: Git, wanted: NewWorktree, flags: readonly string[]): Promise<Added> {
  const { repository, path, branch } = wanted;
  if (await isUnfilled(path)) await rm(path, { recursive: true, force: true });
  if (((await readdir(path).catch(absent)) ?? []).length > 0) {
    throw conflict(`${path} exists and is not a worktree of this repository.`, {
      fix: 'Move it away; paths are never reused.',
    });
  }
  const base = await baseOf(git, wanted);
  const added = { kind: 'added', head: base } as const;
  const args = creation(wanted, flags, base);
  const result = await attemptCreate(git, repository, args);
  if (result.code === 0) return added;
  const holder = (await listWorktrees(git, repository)).find((entry) => entry.branch === branch);
  const tip = await resolveCommit(git, repository, `refs/heads/${branch}`);
  // A crash between git's two steps leaves the branch without its worktree: only then may an existing branch be taken.
  const left = tip !== null && tip === base && (holder === undefined || !(await exists(holder.path)));
  if (left && flags.length > 0) {
    if (holder !== undefined) await forget(git, repository, holder.path);
    await create(git, repository, creation(wanted, [], base));
    return added;
  }
  if (holder !== undefined) {
    throw conflict(`The branch "${branch}" is checked out at ${holder.path}.`, {
      fix: 'Use another branch, or remove that worktree.',
    });
  }
  if (tip !== null && flags.length > 0) {
    throw conflict(`The branch "${branch}" exists already.`, { fix: 'Use a new name: branches are never reused.' });
  }
  throw gitFailure(['worktree', 'add', ...args], result);
}

async function recognise(path: string, branch: string, known: Worktree): Promise<Added> {
  if (known.branch !== branch || known.head === null) {
    throw conflict(`${path} is a worktree on ${known.branch ?? 'a detached HEAD'}, not on "${branch}".`, {
      fix: 'Use another path: paths are never reused.',
    });
  }
  if (known.locked === lockReasons.filling || known.locked === 'initializing') {
    return { kind: 'added', head: known.head };
  }
  if (known.locked === null) await lockWorktree(path);
  return { kind: 'present', head: known.head };
}

function attemptCreate(git: Git, repository: string, args: readonly string[]): ReturnType<Git['attempt']> {
  return git.attempt(repository, ['worktree', 'add', '--quiet', '--no-checkout', '--lock', ...args]);
}

async function create(git: Git, repository: string, args: readonly string[]): Promise<void> {
  const result = await attemptCreate(git, repository, args);
  if (result.code !== 0) throw gitFailure(['worktree', 'add', ...args], result);
}

/** Writes the files. Nobody has worked here before it returns, so a half filled folder may be overwritten. */
async function fill(git: Git, path: string): Promise<void> {
  await checkOut(git, path);
  await lockWorktree(path);
}

async function checkOut(git: Git, path: string): Promise<void> {
  await rm(join(await gitDirectory(path), 'index.lock'), { force: true });
  await git.run(path, ['reset', '--hard', '--quiet']);
}
