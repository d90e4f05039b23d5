import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { finishConflict, startConflict } from './conflict.ts';
import { mergeCommit, updateRef } from './merge.ts';
import { makeSandbox, type Sandbox } from './sandbox.fixture.ts';
import { addWorktree } from './worktree.ts';

/** Commits files on a branch (made at `main`) without a worktree staying behind. */
async function commitOn(
  box: Sandbox,
  branch: string,
  files: Record<string, string | null>,
  from = 'main',
): Promise<string> {
  const path = join(box.root, `tmp-${branch}`);
  await box.sh(['worktree', 'add', '--quiet', '--detach', path, from]);
  for (const [name, text] of Object.entries(files)) {
    if (text === null) await rm(join(path, name));
    else await box.write(join(`tmp-${branch}`, name), text);
  }
  await box.sh(['add', '--all'], path);
  await box.sh(['commit', '--quiet', `--message=${branch}`], path);
  await box.sh(['branch', '--force', branch, 'HEAD'], path);
  const commit = await box.sh(['rev-parse', 'HEAD'], path);
  await box.sh(['worktree', 'remove', '--force', path]);
  return commit;
}

test('merges without a worktree: fast forward, up to date, merge, conflict with its kinds', async () => {
  await using box = await makeSandbox({ 'a.txt': 'a\n', 'b.txt': 'b\n', 'gone.txt': 'g\n', 'pic.bin': '\0a' });
  const base = await box.sh(['rev-parse', 'main']);
  const merge = (ours: string, theirs: string) =>
    mergeCommit(box.git, { repository: box.repository, ours, theirs, message: 'Merge it' });
  const one = await commitOn(box, 'one', { 'a.txt': 'one\n', 'gone.txt': null, 'pic.bin': '\0one', 'new.txt': '1\n' });
  expect(await merge(base, one)).toEqual({ kind: 'fast_forward', commit: one });
  expect(await merge(one, base)).toEqual({ kind: 'up_to_date', commit: one });
  const two = await commitOn(box, 'two', { 'b.txt': 'two\n' });
  const merged = await merge(one, two);
  const commit = merged.kind === 'merged' ? merged.commit : 'not merged';
  expect(await box.sh(['log', '-1', '--format=%P|%s|%an', commit])).toBe(`${one} ${two}|Merge it|Ada`);
  expect(await box.sh(['show', `${commit}:b.txt`])).toBe('two');
  const three = await commitOn(box, 'three', {
    'a.txt': 'three\n',
    'gone.txt': 'kept\n',
    'pic.bin': '\0three',
    'new.txt': '3\n',
  });
  expect(await merge(one, three)).toEqual({
    kind: 'conflict',
    files: [
      { path: 'a.txt', kinds: ['contents'] },
      { path: 'gone.txt', kinds: ['modify/delete'] },
      { path: 'new.txt', kinds: ['contents'] },
      { path: 'pic.bin', kinds: ['binary', 'contents'] },
    ],
  });
  await box.sh(['checkout', '--quiet', '--orphan', 'unrelated']);
  await box.sh(['commit', '--quiet', '--message=unrelated']);
  await expect(merge('main', 'unrelated')).rejects.toMatchObject({ code: 'conflict' });
});

test('moves a ref only from where it is expected to be', async () => {
  await using box = await makeSandbox();
  const base = await box.sh(['rev-parse', 'main']);
  const next = await commitOn(box, 'next', { 'a.txt': 'n\n' });
  const move = (to: string, old: string | null) =>
    updateRef(box.git, { at: box.repository, ref: 'refs/heads/maos/run', new: to, old, reason: 'test' });
  expect(await move(base, null)).toEqual({ kind: 'updated' });
  expect(await move(base, null)).toEqual({ kind: 'updated' });
  expect(await move(next, null)).toEqual({ kind: 'moved', actual: base });
  expect(await move(next, base)).toEqual({ kind: 'updated' });
  expect(await move(base, base)).toEqual({ kind: 'moved', actual: next });
  const results = await Promise.all(
    [base, await commitOn(box, 'other', { 'a.txt': 'o\n' })].map((to) => move(to, next)),
  );
  expect(results.map((result) => result.kind).toSorted()).toEqual(['moved', 'updated']);
});

