import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { exec } from '../../kernel/exec.ts';
import { createGit, type Git } from './git.ts';
import { addWorktree } from './worktree.ts';

/** For tests: a temporary folder with a real repository, a home of its own, and git bound to them. */
export interface Sandbox {
  readonly root: string;
  readonly repository: string;
  readonly env: Readonly<Record<string, string>>;
  readonly git: Git;
  /** Runs git as a user would, in the repository or in another folder; returns trimmed stdout. */
  sh(args: readonly string[], at?: string): Promise<string>;
  write(path: string, text: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes a sandbox whose repository has one commit with `files` on `main`. */
export async function makeSandbox(
  files: Readonly<Record<string, string>> = { 'a.txt': 'a\n', 'src/b.txt': 'b\n' },
): Promise<Sandbox> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'maos-git-')));
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin',
    HOME: join(root, 'home'),
    GIT_CONFIG_NOSYSTEM: '1',
  };
  const repository = join(root, 'repo');
  await mkdir(env.HOME);
  const sh: Sandbox['sh'] = async (args, at = repository) => {
    const result = await exec('git', ['-C', at, ...args], { env, cwd: root });
    if (result.code !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
    return result.stdout.trimEnd();
  };
  const write: Sandbox['write'] = async (path, text) => {
    const place = join(root, path);
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, text);
  };
  await sh(['init', '--quiet', '--initial-branch=main', repository], root);
  await sh(['config', 'user.name', 'Ada']);
  await sh(['config', 'user.email', 'ada@example.org']);
  for (const [path, text] of Object.entries(files)) await write(join('repo', path), text);
  await sh(['add', '--all']);
  await sh(['commit', '--quiet', '--allow-empty', '--message=Start']);
  return {
    root,
    repository,
    env,
    git: createGit(exec, env),
    sh,
    write,
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** Files for a repository with something to ignore. */
export const files = { 'a.txt': 'a\n', 'src/b.txt': 'b\n', '.gitignore': '*.log\n' } as const;

/** A workspace with a commit of its own, a staged, an unstaged, an untracked and an ignored file. */
export async function makeWorkspace(
  box: Sandbox,
  name = 'ws',
): Promise<{ repository: string; id: string; path: string; branch: string; trash: string }> {
  const path = join(box.root, 'trees', name);
  await addWorktree(box.git, { repository: box.repository, path, branch: name, base: 'main' });
  await box.write(`trees/${name}/own.txt`, 'own\n');
  await box.sh(['add', '--all'], path);
  await box.sh(['commit', '--quiet', '--message=own'], path);
  await box.write(`trees/${name}/a.txt`, 'staged\n');
  await box.sh(['add', 'a.txt'], path);
  await box.write(`trees/${name}/src/b.txt`, 'unstaged\n');
  await box.write(`trees/${name}/new.txt`, 'new\n');
  await box.write(`trees/${name}/x.log`, 'ignored\n');
  return { repository: box.repository, id: name, path, branch: name, trash: join(box.root, 'trees/.trash') };
}
