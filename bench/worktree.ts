/**
 * How long a worktree takes on a repository of 1,000 files, beside a bare `git worktree add` in the same run.
 * Usage: node bench/worktree.ts [runs]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from '../src/kernel/exec.ts';
import { createGit } from '../src/workspaces/git/git.ts';
import { addThrowaway, addWorktree, removeThrowaway } from '../src/workspaces/git/worktree.ts';
import { removalPlan, removeWorktree } from '../src/workspaces/git/remove.ts';

const runs = Number(process.argv[2] ?? 30);
const root = mkdtempSync(join(tmpdir(), 'maos-bench-'));
const repository = join(root, 'repo');
const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: root, GIT_CONFIG_NOSYSTEM: '1' };
const git = createGit(exec, env);

async function makeRepository(): Promise<void> {
  await exec('git', ['init', '--quiet', '--initial-branch=main', repository], { env });
  for (let n = 0; n < 1_000; n += 1) {
    const folder = join(repository, `src/part${n % 25}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file${n}.ts`), `export const value${n} = ${n};\n`.repeat(60));
  }
  await git.run(repository, ['add', '--all']);
  await git.run(repository, ['commit', '--quiet', '--message=Start'], { author: await git.identity(repository) });
  // A repository in use is packed.
  await git.run(repository, ['gc', '--quiet']);
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await task();
  return performance.now() - begin;
}

function report(name: string, times: number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1).padStart(7);
  console.log(`${name.padEnd(44)} p50 ${at(0.5)} ms   p90 ${at(0.9)} ms`);
}

try {
  await makeRepository();
  const commit = (await git.run(repository, ['rev-parse', 'HEAD'])).trim();
  const times: Record<'bare' | 'add' | 'check' | 'plan' | 'remove', number[]> = {
    bare: [],
    add: [],
    check: [],
    plan: [],
    remove: [],
  };
  for (let run = 0; run < runs; run += 1) {
    const bare = ['-C', repository, 'worktree', 'add', '--quiet', '-b', `bare${run}`, join(root, `bare${run}`), 'main'];
    times.bare.push(await timed(() => exec('git', bare, { env })));
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
  console.log(`worktrees of a repository with 1,000 files, ${runs} runs`);
  report('git worktree add -b (bare)', times.bare);
  report('addWorktree', times.add);
  report('addThrowaway', times.check);
  report('removalPlan', times.plan);
  report('removeWorktree (with rescue and trash)', times.remove);
} finally {
  rmSync(root, { recursive: true, force: true });
}
