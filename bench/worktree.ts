/** The parts of a workspace's life on a repository of 1,000 files, beside a bare `git worktree add`: `node bench/worktree.ts` */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec } from '../src/kernel/exec.ts';
import { createGit } from '../src/workspaces/git/git.ts';
import { removalPlan, removeWorktree } from '../src/workspaces/git/remove.ts';
import { addThrowaway, addWorktree, removeThrowaway } from '../src/workspaces/git/worktree.ts';
import { median, report } from './figure.ts';
import { temporary } from './product.ts';
import { gitIn, makeRepository } from './repository.ts';

const runs = 20;
const root = temporary();
const repository = await makeRepository(root, 1_000);
const bareGit = gitIn(root);
const git = createGit(exec, { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: root, GIT_CONFIG_NOSYSTEM: '1' });

async function timed(task: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await task();
  return performance.now() - begin;
}

const commit = await bareGit('-C', repository, 'rev-parse', 'HEAD');
const parts = {
  bare: '',
  add: 'worktree added',
  check: 'throw-away worktree added',
  plan: 'removal planned',
  remove: 'worktree removed, with rescue and trash',
};
const times = {
  bare: new Array<number>(),
  add: new Array<number>(),
  check: new Array<number>(),
  plan: new Array<number>(),
  remove: new Array<number>(),
};
for (let run = 0; run < runs; run += 1) {
  times.bare.push(
    await timed(() =>
      bareGit('-C', repository, 'worktree', 'add', '--quiet', '-b', `bare${run}`, join(root, `bare${run}`), 'main'),
    ),
  );
  const wanted = { repository, path: join(root, 'trees', `ws${run}`), branch: `maos/ws${run}`, base: commit };
  times.add.push(await timed(() => addWorktree(git, wanted)));
  const check = join(root, 'checks', `${run}`);
  times.check.push(await timed(() => addThrowaway(git, { repository, path: check, commit })));
  await removeThrowaway(git, repository, check);
  writeFileSync(join(wanted.path, 'new.txt'), 'work\n');
  const doomed = { repository, id: `ws${run}`, path: wanted.path, branch: wanted.branch };
  let token = '';
  times.plan.push(await timed(async () => ({ token } = await removalPlan(git, doomed))));
  times.remove.push(await timed(() => removeWorktree(git, { ...doomed, trash: join(root, 'trash'), token })));
}
const bare = { name: 'git worktree add -b', value: median(times.bare) };
for (const part of ['add', 'check', 'plan', 'remove'] as const) {
  report({ name: `${parts[part]}, 1,000 files`, value: median(times[part]), unit: 'ms', bare });
}
