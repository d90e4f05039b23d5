import { mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exists } from './folder.ts';
import { includeFiles } from './include.ts';
import { makeSandbox } from './sandbox.fixture.ts';
import { addWorktree } from './worktree.ts';

test('copies ignored files that are named, and nothing else', async () => {
  await using box = await makeSandbox({
    '.gitignore': '.env*\nnode_modules\nlink*\n',
    '.worktreeinclude': '.env*\nnode_modules\nlink*\nnotes.md\n!.env.prod\ntracked.txt\n',
    'tracked.txt': 't\n',
  });
  const worktree = join(box.root, 'ws');
  await addWorktree(box.git, { repository: box.repository, path: worktree, branch: 'ws', base: 'main' });
  await box.write('repo/.env', 'KEY=1\n');
  await box.write('repo/.env.prod', 'KEY=prod\n');
  await box.write('repo/app/.env', 'KEY=2\n');
  await box.write('repo/notes.md', 'private\n');
  await box.write('repo/tracked.txt', 'changed by the user\n');
  await box.write('repo/node_modules/x/run.sh', '#!/bin/sh\n');
  await box.write('outside/secret', 's');
  await symlink('.env', join(box.repository, 'link-in'));
  await symlink('../outside/secret', join(box.repository, 'link-out'));
  await symlink(join(box.repository, '.env'), join(box.repository, 'link-absolute'));
  await box.sh(['init', '--quiet', join(box.repository, 'node_modules/nested')]);
  const result = await includeFiles(box.git, box.repository, worktree);
  expect(result.copied.toSorted()).toEqual(['.env', 'app/.env', 'link-in', 'node_modules/x/run.sh']);
  expect(result.skipped.map((one) => one.path).toSorted()).toEqual([
    'link-absolute',
    'link-out',
    'node_modules/nested/',
    'notes.md',
  ]);
  expect(await readFile(join(worktree, 'app/.env'), 'utf8')).toBe('KEY=2\n');
  expect(await readlink(join(worktree, 'link-in'))).toBe('.env');
  expect(await readFile(join(worktree, 'tracked.txt'), 'utf8')).toBe('t\n');
  expect(await box.sh(['status', '--porcelain'], worktree)).toBe('');
  await writeFile(join(worktree, '.env'), 'KEY=own\n');
  const again = await includeFiles(box.git, box.repository, worktree);
  expect(again.copied).toEqual([]);
  expect(await readFile(join(worktree, '.env'), 'utf8')).toBe('KEY=own\n');
});

test('keeps the mode of a file, and does nothing without the file', async () => {
  await using box = await makeSandbox({ '.gitignore': 'run\n' });
  const worktree = join(box.root, 'ws');
  await addWorktree(box.git, { repository: box.repository, path: worktree, branch: 'ws', base: 'main' });
  expect(await includeFiles(box.git, box.repository, worktree)).toEqual({ copied: [], skipped: [] });
  await box.write('repo/.worktreeinclude', 'run\n');
  await writeFile(join(box.repository, 'run'), '#!/bin/sh\n', { mode: 0o750 });
  await includeFiles(box.git, box.repository, worktree);
  expect((await stat(join(worktree, 'run'))).mode & 0o777).toBe(0o750);
});

test('a symbolic link in the worktree does not lead a copy out of it', async () => {
  await using box = await makeSandbox({ '.gitignore': '.env\n', '.worktreeinclude': '.env\n' });
  const worktree = join(box.root, 'ws');
  await mkdir(join(box.root, 'outside'));
  await symlink('../outside', join(box.repository, 'conf'));
  await box.sh(['add', '--all']);
  await box.sh(['commit', '--quiet', '--message=link']);
  await addWorktree(box.git, { repository: box.repository, path: worktree, branch: 'ws', base: 'main' });
  await box.sh(['rm', '--quiet', 'conf']);
  await box.write('repo/conf/.env', 'KEY=1\n');
  const result = await includeFiles(box.git, box.repository, worktree);
  expect(result.copied).toEqual([]);
  expect(await exists(join(box.root, 'outside/.env'))).toBe(false);
});
