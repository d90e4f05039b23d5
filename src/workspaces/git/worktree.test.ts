import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exists, gitDirectory } from './folder.ts';
import { makeSandbox } from './sandbox.fixture.ts';
import {
  addThrowaway,
  addWorktree,
  attachWorktree,
  findWorktree,
  forget,
  listWorktrees,
  lockReasons,
  removeThrowaway,
  repairWorktrees,
} from './worktree.ts';

test('adds a worktree with a branch at a base, locked, and leaves it alone when asked again', async () => {
  await using box = await makeSandbox();
  const base = await box.sh(['rev-parse', 'HEAD']);
  const wanted = { repository: box.repository, path: join(box.root, 'trees/ws_1'), branch: 'maos/ws_1', base };
  expect(await addWorktree(box.git, wanted)).toEqual({ kind: 'added', head: base });
  expect(await readFile(join(wanted.path, 'src/b.txt'), 'utf8')).toBe('b\n');
  expect(await box.sh(['status', '--porcelain'], wanted.path)).toBe('');
  expect(await findWorktree(box.git, box.repository, wanted.path)).toEqual({
    path: wanted.path,
    head: base,
    branch: 'maos/ws_1',
    locked: lockReasons.held,
    prunable: null,
  });
  await writeFile(join(wanted.path, 'a.txt'), 'work');
  await box.sh(['worktree', 'unlock', wanted.path]);
  expect(await addWorktree(box.git, wanted)).toEqual({ kind: 'present', head: base });
  expect(await readFile(join(wanted.path, 'a.txt'), 'utf8')).toBe('work');
  expect((await findWorktree(box.git, box.repository, wanted.path))?.locked).toBe(lockReasons.held);
});

test('thirty worktrees of one repository can be added at the same time', async () => {
  await using box = await makeSandbox();
  const added = await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      addWorktree(box.git, {
        repository: box.repository,
        path: join(box.root, 'trees', `ws_${n}`),
        branch: `maos/ws_${n}`,
        base: 'main',
      }),
    ),
  );
  expect(added.every((one) => one.kind === 'added')).toBe(true);
  expect(await listWorktrees(box.git, box.repository)).toHaveLength(31);
});

test('refuses a used path, a used branch, and a base that does not exist', async () => {
  await using box = await makeSandbox();
  const add = (path: string, branch: string, base = 'main') =>
    addWorktree(box.git, { repository: box.repository, path: join(box.root, path), branch, base });
  await add('one', 'b1');
  await expect(add('one', 'b2')).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('not on "b2"'),
  });
  await expect(add('two', 'b1')).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('checked out at'),
  });
  await expect(add('two', 'main')).rejects.toMatchObject({ code: 'conflict' });
  await expect(add('two', 'b3', 'nothing')).rejects.toMatchObject({ code: 'invalid' });
  await expect(add('two', 'b3', 'c0ffee'.padEnd(40, '0'))).rejects.toMatchObject({ code: 'invalid' });
  await box.write('full/file', '');
  await expect(add('full', 'b4')).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('not a worktree'),
  });
  await box.sh(['branch', 'old']);
  await box.sh(['commit', '--quiet', '--allow-empty', '--message=2']);
  await expect(add('two', 'old')).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('exists already'),
  });
});

test('completes what a crash left: only the branch, or a half filled folder', async () => {
  await using box = await makeSandbox();
  const wanted = { repository: box.repository, path: join(box.root, 'ws'), branch: 'ws', base: 'main' };
  await box.sh(['branch', 'ws']);
  expect((await addWorktree(box.git, wanted)).kind).toBe('added');
  await rm(join(wanted.path, 'src'), { recursive: true });
  const directory = await gitDirectory(wanted.path);
  await writeFile(join(directory, 'locked'), lockReasons.filling);
  await writeFile(join(directory, 'index.lock'), '');
  await rm(join(directory, 'index'));
  expect((await addWorktree(box.git, wanted)).kind).toBe('added');
  expect(await box.sh(['status', '--porcelain'], wanted.path)).toBe('');
  expect(await readFile(join(directory, 'locked'), 'utf8')).toBe(lockReasons.held);
});

test('a throw-away worktree stands at its commit, is fresh each time, and only such a one is thrown away', async () => {
  await using box = await makeSandbox();
  const commit = await box.sh(['rev-parse', 'HEAD']);
  const wanted = { repository: box.repository, path: join(box.root, 'checks/c1'), commit };
  await addThrowaway(box.git, wanted);
  await writeFile(join(wanted.path, 'junk'), '');
  await addThrowaway(box.git, wanted);
  expect(await box.sh(['status', '--porcelain', '--branch'], wanted.path)).toBe('## HEAD (no branch)');
  await removeThrowaway(box.git, box.repository, wanted.path);
  await removeThrowaway(box.git, box.repository, wanted.path);
  expect(await listWorktrees(box.git, box.repository)).toHaveLength(1);
  await addWorktree(box.git, { repository: box.repository, path: join(box.root, 'ws'), branch: 'ws', base: commit });
  await expect(removeThrowaway(box.git, box.repository, join(box.root, 'ws'))).rejects.toMatchObject({
    code: 'conflict',
  });
  await mkdir(join(box.root, 'mine'));
  await expect(removeThrowaway(box.git, box.repository, join(box.root, 'mine'))).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('a folder that vanished is made again from its branch, or forgotten; a moved repository is connected again', async () => {
  await using box = await makeSandbox();
  const wanted = { repository: box.repository, path: join(box.root, 'ws'), branch: 'ws', base: 'main' };
  await addWorktree(box.git, wanted);
  await rm(wanted.path, { recursive: true });
  expect((await attachWorktree(box.git, wanted)).kind).toBe('added');
  expect(await exists(join(wanted.path, 'a.txt'))).toBe(true);
  await expect(forget(box.git, box.repository, wanted.path)).rejects.toMatchObject({ code: 'conflict' });
  const moved = join(box.root, 'moved');
  await rename(box.repository, moved);
  await repairWorktrees(box.git, moved, [wanted.path]);
  expect(await box.sh(['status', '--porcelain'], wanted.path)).toBe('');
  await rm(wanted.path, { recursive: true });
  await forget(box.git, moved, wanted.path);
  expect(await listWorktrees(box.git, moved)).toHaveLength(1);
});
