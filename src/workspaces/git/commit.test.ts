import { readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commitAll } from './commit.ts';
import { gitDirectory } from './folder.ts';
import { removalPlan, removeWorktree } from './remove.ts';
import { makeSandbox, type Sandbox } from './sandbox.fixture.ts';
import { addWorktree } from './worktree.ts';

async function workspace(box: Sandbox) {
  const worktree = join(box.root, 'ws');
  const { head: base } = await addWorktree(box.git, {
    repository: box.repository,
    path: worktree,
    branch: 'ws',
    base: 'main',
  });
  const request = {
    worktree,
    branch: 'ws',
    base,
    message: 'Do it\n\n# kept',
    author: { name: 'coder', email: 'coder@maos' },
  };
  return { worktree, base, request, commit: () => commitAll(box.git, request) };
}

test('commits tracked and untracked leftovers on top of the commits of the agent, once', async () => {
  await using box = await makeSandbox({ 'a.txt': 'a\n', 'b.txt': 'b\n', '.gitignore': '*.log\n' });
  const { worktree, base, commit } = await workspace(box);
  expect(await commit()).toMatchObject({ kind: 'result', commit: null, committed: false });
  await box.write('ws/own.txt', 'own\n');
  await box.sh(['add', '--all'], worktree);
  await box.sh(['commit', '--quiet', '--message=by the agent'], worktree);
  await rm(join(worktree, 'b.txt'));
  await box.write('ws/new.txt', 'new\n');
  await box.write('ws/x.log', 'log');
  const result = await commit();
  expect(result).toMatchObject({
    kind: 'result',
    committed: true,
    embedded: [],
    changes: { deleted: 1, insertions: 2 },
  });
  const head = await box.sh(['rev-parse', 'HEAD'], worktree);
  expect(result).toMatchObject({ commit: head });
  expect(await box.sh(['log', '-1', '--format=%an|%B', head], worktree)).toBe('coder|Do it\n\n# kept');
  expect(await box.sh(['rev-list', '--count', `${base}..${head}`], worktree)).toBe('2');
  expect(await commit()).toMatchObject({ kind: 'result', committed: false, commit: head });
});

test('does not take work from another branch or a rewritten history for the result', async () => {
  await using box = await makeSandbox();
  const { worktree, base, commit } = await workspace(box);
  await box.sh(['checkout', '--quiet', '-b', 'elsewhere'], worktree);
  expect(await commit()).toEqual({ kind: 'branch_switched', expected: 'ws', actual: 'elsewhere' });
  await box.sh(['checkout', '--quiet', '--detach'], worktree);
  expect(await commit()).toEqual({ kind: 'branch_switched', expected: 'ws', actual: null });
  await box.sh(['checkout', '--quiet', 'ws'], worktree);
  await box.sh(['commit', '--quiet', '--amend', '--message=other'], worktree);
  expect(await commit()).toMatchObject({ kind: 'history_rewritten', base });
});

test('a half done merge is not a result', async () => {
  await using box = await makeSandbox();
  const { worktree, commit } = await workspace(box);
  await box.write('repo/a.txt', 'main\n');
  await box.sh(['commit', '--quiet', '--all', '--message=main']);
  await box.write('ws/a.txt', 'ws\n');
  await box.sh(['commit', '--quiet', '--all', '--message=ws'], worktree);
  await expect(box.sh(['merge', 'main'], worktree)).rejects.toThrow('git merge');
  expect(await commit()).toEqual({ kind: 'unmerged', files: ['a.txt'] });
});

test('a repository inside the worktree is reported, not committed as an empty link', async () => {
  await using box = await makeSandbox();
  const { worktree, commit } = await workspace(box);
  await box.sh(['clone', '--quiet', box.repository, join(worktree, 'vendor/x')]);
  await box.write('ws/c.txt', 'c\n');
  const result = await commit();
  expect(result).toMatchObject({ kind: 'result', embedded: ['vendor/x'], changes: { files: [{ path: 'c.txt' }] } });
});

test('the lock of a killed git command goes when it is old, and is respected when it is young', async () => {
  await using box = await makeSandbox();
  const { worktree, commit } = await workspace(box);
  await box.write('ws/c.txt', 'c\n');
  const lock = join(await gitDirectory(worktree), 'index.lock');
  await writeFile(lock, '');
  await expect(commit()).rejects.toMatchObject({
    code: 'unavailable',
    fix: expect.stringContaining('Another git command'),
  });
  await utimes(lock, new Date(0), new Date(0));
  expect(await commit()).toMatchObject({ kind: 'result', committed: true });
});

test('a repository without a commit inside the worktree is reported, and hides nothing from commit and removal', async () => {
  await using box = await makeSandbox();
  const { worktree, commit } = await workspace(box);
  const doomed = { repository: box.repository, id: 'ws', path: worktree, branch: 'ws' };
  for (const nested of ['nested', 'deep/other']) {
    await box.sh(['init', '--quiet', join(worktree, nested)]);
    await box.write(`ws/${nested}/f.txt`, 'f\n');
  }
  const plan = await removalPlan(box.git, doomed);
  expect(plan).toMatchObject({ safe: false, embedded: expect.arrayContaining(['nested', 'deep/other']) });
  await box.write('ws/c.txt', 'c\n');
  expect(await commit()).toMatchObject({
    kind: 'result',
    embedded: expect.arrayContaining(['nested', 'deep/other']),
    changes: { files: [{ path: 'c.txt' }] },
  });
  const { token } = await removalPlan(box.git, doomed);
  const trash = join(box.root, 'trash');
  expect(await removeWorktree(box.git, { ...doomed, trash, token })).toMatchObject({ kind: 'removed', trashed: true });
  expect(await readFile(join(trash, 'ws/files/nested/f.txt'), 'utf8')).toBe('f\n');
});