async function conflicting(box: Sandbox, ours: Record<string, string | null>, theirs: Record<string, string | null>) {
  const other = await commitOn(box, 'other', theirs);
  await commitOn(box, 'ours', ours);
  const worktree = join(box.root, 'ws');
  const { head: base } = await addWorktree(box.git, {
    repository: box.repository,
    path: worktree,
    branch: 'ws',
    base: 'ours',
  });
  const request = { worktree, branch: 'ws', base, other, message: 'Merge other' };
  return {
    worktree,
    other,
    request,
    start: () => startConflict(box.git, request),
    finish: () => finishConflict(box.git, request),
  };
}

test('a conflict is put into the worktree with both sides and their ancestor, and committed when it is resolved', async () => {
  await using box = await makeSandbox({ 'a.txt': 'a\n' });
  const { worktree, other, start, finish } = await conflicting(
    box,
    { 'a.txt': 'ours\n' },
    { 'a.txt': 'theirs\n', 'c.txt': 'c\n' },
  );
  expect(await start()).toEqual({ kind: 'conflict', files: [{ path: 'a.txt', kinds: ['contents'] }] });
  expect(await start()).toMatchObject({ kind: 'conflict' });
  expect(await box.sh(['diff', '--', 'a.txt'], worktree)).toContain('|||||||');
  expect(await finish()).toEqual({ kind: 'unresolved', files: [{ path: 'a.txt', kinds: ['contents'] }] });
  await box.sh(['add', 'a.txt'], worktree);
  expect((await finish()).kind).toBe('unresolved');
  await box.write('ws/a.txt', 'both\n');
  const result = await finish();
  expect(result).toMatchObject({ kind: 'result', committed: true });
  await box.sh(['merge-base', '--is-ancestor', other, 'HEAD'], worktree);
  expect(await box.sh(['status', '--porcelain'], worktree)).toBe('');
  expect(await finish()).toMatchObject({ kind: 'result', committed: false });
});

test('a deletion against an edit, and a binary file, need a decision', async () => {
  await using box = await makeSandbox({ 'gone.txt': 'g\n', 'pic.bin': '\0a' });
  const { worktree, start, finish } = await conflicting(
    box,
    { 'gone.txt': null, 'pic.bin': '\0ours' },
    { 'gone.txt': 'edited\n', 'pic.bin': '\0theirs' },
  );
  await start();
  expect(await finish()).toMatchObject({ kind: 'unresolved', files: [{ path: 'gone.txt' }, { path: 'pic.bin' }] });
  await box.sh(['rm', '--quiet', 'gone.txt'], worktree);
  await box.sh(['add', 'pic.bin'], worktree);
  expect(await finish()).toMatchObject({ kind: 'result', committed: true });
});

test('the agent may commit the merge itself or abort it; markers that it committed are seen', async () => {
  await using box = await makeSandbox({ 'a.txt': 'a\n' });
  const { worktree, start, finish } = await conflicting(box, { 'a.txt': 'ours\n' }, { 'a.txt': 'theirs\n' });
  await start();
  await box.sh(['merge', '--abort'], worktree);
  expect(await finish()).toEqual({ kind: 'abandoned' });
  await start();
  await box.sh(['commit', '--quiet', '--all', '--message=with markers'], worktree);
  expect(await finish()).toMatchObject({ kind: 'unresolved' });
  await box.write('ws/a.txt', 'both\n');
  expect(await finish()).toMatchObject({ kind: 'result', committed: true });
});

test('a dirty worktree is not merged into, and a merge without conflict is committed', async () => {
  await using box = await makeSandbox({ 'a.txt': 'a\n' });
  const { worktree, start } = await conflicting(box, { 'b.txt': 'ours\n' }, { 'c.txt': 'theirs\n' });
  await box.write('ws/dirty.txt', 'd');
  expect(await start()).toEqual({ kind: 'dirty', files: ['dirty.txt'] });
  await rm(join(worktree, 'dirty.txt'));
  expect(await start()).toMatchObject({ kind: 'merged' });
  expect(await box.sh(['log', '-1', '--format=%s'], worktree)).toBe('Merge other');
});
