import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runUntilCrash } from './crash.fixture.ts';
import { diagnose, type Finding, type KnownWorkspace } from './doctor.ts';
import { gitDirectory } from './folder.ts';
import { landOnBranch } from './land.ts';
import { makeSandbox, type Sandbox } from './sandbox.fixture.ts';
import { addThrowaway, addWorktree, lockReasons } from './worktree.ts';

async function scene(box: Sandbox) {
  const folder = join(box.root, 'trees');
  const head = await box.sh(['rev-parse', 'main']);
  const add = async (id: string): Promise<KnownWorkspace> => {
    const path = join(folder, id);
    await addWorktree(box.git, { repository: box.repository, path, branch: `maos/${id}`, base: 'main' });
    return { id, path, branch: `maos/${id}`, state: 'live', head };
  };
  const look = (known: readonly KnownWorkspace[], repository = box.repository) =>
    diagnose(box.git, { repository, folder, known, checksRunning: false });
  return { folder, head, add, look };
}

const kinds = (findings: readonly Finding[]) =>
  findings.map((finding) => [finding.kind, finding.id ?? finding.path.split('/').at(-1)]);

async function repairAll(findings: readonly Finding[]) {
  for (const finding of findings) await finding.repair?.();
}

test('finds nothing when log and git agree', async () => {
  await using box = await makeSandbox();
  const { add, look } = await scene(box);
  const known = [
    await add('w1'),
    await add('w2'),
    { id: 'w0', path: join(box.root, 'trees/w0'), branch: 'maos/w0', state: 'removed' as const, head: null },
  ];
  expect(await look(known)).toEqual([]);
});

test('finds and repairs what was done by hand, and then finds nothing', async () => {
  await using box = await makeSandbox();
  const { add, look, folder, head } = await scene(box);
  const known = await Promise.all(['gone', 'pruned', 'branchless', 'half', 'unlocked'].map(add));
  const at = (id: string) => join(folder, id);
  await rm(at('gone'), { recursive: true });
  await rm(await gitDirectory(at('branchless')).then((directory) => join(directory, 'locked')));
  await box.sh(['update-ref', '-d', 'refs/heads/maos/branchless']);
  await writeFile(join(await gitDirectory(at('half')), 'locked'), lockReasons.filling);
  await box.sh(['worktree', 'unlock', at('unlocked')]);
  await rename(at('pruned'), join(box.root, 'aside'));
  await rename(join(box.root, 'aside'), at('pruned'));
  await addThrowaway(box.git, { repository: box.repository, path: at('check'), commit: head });
  const lost = await add('lost');
  await rm(lost.path, { recursive: true });
  known.push({ ...lost, state: 'removed' });
  const findings = await look(known);
  expect(kinds(findings)).toEqual([
    ['folder_missing', 'gone'],
    ['branch_missing', 'branchless'],
    ['half_made', 'half'],
    ['unlocked', 'unlocked'],
    ['not_removed', 'lost'],
    ['stale_check', 'check'],
  ]);
  await repairAll(findings);
  await repairAll(await look(known));
  expect(await look(known)).toEqual([]);
  expect(await box.sh(['status', '--porcelain', '--branch'], at('branchless'))).toBe('## maos/branchless');
});

test('connects worktrees again when the repository or a worktree was moved', async () => {
  await using box = await makeSandbox();
  const { add, look, folder } = await scene(box);
  const known = [await add('w1'), await add('w2')];
  const moved = join(box.root, 'moved');
  await rename(box.repository, moved);
  const findings = await look(known, moved);
  expect(kinds(findings)).toEqual([
    ['disconnected', 'w1'],
    ['disconnected', 'w2'],
  ]);
  await repairAll(findings);
  expect(await look(known, moved)).toEqual([]);
  await rename(join(folder, 'w1'), join(folder, 'w3'));
  const renamed = known.map((one) => (one.id === 'w1' ? { ...one, path: join(folder, 'w3') } : one));
  expect(kinds(await look(renamed, moved)).filter(([kind]) => kind === 'disconnected')).toEqual([
    ['disconnected', 'w1'],
  ]);
  await repairAll(await look(renamed, moved));
  expect(await look(renamed, moved)).toEqual([]);
});

test('explains what only a person can decide, and leaves it alone', async () => {
  await using box = await makeSandbox();
  const { add, look, folder } = await scene(box);
  const known = [await add('w1'), { ...(await add('w2')), state: 'removed' as const }];
  await box.sh(['checkout', '--quiet', '-b', 'mine'], join(folder, 'w1'));
  await box.sh(['worktree', 'add', '--quiet', '--detach', join(folder, 'foreign')]);
  await box.sh(['init', '--quiet', join(folder, 'clone')]);
  await mkdir(join(folder, '.trash'));
  const findings = await look(known);
  expect(kinds(findings)).toEqual([
    ['branch_switched', 'w1'],
    ['not_removed', 'w2'],
    ['unknown_worktree', 'foreign'],
    ['unknown_folder', 'clone'],
  ]);
  expect(findings.every((finding) => finding.repair === null && finding.fix !== '')).toBe(true);
});

test('completes a landing that was interrupted', async () => {
  await using box = await makeSandbox();
  const { look } = await scene(box);
  const commit = await box.sh(['commit-tree', '-p', 'main', '-m', 'next', 'main^{tree}']);
  let findings: Finding[] = [];
  for (let at = 1; findings.length === 0; at += 1) {
    const request = { repository: box.repository, branch: 'main', commit, message: 'x' };
    expect(await runUntilCrash(box.env, { at, when: 'after' }, (git) => landOnBranch(git, request))).toBe(true);
    findings = await look([]);
  }
  expect(kinds(findings)).toEqual([['landing_interrupted', 'repo']]);
  await repairAll(findings);
  expect(await look([])).toEqual([]);
});
