import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { landOnBranch, undoLanding, unfinishedLandings } from './land.ts';
import { makeSandbox, type Sandbox } from './sandbox.fixture.ts';

/** A branch `run` with one commit, made where `main` is now. */
async function runBranch(box: Sandbox, name: string, text: string): Promise<string> {
  await box.sh(['worktree', 'add', '--quiet', '-b', 'run', join(box.root, 'run'), 'main']);
  await box.write(join('run', name), text);
  await box.sh(['rm', '--quiet', 'gone.txt'], join(box.root, 'run'));
  await box.sh(['add', '--all', '--force'], join(box.root, 'run'));
  await box.sh(['commit', '--quiet', '--message=run'], join(box.root, 'run'));
  return box.sh(['rev-parse', 'run']);
}

const files = { 'a.txt': 'a\n', 'gone.txt': 'g\n', '.gitignore': '*.log\n' };
const land = (box: Sandbox, commit: string) =>
  landOnBranch(box.git, { repository: box.repository, branch: 'main', commit, message: 'Land run' });

test('lands as a fast forward on a branch that is checked out, and takes it back', async () => {
  await using box = await makeSandbox(files);
  const old = await box.sh(['rev-parse', 'main']);
  const commit = await runBranch(box, 'deep/new.txt', 'n\n');
  await box.write('repo/notes.txt', 'untracked, not in the way\n');
  const landed = { kind: 'landed', how: 'fast_forward', branch: 'main', old, new: commit, checkouts: [box.repository] };
  expect(await land(box, commit)).toEqual(landed);
  expect(await box.sh(['status', '--porcelain'])).toBe('?? notes.txt');
  expect(await readFile(join(box.repository, 'deep/new.txt'), 'utf8')).toBe('n\n');
  expect(await box.sh(['reflog', '-1', '--format=%gs'])).toBe('maos: land');
  expect(await land(box, commit)).toEqual(landed);
  const undo = { repository: box.repository, branch: 'main', old, new: commit };
  expect(await undoLanding(box.git, undo)).toMatchObject({ kind: 'landed', old: commit, new: old });
  expect(await undoLanding(box.git, undo)).toMatchObject({ kind: 'landed' });
  expect(await box.sh(['status', '--porcelain'])).toBe('?? notes.txt');
  expect(await readFile(join(box.repository, 'gone.txt'), 'utf8')).toBe('g\n');
  expect(await land(box, commit)).toEqual(landed);
  await box.sh(['commit', '--quiet', '--allow-empty', '--message=later']);
  expect(await undoLanding(box.git, undo)).toMatchObject({ kind: 'branch_moved' });
  expect(await land(box, commit)).toMatchObject({ kind: 'up_to_date' });
});

test('merges when the branch went on, also when it is checked out in another worktree or nowhere', async () => {
  await using box = await makeSandbox(files);
  const commit = await runBranch(box, 'new.txt', 'n\n');
  await box.write('repo/a.txt', 'by the user\n');
  await box.sh(['commit', '--quiet', '--all', '--message=user']);
  await box.sh(['checkout', '--quiet', '-b', 'side']);
  await box.sh(['branch', 'nowhere', 'main']);
  await box.sh(['worktree', 'add', '--quiet', join(box.root, 'second'), 'main']);
  expect(await land(box, commit)).toMatchObject({
    kind: 'landed',
    how: 'merged',
    checkouts: [join(box.root, 'second')],
  });
  expect(await box.sh(['status', '--porcelain'], join(box.root, 'second'))).toBe('');
  expect(await box.sh(['log', '-1', '--format=%s', 'main'])).toBe('Land run');
  expect(await box.sh(['status', '--porcelain', '--branch'])).toBe('## side');
  const elsewhere = { repository: box.repository, branch: 'nowhere', commit, message: 'x' };
  expect(await landOnBranch(box.git, elsewhere)).toMatchObject({ kind: 'landed', checkouts: [] });
  await expect(landOnBranch(box.git, { ...elsewhere, branch: 'none' })).rejects.toMatchObject({ code: 'not_found' });
});

test('a dirty checkout is never touched, nor a file in the way, be it ignored', async () => {
  await using box = await makeSandbox(files);
  const commit = await runBranch(box, 'out/x.log/y', 'n\n');
  const main = await box.sh(['rev-parse', 'main']);
  await box.write('repo/out/x.log', 'ignored, and a file where a folder will be\n');
  await box.write('repo/a.txt', 'dirty\n');
  expect(await land(box, commit)).toEqual({
    kind: 'dirty',
    checkout: box.repository,
    files: ['a.txt'],
    inTheWay: ['out/x.log'],
  });
  expect(await box.sh(['rev-parse', 'main'])).toBe(main);
  expect(await readFile(join(box.repository, 'a.txt'), 'utf8')).toBe('dirty\n');
  expect(await unfinishedLandings(box.repository)).toEqual([]);
});

test('an untracked folder in the way of a file is seen; an empty one is not', async () => {
  await using box = await makeSandbox(files);
  const commit = await runBranch(box, 'thing', 'n\n');
  await box.write('repo/thing/mine.txt', 'm\n');
  expect(await land(box, commit)).toMatchObject({ kind: 'dirty', inTheWay: ['thing'] });
  await box.sh(['clean', '--quiet', '--force', '-d']);
  await mkdir(join(box.repository, 'thing'));
  expect(await land(box, commit)).toMatchObject({ kind: 'landed' });
});

test('a conflict, a merge and a rebase that somebody is in the middle of, change nothing', async () => {
  await using box = await makeSandbox(files);
  const commit = await runBranch(box, 'a.txt', 'run\n');
  await box.write('repo/a.txt', 'user\n');
  await box.sh(['commit', '--quiet', '--all', '--message=user']);
  expect(await land(box, commit)).toEqual({ kind: 'conflict', files: [{ path: 'a.txt', kinds: ['contents'] }] });
  const other = await box.sh(['commit-tree', '-p', 'main', '-m', 'ff', 'main^{tree}']);
  await expect(box.sh(['merge', 'run'])).rejects.toThrow('git merge');
  expect(await land(box, other)).toMatchObject({ kind: 'busy', operation: 'merge' });
  await box.sh(['merge', '--abort']);
  await expect(box.sh(['rebase', 'run'])).rejects.toThrow('git rebase');
  expect(await land(box, other)).toMatchObject({ kind: 'busy', operation: 'rebase' });
});

test('taking a landing back keeps what nothing else holds any more', async () => {
  await using box = await makeSandbox(files);
  const commit = await runBranch(box, 'new.txt', 'n\n');
  const old = await box.sh(['rev-parse', 'main']);
  const undo = { repository: box.repository, branch: 'main', old, new: commit };
  await land(box, commit);
  expect(await undoLanding(box.git, undo)).toMatchObject({ kind: 'landed', rescue: null });
  await land(box, commit);
  await box.sh(['worktree', 'remove', '--force', join(box.root, 'run')]);
  await box.sh(['branch', '--quiet', '-D', 'run']);
  const undone = await undoLanding(box.git, undo);
  expect(undone).toMatchObject({ kind: 'landed', rescue: 'refs/maos/rescue/undo-main/1' });
  expect(await box.sh(['rev-parse', 'main'])).toBe(old);
  expect(await box.sh(['show', 'refs/maos/rescue/undo-main/1:new.txt'])).toBe('n');
  expect(await undoLanding(box.git, undo)).toMatchObject({ kind: 'landed', rescue: null });
});
