import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec } from '../src/kernel/exec.ts';

/** A folder's git: no configuration but the repository's own, and an author for commits. */
export function gitIn(home: string) {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
  return async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await exec(
      'git',
      ['-c', 'user.name=Bench', '-c', 'user.email=bench@localhost', ...args],
      { env },
    );
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
}

/** Makes a repository with so many files of 60 lines each in `folder/repo`; packed, as one in use is. */
export async function makeRepository(folder: string, files: number): Promise<string> {
  const repository = join(folder, 'repo');
  const git = gitIn(folder);
  await git('init', '--quiet', '--initial-branch=main', repository);
  for (let n = 0; n < files; n += 1) {
    const part = join(repository, `src/part${n % 25}`);
    mkdirSync(part, { recursive: true });
    writeFileSync(join(part, `file${n}.ts`), `export const value${n} = ${n};\n`.repeat(60));
  }
  await git('-C', repository, 'add', '--all');
  await git('-C', repository, 'commit', '--quiet', '--message=Start');
  await git('-C', repository, 'gc', '--quiet');
  return repository;
}
