import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { absentChanges, absentNote } from './absent.ts';
import { makeSandbox } from './sandbox.fixture.ts';

test('lists modified, staged, deleted and untracked files, and says so in a prompt', async () => {
  await using box = await makeSandbox({
    'a b.txt': 'a\n',
    'gone.txt': 'g\n',
    'kept.txt': 'k\n',
    '.gitignore': '*.log\n',
  });
  const base = await box.sh(['rev-parse', 'HEAD']);
  expect(await absentChanges(box.git, box.repository, base)).toEqual([]);
  expect(absentNote([], base)).toBeNull();
  await box.write('repo/a b.txt', 'changed\n');
  await rm(join(box.repository, 'gone.txt'));
  await box.write('repo/new.txt', 'n\n');
  await box.write('repo/folder/x.txt', 'x\n');
  await box.write('repo/out.log', 'ignored\n');
  await box.write('repo/staged.txt', 's\n');
  await box.sh(['add', 'staged.txt']);
  const changes = await absentChanges(box.git, box.repository, base);
  expect(changes).toEqual([
    { path: 'a b.txt', kind: 'modified', staged: false },
    { path: 'gone.txt', kind: 'deleted', staged: false },
    { path: 'staged.txt', kind: 'added', staged: true },
    { path: 'folder/', kind: 'untracked', staged: false },
    { path: 'new.txt', kind: 'untracked', staged: false },
  ]);
  const note = absentNote(changes, base, 2);
  expect(note).toContain('- a b.txt (modified)');
  expect(note).toContain('- and 3 more');
});

test('a change that the base contains already is not absent', async () => {
  await using box = await makeSandbox();
  await box.write('repo/a.txt', 'new\n');
  await box.write('repo/c.txt', 'c\n');
  await box.sh(['checkout', '--quiet', '-b', 'ahead']);
  await box.sh(['add', '--all']);
  await box.sh(['commit', '--quiet', '--message=ahead']);
  await box.sh(['checkout', '--quiet', 'main']);
  await box.write('repo/a.txt', 'new\n');
  await box.write('repo/c.txt', 'c\n');
  expect(await absentChanges(box.git, box.repository, 'ahead')).toEqual([]);
  await box.write('repo/c.txt', 'other\n');
  expect(await absentChanges(box.git, box.repository, 'ahead')).toEqual([
    { path: 'c.txt', kind: 'untracked', staged: false },
  ]);
});
