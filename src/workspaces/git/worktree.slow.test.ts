import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exec } from '../../kernel/exec.ts';
import { runUntilCrash } from './crash.fixture.ts';
import { makeSandbox } from './sandbox.fixture.ts';
import { addThrowaway, addWorktree, findWorktree, lockReasons, removeThrowaway } from './worktree.ts';

const files = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`d${n % 20}/f${n}.txt`, `${n}\n`.repeat(50)]));

for (const when of ['before', 'during', 'after'] as const) {
  test(`a worktree whose making dies ${when} any git command is complete after the next call`, async () => {
    await using box = await makeSandbox(files);
    let crashed = true;
    for (let at = 1; crashed; at += 1) {
      const wanted = { repository: box.repository, path: join(box.root, `ws${at}`), branch: `ws${at}`, base: 'main' };
      crashed = await runUntilCrash(box.env, { at, when }, (git) => addWorktree(git, wanted));
      await addWorktree(box.git, wanted);
      expect(await box.sh(['status', '--porcelain', '--branch'], wanted.path)).toBe(`## ws${at}`);
      expect((await findWorktree(box.git, box.repository, wanted.path))?.locked).toBe(lockReasons.held);
    }
  });

  test(`a throw-away worktree that dies ${when} any git command can be made and removed again`, async () => {
    await using box = await makeSandbox(files);
    const commit = await box.sh(['rev-parse', 'main']);
    let crashed = true;
    for (let at = 1; crashed; at += 1) {
      const wanted = { repository: box.repository, path: join(box.root, 'check'), commit };
      crashed = await runUntilCrash(box.env, { at, when }, async (git) => {
        await addThrowaway(git, wanted);
        await removeThrowaway(git, box.repository, wanted.path);
      });
      await addThrowaway(box.git, wanted);
      expect(await box.sh(['status', '--porcelain'], wanted.path)).toBe('');
      await removeThrowaway(box.git, box.repository, wanted.path);
    }
  });
}

test('a worktree whose making is killed with SIGKILL is complete after the next call', async () => {
  await using box = await makeSandbox(files);
  for (let at = 1, code = 137; code === 137; at += 1) {
    const wanted = { repository: box.repository, path: join(box.root, `ws${at}`), branch: `ws${at}`, base: 'main' };
    const run = JSON.stringify({
      operation: 'addWorktree',
      request: wanted,
      env: box.env,
      crash: { at, when: 'during' },
    });
    const result = await exec(process.execPath, [join(import.meta.dirname, 'crash.fixture.ts'), run], { env: box.env });
    expect([0, 137]).toContain(result.code);
    code = result.code;
    await addWorktree(box.git, wanted);
    expect(await box.sh(['status', '--porcelain', '--branch'], wanted.path)).toBe(`## ws${at}`);
  }
});
