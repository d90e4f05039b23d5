import { existsSync } from 'node:fs';
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startConflict } from './conflict.ts';
import { gitDirectory } from './folder.ts';
import { updateRef } from './merge.ts';
import { makeSandbox, makeWorkspace } from './sandbox.fixture.ts';
import { changeClean, mendTorn } from './torn.ts';
import { addWorktree, listWorktrees } from './worktree.ts';

/** As if git had been killed here: what was to come after it does not happen. */
class Killed extends Error {}

async function killedIn(worktree: string, head: string, change: () => Promise<void>): Promise<void> {
  const dying = changeClean(worktree, head, async () => {
    await change();
    throw new Killed('killed');
  });
  await expect(dying).rejects.toThrow('killed');
}

test('a merge that was cut off while it wrote files is taken back, and the next one is made from the start', async () => {
  await using box = await makeSandbox();
  const path = join(box.root, 'trees/ws');
  await addWorktree(box.git, { repository: box.repository, path, branch: 'ws', base: 'main' });
  const head = await box.sh(['rev-parse', 'HEAD'], path);
  await box.write('repo/a.txt', 'theirs\n');
  await box.write('repo/new/file.txt', 'new\n');
  await box.sh(['add', '--all']);
  await box.sh(['commit', '--quiet', '--message=theirs']);
  const other = await box.sh(['rev-parse', 'HEAD']);
  await killedIn(path, head, async () => {
    await box.write('trees/ws/a.txt', 'theirs\n');
    await box.write('trees/ws/new/file.txt', 'half');
    await writeFile(join(await gitDirectory(path), 'index.lock'), '');
  });
  expect(await startConflict(box.git, { worktree: path, other, message: 'Merge' })).toMatchObject({ kind: 'merged' });
  expect(await box.sh(['status', '--porcelain'], path)).toBe('');
  expect(await box.sh(['show', 'HEAD:new/file.txt'], path)).toBe('new');
});

test('a change that was completed before the kill stays, and nothing is touched without the mark', async () => {
  await using box = await makeSandbox();
  const { path } = await makeWorkspace(box);
  const head = await box.sh(['rev-parse', 'HEAD'], path);
  const before = await box.sh(['status', '--porcelain'], path);
  await mendTorn(box.git, path);
  expect(await box.sh(['status', '--porcelain'], path)).toBe(before);
  await killedIn(path, head, async () => {
    await box.sh(['commit', '--quiet', '--all', '--message=on'], path);
  });
  await mendTorn(box.git, path);
  expect(await box.sh(['log', '-1', '--format=%s'], path)).toBe('on');
  expect(existsSync(join(path, 'new.txt'))).toBe(true);
});

test('a worktree whose making was cut off inside git is made again', async () => {
  await using box = await makeSandbox();
  const path = join(box.root, 'trees/ws_1');
  const wanted = { repository: box.repository, path, branch: 'maos/work/ws_1', base: 'main' };
  await addWorktree(box.git, wanted);
  const record = await gitDirectory(path);
  await writeFile(join(record, 'locked'), 'MAOS is filling it');
  for (const name of ['HEAD', 'commondir', 'index']) await rm(join(record, name), { force: true });
  await box.sh(['update-ref', '-d', 'refs/heads/maos/work/ws_1']);
  expect(await addWorktree(box.git, wanted)).toMatchObject({ kind: 'added' });
  expect(await box.sh(['status', '--porcelain', '--branch'], path)).toBe('## maos/work/ws_1');
  expect(await listWorktrees(box.git, box.repository)).toHaveLength(2);
});

test('a record that git cannot read any more is taken away: all worktrees can be listed and made again', async () => {
  await using box = await makeSandbox();
  const path = join(box.root, 'trees/ws_1');
  const wanted = { repository: box.repository, path, branch: 'maos/work/ws_1', base: 'main' };
  await addWorktree(box.git, wanted);
  const record = await gitDirectory(path);
  await writeFile(join(record, 'locked'), 'MAOS is filling it');
  await writeFile(join(record, 'commondir'), '');
  for (const name of ['a.txt', 'src']) await rm(join(path, name), { recursive: true });
  await box.sh(['update-ref', '-d', 'refs/heads/maos/work/ws_1']);
  await expect(box.sh(['worktree', 'list'])).rejects.toThrow('commondir');
  expect(await listWorktrees(box.git, box.repository)).toHaveLength(1);
  expect(await addWorktree(box.git, wanted)).toMatchObject({ kind: 'added' });
  expect(await box.sh(['status', '--porcelain', '--branch'], path)).toBe('## maos/work/ws_1');
});

test('the lock of a ref of MAOS that a killed git has left is taken away once it is old; a user’s lock is not', async () => {
  await using box = await makeSandbox();
  const head = await box.sh(['rev-parse', 'HEAD']);
  const old = new Date(Date.now() - 60_000);
  const locked = async (ref: string): Promise<string> => {
    const lock = join(box.repository, '.git', `${ref}.lock`);
    await mkdir(join(lock, '..'), { recursive: true });
    await writeFile(lock, '');
    await utimes(lock, old, old);
    return lock;
  };
  const ours = await locked('refs/heads/maos/run-1');
  const request = { at: box.repository, new: head, old: null, reason: 'test' };
  expect(await updateRef(box.git, { ...request, ref: 'refs/heads/maos/run-1' })).toEqual({ kind: 'updated' });
  expect(existsSync(ours)).toBe(false);
  const theirs = await locked('refs/heads/feature');
  const refused = updateRef(box.git, { ...request, ref: 'refs/heads/feature' });
  await expect(refused).rejects.toMatchObject({ code: 'unavailable' });
  expect(existsSync(theirs)).toBe(true);
});
