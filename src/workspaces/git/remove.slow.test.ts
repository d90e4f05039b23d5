import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exec } from '../../kernel/exec.ts';
import { runUntilCrash, type Crash } from './crash.fixture.ts';
import { exists } from './folder.ts';
import { removalPlan, removeWorktree, restoreTrash } from './remove.ts';
import { listRescues } from './rescue.ts';
import { files, makeSandbox, makeWorkspace, type Sandbox } from './sandbox.fixture.ts';
import { findWorktree } from './worktree.ts';

/** At any time, everything stands either in the worktree or in a rescue, and the ignored file in one of two folders. */
async function expectNothingLost(box: Sandbox, doomed: { path: string; trash: string; id: string }) {
  const there = await exists(doomed.path);
  const place = there ? doomed.path : join(doomed.trash, doomed.id, 'files');
  expect(await readFile(join(place, 'x.log'), 'utf8')).toBe('ignored\n');
  expect(await readFile(join(place, 'new.txt'), 'utf8')).toBe('new\n');
  expect(there ? 'new' : await box.sh(['show', `refs/maos/rescue/${doomed.id}/1:new.txt`])).toBe('new');
}

async function expectRemoved(box: Sandbox, doomed: { path: string; trash: string; id: string }) {
  await expectNothingLost(box, doomed);
  expect(await exists(doomed.path)).toBe(false);
  expect(await findWorktree(box.git, box.repository, doomed.path)).toBeNull();
  expect(await box.sh(['branch', '--list', doomed.id])).toBe('');
  expect(await listRescues(box.git, box.repository, doomed.id)).toHaveLength(1);
}

for (const when of ['before', 'during', 'after'] as const) {
  test(`a removal that dies ${when} any git command loses nothing, and is finished by the next call`, async () => {
    await using box = await makeSandbox(files);
    let crashed = true;
    for (let at = 1; crashed; at += 1) {
      const doomed = await makeWorkspace(box, `ws${at}`);
      const { token } = await removalPlan(box.git, doomed);
      crashed = await runUntilCrash(box.env, { at, when }, (git) => removeWorktree(git, { ...doomed, token }));
      await expectNothingLost(box, doomed);
      expect(await removeWorktree(box.git, { ...doomed, token })).toMatchObject({ kind: 'removed', trashed: true });
      await expectRemoved(box, doomed);
    }
  });

  test(`a restore that dies ${when} any git command is finished by the next call`, async () => {
    await using box = await makeSandbox(files);
    let crashed = true;
    for (let at = 1; crashed; at += 1) {
      const doomed = await makeWorkspace(box, `ws${at}`);
      const before = await box.sh(['status', '--porcelain'], doomed.path);
      const { token } = await removalPlan(box.git, doomed);
      await removeWorktree(box.git, { ...doomed, token });
      crashed = await runUntilCrash(box.env, { at, when }, (git) => restoreTrash(git, doomed));
      if (await exists(join(doomed.trash, doomed.id, 'entry.json'))) await restoreTrash(box.git, doomed);
      expect(await box.sh(['status', '--porcelain'], doomed.path)).toBe(before);
      await expectNothingLost(box, doomed);
    }
  });
}

test('a removal whose process is killed with SIGKILL is finished by the next call', async () => {
  await using box = await makeSandbox(files);
  for (let at = 1, code = 137; code === 137; at += 1) {
    const doomed = await makeWorkspace(box, `ws${at}`);
    const { token } = await removalPlan(box.git, doomed);
    const crash: Crash = { at, when: 'during' };
    const run = { operation: 'removeWorktree', request: { ...doomed, token }, env: box.env, crash };
    const result = await exec(process.execPath, [join(import.meta.dirname, 'crash.fixture.ts'), JSON.stringify(run)], {
      env: box.env,
    });
    expect([0, 137]).toContain(result.code);
    code = result.code;
    await expectNothingLost(box, doomed);
    expect(await removeWorktree(box.git, { ...doomed, token })).toMatchObject({ kind: 'removed', trashed: true });
    await expectRemoved(box, doomed);
  }
});
