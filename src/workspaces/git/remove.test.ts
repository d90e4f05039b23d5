import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exists } from './folder.ts';
import { listTrash, purgeTrash, removalPlan, removeWorktree, restoreTrash } from './remove.ts';
import { listRescues } from './rescue.ts';
import { files, makeSandbox, makeWorkspace } from './sandbox.fixture.ts';
import { addWorktree, listWorktrees } from './worktree.ts';

test('says what would be lost, and refuses a token of another state', async () => {
  await using box = await makeSandbox(files);
  const doomed = await makeWorkspace(box);
  const plan = await removalPlan(box.git, doomed);
  expect(plan).toMatchObject({
    token: expect.stringMatching(/^discard-[0-9a-f]{12}$/),
    safe: false,
    commits: [{ subject: 'own' }],
    uncommitted: ['a.txt', 'src/b.txt', 'new.txt'],
    embedded: [],
  });
  expect((await removalPlan(box.git, doomed)).token).toBe(plan.token);
  await box.write('trees/ws/new.txt', 'newer\n');
  const refused = await removeWorktree(box.git, { ...doomed, token: plan.token });
  expect(refused).toMatchObject({ kind: 'stale', plan: { uncommitted: ['a.txt', 'src/b.txt', 'new.txt'] } });
  expect(await exists(doomed.path)).toBe(true);
  expect(await listRescues(box.git, box.repository)).toEqual([]);
});

test('removes, keeps everything in a rescue and in the trash, and brings it back as it was', async () => {
  await using box = await makeSandbox(files);
  const doomed = await makeWorkspace(box);
  const state = async () => [
    await box.sh(['status', '--porcelain', '--branch'], doomed.path),
    await box.sh(['diff', '--cached'], doomed.path),
    await box.sh(['log', '--format=%H'], doomed.path),
  ];
  const before = await state();
  const { token } = await removalPlan(box.git, doomed);
  const removed = { kind: 'removed', rescue: 'refs/maos/rescue/ws/1', trashed: true, branchKept: false };
  expect(await removeWorktree(box.git, { ...doomed, token })).toEqual(removed);
  expect(await removeWorktree(box.git, { ...doomed, token })).toEqual(removed);
  expect(await exists(doomed.path)).toBe(false);
  expect(await box.sh(['branch', '--list', 'ws'])).toBe('');
  expect(await listWorktrees(box.git, box.repository)).toHaveLength(1);
  expect(await listTrash(doomed.trash)).toMatchObject([{ id: 'ws', branch: 'ws', rescue: 'refs/maos/rescue/ws/1' }]);
  await restoreTrash(box.git, doomed);
  expect(await state()).toEqual(before);
  expect(await readFile(join(doomed.path, 'x.log'), 'utf8')).toBe('ignored\n');
  expect(await listTrash(doomed.trash)).toEqual([]);
  await expect(restoreTrash(box.git, doomed)).rejects.toMatchObject({ code: 'not_found' });
  const again = await removalPlan(box.git, doomed);
  expect(await removeWorktree(box.git, { ...doomed, token: again.token })).toMatchObject({
    kind: 'removed',
    trashed: true,
  });
  await purgeTrash(doomed.trash, 'ws');
  expect(await box.sh(['show', 'refs/maos/rescue/ws/1:new.txt'])).toBe('new');
});

test('a merged and clean workspace goes without a rescue ref', async () => {
  await using box = await makeSandbox(files);
  const path = join(box.root, 'trees/ws');
  const doomed = { repository: box.repository, id: 'ws', path, branch: 'ws', trash: join(box.root, 'trees/.trash') };
  await addWorktree(box.git, { ...doomed, base: 'main' });
  const plan = await removalPlan(box.git, doomed);
  expect(plan).toMatchObject({ safe: true, commits: [], uncommitted: [] });
  expect(await removeWorktree(box.git, { ...doomed, token: plan.token })).toMatchObject({
    kind: 'removed',
    rescue: null,
  });
  await restoreTrash(box.git, doomed);
  expect(await box.sh(['status', '--porcelain', '--branch'], path)).toBe('## ws');
});

test('a branch that somebody moved or checked out is kept', async () => {
  await using box = await makeSandbox(files);
  const doomed = await makeWorkspace(box);
  await box.sh(['checkout', '--quiet', '--detach'], doomed.path);
  await box.sh(['worktree', 'add', '--quiet', join(box.root, 'other'), 'ws']);
  const { token } = await removalPlan(box.git, doomed);
  expect(await removeWorktree(box.git, { ...doomed, token })).toMatchObject({ kind: 'removed', branchKept: true });
  expect(await box.sh(['status', '--porcelain', '--branch'], join(box.root, 'other'))).toBe('## ws');
});

test('a folder that was deleted by hand can be removed; its commits are rescued', async () => {
  await using box = await makeSandbox(files);
  const doomed = await makeWorkspace(box);
  await rm(doomed.path, { recursive: true });
  const plan = await removalPlan(box.git, doomed);
  expect(plan).toMatchObject({ safe: false, commits: [{ subject: 'own' }] });
  expect(await removeWorktree(box.git, { ...doomed, token: 'discard-000000000000' })).toMatchObject({ kind: 'stale' });
  expect(await removeWorktree(box.git, { ...doomed, token: plan.token })).toMatchObject({
    kind: 'removed',
    trashed: false,
    branchKept: false,
  });
  expect(await box.sh(['show', 'refs/maos/rescue/ws/1:own.txt'])).toBe('own');
});
