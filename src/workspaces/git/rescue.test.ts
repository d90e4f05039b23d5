import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exists, gitDirectory } from './folder.ts';
import { dropRescue, listRescues, rescue, restoreBranch, restoreWorktree } from './rescue.ts';
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
  return { worktree, base, rescue: () => rescue(box.git, { worktree, branch: 'ws', id: 'ws_1' }) };
}

test('nothing is saved when all of it is reachable elsewhere', async () => {
  await using box = await makeSandbox();
  const { worktree, rescue } = await workspace(box);
  expect((await rescue()).kind).toBe('reachable');
  await box.sh(['commit', '--quiet', '--allow-empty', '--message=only here'], worktree);
  expect((await rescue()).kind).toBe('saved');
  await box.sh(['branch', 'copy', 'ws']);
  expect((await rescue()).kind).toBe('reachable');
});

test('saves commits, staged, unstaged and untracked changes, leaves the worktree alone, and brings all back', async () => {
  await using box = await makeSandbox({ 'a.txt': 'a\n', 'gone.txt': 'g\n', '.gitignore': '*.log\n' });
  const { worktree, rescue } = await workspace(box);
  await box.sh(['commit', '--quiet', '--allow-empty', '--message=own'], worktree);
  await box.write('ws/a.txt', 'staged\n');
  await box.sh(['add', 'a.txt'], worktree);
  await box.write('ws/a.txt', 'unstaged\n');
  await box.write('ws/new.txt', 'new\n');
  await box.write('ws/x.log', 'ignored');
  await rm(join(worktree, 'gone.txt'));
  const state = async (at: string) => [
    await box.sh(['status', '--porcelain'], at),
    await box.sh(['diff', '--cached'], at),
    await box.sh(['diff'], at),
  ];
  const before = await state(worktree);
  const index = await readFile(join(await gitDirectory(worktree), 'index'));
  const saved = await rescue();
  expect(saved).toMatchObject({ kind: 'saved', ref: 'refs/maos/rescue/ws_1/1' });
  expect(await readFile(join(await gitDirectory(worktree), 'index'))).toEqual(index);
  expect(await rescue()).toMatchObject({ kind: 'saved', ref: 'refs/maos/rescue/ws_1/1' });
  const [entry] = await listRescues(box.git, box.repository, 'ws_1');
  expect(entry).toMatchObject({ id: 'ws_1', number: 1, branch: 'ws', head: await box.sh(['rev-parse', 'ws']) });
  const path = join(box.root, 'back');
  const wanted = { repository: box.repository, ref: 'refs/maos/rescue/ws_1/1', branch: 'back', path };
  await restoreWorktree(box.git, wanted);
  expect(await state(path)).toEqual(before);
  await restoreWorktree(box.git, wanted);
  expect(await state(path)).toEqual(before);
  await writeFile(join(path, 'new.txt'), 'worked on\n');
  await expect(restoreWorktree(box.git, wanted)).rejects.toMatchObject({ code: 'conflict' });
  await restoreBranch(box.git, box.repository, wanted.ref, 'as-commit');
  expect(await box.sh(['show', 'as-commit:new.txt'])).toBe('new');
  await expect(restoreBranch(box.git, box.repository, wanted.ref, 'main')).rejects.toMatchObject({ code: 'conflict' });
});

test('a second state becomes a second rescue; a rescue is dropped only as the commit it is', async () => {
  await using box = await makeSandbox();
  const { rescue } = await workspace(box);
  await box.write('ws/new.txt', '1');
  const first = await rescue();
  await box.write('ws/new.txt', '2');
  await rescue();
  const refs = async () => (await listRescues(box.git, box.repository)).map((entry) => entry.ref);
  expect(await refs()).toEqual(['refs/maos/rescue/ws_1/1', 'refs/maos/rescue/ws_1/2']);
  const commit = first.kind === 'saved' ? first.commit : '';
  await expect(dropRescue(box.git, box.repository, 'refs/maos/rescue/ws_1/2', commit)).rejects.toThrow('update-ref');
  await dropRescue(box.git, box.repository, 'refs/maos/rescue/ws_1/1', commit);
  await expect(dropRescue(box.git, box.repository, 'refs/heads/main', commit)).rejects.toMatchObject({
    code: 'not_found',
  });
  expect(await refs()).toEqual(['refs/maos/rescue/ws_1/2']);
});

test('commits that were amended or reset away, and an unfinished merge, are saved as well', async () => {
  await using box = await makeSandbox();
  const { worktree, base, rescue } = await workspace(box);
  await box.write('ws/lost.txt', 'lost\n');
  await box.sh(['add', '--all'], worktree);
  await box.sh(['commit', '--quiet', '--message=lost'], worktree);
  const lost = await box.sh(['rev-parse', 'HEAD'], worktree);
  await box.sh(['reset', '--quiet', '--hard', base], worktree);
  expect(await exists(join(worktree, 'lost.txt'))).toBe(false);
  const first = await rescue();
  expect(first).toMatchObject({ kind: 'saved', snapshot: { dropped: [lost] } });
  await box.sh(['merge-base', '--is-ancestor', lost, 'refs/maos/rescue/ws_1/1']);
  expect(await rescue()).toMatchObject({ ref: 'refs/maos/rescue/ws_1/1' });
  await box.write('repo/a.txt', 'main\n');
  await box.sh(['commit', '--quiet', '--all', '--message=main']);
  await box.write('ws/a.txt', 'ws\n');
  await box.sh(['commit', '--quiet', '--all', '--message=ws'], worktree);
  await expect(box.sh(['merge', 'main'], worktree)).rejects.toThrow('git merge');
  await rescue();
  expect(await box.sh(['show', 'refs/maos/rescue/ws_1/2:a.txt'])).toContain('<<<<<<<');
});
