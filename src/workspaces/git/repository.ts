import { cp, mkdir, mkdtemp, readdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, conflict, invalid, notFound } from '../../kernel/error.ts';
import { exists, isFolder } from './folder.ts';
import { gitFailure, resolveCommit, type Git } from './git.ts';

/** A repository that MAOS can work in. */
export interface Repository {
  /** The real path of the checkout. */
  readonly root: string;
  /** The directory shared by all its worktrees. */
  readonly commonDir: string;
  /** The branch that is checked out, or null when HEAD is detached. */
  readonly branch: string | null;
  readonly head: string;
  readonly shallow: boolean;
}

/** Looks at the repository around `path`; refuses what MAOS cannot work in, each with its fix. */
export async function inspectRepository(git: Git, path: string): Promise<Repository> {
  await refuseNoFolder(path);
  const args = ['rev-parse', '--is-bare-repository', '--is-inside-work-tree', '--is-shallow-repository'];
  const found = await git.attempt(path, [...args, '--path-format=absolute', '--git-common-dir', '--show-toplevel']);
  const [bare, inside, shallow, commonDir, root] = found.stdout.split('\n');
  if (bare === 'true') {
    throw invalid(`${path} is a bare repository: it has no checkout.`, {
      fix: 'Clone it, and give the folder of the clone.',
    });
  }
  if (found.code !== 0 && inside !== 'false') {
    if (!found.stderr.includes('not a git repository')) throw gitFailure(args, found);
    throw invalid(`${path} is not in a git repository.`, {
      fix: 'Run `git init && git add -A && git commit -m start` there, or give another folder.',
    });
  }
  if (inside !== 'true' || commonDir === undefined || root === undefined) {
    throw invalid(`${path} is inside a git directory, not in a checkout.`, { fix: 'Give the folder of the checkout.' });
  }
  const [head, branch] = await Promise.all([
    resolveCommit(git, path, 'HEAD'),
    git.attempt(path, ['symbolic-ref', '--quiet', '--short', 'HEAD']),
  ]);
  if (head === null) {
    throw invalid(`${root} has no commit yet, so there is nothing to start work from.`, {
      fix: 'Run `git add -A && git commit -m start` there.',
    });
  }
  return {
    root: await realpath(root),
    commonDir: await realpath(commonDir),
    branch: branch.code === 0 ? branch.stdout.trim() : null,
    head,
    shallow: shallow === 'true',
  };
}

async function refuseNoFolder(path: string): Promise<void> {
  const fix = { fix: 'Give the folder of an existing git repository.' };
  try {
    if (!(await exists(path))) throw invalid(`There is no folder ${path}.`, fix);
    if (!(await isFolder(path))) throw invalid(`${path} is not a folder.`, fix);
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    // Not ours to enter, a name that is too long, links that lead in a circle.
    throw invalid(`${path} cannot be looked at: ${error.message}.`, fix);
  }
}

/** The branches, without `refs/heads/`, whose name starts with `prefix`. */
export async function listBranches(git: Git, at: string, prefix = ''): Promise<{ branch: string; head: string }[]> {
  const output = await git.run(at, ['for-each-ref', '--format=%(objectname) %(refname:lstrip=2)', 'refs/heads/']);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ head: line.slice(0, line.indexOf(' ')), branch: line.slice(line.indexOf(' ') + 1) }))
    .filter((entry) => entry.branch.startsWith(prefix));
}

/** Copies a folder into a new repository with one commit on `main`. A crash leaves nothing at `path`. */
export async function makeFromTemplate(git: Git, template: string, path: string): Promise<Repository> {
  if ((await exists(path)) && (!(await isFolder(path)) || (await readdir(path)).length > 0)) {
    throw conflict(`${path} exists and is not an empty folder.`, { fix: 'Give a path that does not exist yet.' });
  }
  if (!(await isFolder(template))) throw notFound('template folder', template, 'Give the path of an existing folder.');
  await mkdir(dirname(path), { recursive: true });
  const draft = await mkdtemp(join(dirname(path), `.${basename(path)}-`));
  try {
    await cp(template, draft, { recursive: true, filter: (source) => basename(source) !== '.git' });
    // An empty template: the user's own hooks and excludes have no place in a repository that MAOS makes.
    await git.run(draft, ['init', '--quiet', '--template=', '--initial-branch=main']);
    await git.run(draft, ['add', '--all']);
    const author = await git.identity(draft);
    await git.run(draft, ['commit', '--quiet', '--allow-empty', '--message=Start'], { author });
    await rename(draft, path);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return inspectRepository(git, path);
}

/** The version of git; refuses one that cannot merge without a worktree. */
export async function requireGit(git: Git): Promise<string> {
  const result = await git.attempt('/', ['version']);
  const version = /(\d+)\.(\d+)[.\d]*/.exec(result.stdout);
  const fix = 'Install git 2.38 or newer and make sure that it is on PATH.';
  if (result.code !== 0 || version === null) throw new AppError('unavailable', 'git was not found.', { fix });
  const [text, major, minor] = version;
  if (Number(major) * 1000 + Number(minor) < 2038)
    throw new AppError('unavailable', `git ${text} is too old.`, { fix });
  return text;
}
