import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { gitDirectory } from './folder.ts';
import { makeSandbox } from './sandbox.fixture.ts';
import { changedFiles, checkExpectations, diffText, worktreeStatus } from './status.ts';

test('counts commits, uncommitted changes and untracked files against the base, and touches nothing', async () => {
  await using box = await makeSandbox({ 'a.txt': '1\n2\n3\n', 'gone.txt': 'x\n', '.gitignore': '*.log\n' });
  const base = await box.sh(['rev-parse', 'HEAD']);
  expect(await worktreeStatus(box.git, box.repository, base)).toEqual({
    files: [],
    insertions: 0,
    deletions: 0,
    deleted: 0,
    head: base,
    branch: 'main',
    ahead: 0,
    uncommitted: [],
    untracked: [],
  });
  await box.write('repo/a.txt', '1\n2\n');
  await box.sh(['commit', '--quiet', '--all', '--message=shorter']);
  await rm(join(box.repository, 'gone.txt'));
  await box.write('repo/dir/new file.txt', 'n\nm\n');
  await box.write('repo/bin', '\0\u0001');
  await box.write('repo/x.log', 'ignored');
  const index = join(await gitDirectory(box.repository), 'index');
  const before = await readFile(index);
  const status = await worktreeStatus(box.git, box.repository, base);
  expect(await readFile(index)).toEqual(before);
  expect(status).toMatchObject({ ahead: 1, insertions: 2, deletions: 2, deleted: 1, branch: 'main' });
  expect(status.files).toEqual([
    { path: 'a.txt', kind: 'modified', insertions: 0, deletions: 1, binary: false },
    { path: 'bin', kind: 'added', insertions: 0, deletions: 0, binary: true },
    { path: 'dir/new file.txt', kind: 'added', insertions: 2, deletions: 0, binary: false },
    { path: 'gone.txt', kind: 'deleted', insertions: 0, deletions: 1, binary: false },
  ]);
  expect(status.untracked).toEqual(['bin', 'dir/new file.txt']);
  expect(status.uncommitted).toEqual(['gone.txt', 'bin', 'dir/new file.txt']);
});

test('shows a patch with untracked files, and cuts a long one at a line', async () => {
  await using box = await makeSandbox();
  await box.write('repo/new.txt', 'hello\n'.repeat(100));
  const patch = await diffText(box.git, box.repository, 'HEAD', null);
  expect(patch.text).toContain('+++ b/new.txt');
  expect(patch.truncated).toBe(false);
  const cut = await diffText(box.git, box.repository, 'HEAD', null, 200);
  expect(cut.truncated).toBe(true);
  expect(cut.text.length).toBeLessThanOrEqual(201);
  expect(cut.text.endsWith('\n')).toBe(true);
});

test('compares changed files with expected globs, dot files included', async () => {
  await using box = await makeSandbox();
  await box.write('repo/src/.hidden/x.ts', 'x');
  await box.write('repo/src/deep/y.ts', 'y');
  await box.write('repo/README.md', 'r');
  await box.sh(['add', '--all']);
  await box.sh(['commit', '--quiet', '--message=2']);
  const range = { from: 'HEAD~', to: 'HEAD' };
  expect((await changedFiles(box.git, box.repository, 'HEAD~', 'HEAD')).files.map((file) => file.path)).toEqual([
    'README.md',
    'src/.hidden/x.ts',
    'src/deep/y.ts',
  ]);
  expect(await checkExpectations(box.git, box.repository, range, ['src/**', 'docs/**'])).toEqual({
    unexpected: ['README.md'],
    untouched: ['docs/**'],
  });
  expect(await checkExpectations(box.git, box.repository, range, ['src/*.ts', '*.md'])).toEqual({
    unexpected: ['src/.hidden/x.ts', 'src/deep/y.ts'],
    untouched: ['src/*.ts'],
  });
  expect(await checkExpectations(box.git, box.repository, range, [])).toEqual({ unexpected: [], untouched: [] });
});
