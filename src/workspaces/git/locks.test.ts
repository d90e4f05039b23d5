import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { diagnose } from './doctor.ts';
import { dropLeftLocks, leftLocks } from './locks.ts';
import { makeSandbox, makeWorkspace, type Sandbox } from './sandbox.fixture.ts';
import { addWorktree } from './worktree.ts';

/** A lock in the git directory, as a git that was killed so long ago has left it. */
async function locked(box: Sandbox, name: string, minutes: number): Promise<string> {
  const lock = join(box.repository, '.git', `${name}.lock`);
  await mkdir(dirname(lock), { recursive: true });
  await writeFile(lock, '');
  const then = new Date(Date.now() - minutes * 60_000);
  await utimes(lock, then, then);
  return lock;
}

const own = ['refs/heads/maos/run-1', 'refs/heads/maos/work/ws_1', 'refs/maos/rescue/ws_1/1', 'packed-refs'];
const users = ['refs/heads/main', 'refs/heads/maos-like', 'refs/tags/v1', 'index', 'HEAD', 'config'];

test('old locks of MAOS’s refs are taken away, and the refs can be changed again; a user’s stay', async () => {
  await using box = await makeSandbox();
  const head = await box.sh(['rev-parse', 'HEAD']);
  const ours: string[] = [];
  for (const name of own) ours.push(await locked(box, name, 2));
  const theirs: string[] = [];
  for (const name of users) theirs.push(await locked(box, name, 60));
  expect((await dropLeftLocks(box.git, box.repository)).toSorted()).toEqual(ours.toSorted());
  expect(ours.filter((lock) => existsSync(lock))).toEqual([]);
  expect(theirs.filter((lock) => !existsSync(lock))).toEqual([]);
  await box.sh(['update-ref', 'refs/heads/maos/run-1', head]);
  expect((await leftLocks(box.git, box.repository)).map(({ path }) => path).toSorted()).toEqual(theirs.toSorted());
});

test('young locks are somebody’s', async () => {
  await using box = await makeSandbox();
  for (const name of [...own, ...users]) await locked(box, name, 0);
  expect(await leftLocks(box.git, box.repository)).toEqual([]);
  expect(await dropLeftLocks(box.git, box.repository)).toEqual([]);
});

test('the lock of a workspace’s index goes once it is very old', async () => {
  await using box = await makeSandbox();
  const path = join(box.root, 'trees/ws_1');
  await addWorktree(box.git, { repository: box.repository, path, branch: 'maos/work/ws_1', base: 'main' });
  const lock = await locked(box, 'worktrees/ws_1/index', 2);
  expect(await dropLeftLocks(box.git, path)).toEqual([]);
  await locked(box, 'worktrees/ws_1/index', 20);
  expect(await dropLeftLocks(box.git, path)).toEqual([lock]);
});

/** A git that stays, as one whose user is writing the message of a commit. */
async function busyGit(box: Sandbox, at: string): Promise<ChildProcess> {
  const child = spawn('git', ['cat-file', '--batch'], { cwd: at, env: box.env, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin?.write('HEAD\n');
  await once(child.stdout ?? child, 'data');
  return child;
}

test.runIf(process.platform === 'linux')(
  'nothing is touched while a git works in the repository or in a worktree of it',
  async () => {
    await using box = await makeSandbox();
    const { path } = await makeWorkspace(box);
    const lock = await locked(box, 'refs/heads/maos/run-1', 60);
    for (const at of [join(box.repository, 'src'), path]) {
      const child = await busyGit(box, at);
      expect(await leftLocks(box.git, box.repository)).toEqual([]);
      child.stdin?.end();
      await once(child, 'exit');
    }
    expect(await leftLocks(box.git, box.repository)).toEqual([{ path: lock, own: true }]);
  },
);

test('the doctor repairs the ones and explains the others', async () => {
  await using box = await makeSandbox();
  const request = { repository: box.repository, folder: join(box.root, 'trees'), known: [], checksRunning: false };
  const ours = await locked(box, 'refs/heads/maos/run-1', 2);
  const theirs = await locked(box, 'refs/heads/main', 60);
  const findings = await diagnose(box.git, request);
  expect(findings.map(({ kind, path, repair }) => [kind, path, repair !== null])).toEqual([
    ['left_lock', ours, true],
    ['left_lock', theirs, false],
  ]);
  for (const { repair } of findings) await repair?.();
  expect((await diagnose(box.git, request)).map(({ path, fix }) => [path, fix])).toEqual([
    [theirs, expect.stringContaining('delete the file')],
  ]);
});
