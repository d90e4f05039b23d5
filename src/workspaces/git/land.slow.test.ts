import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exec } from '../../kernel/exec.ts';
import { runUntilCrash } from './crash.fixture.ts';
import { gitDirectory } from './folder.ts';
import { landOnBranch, resumeLanding, unfinishedLandings } from './land.ts';
import { makeSandbox, type Sandbox } from './sandbox.fixture.ts';

const names = Array.from({ length: 200 }, (_, n) => `d${n % 10}/f${n}.txt`);
const before = Object.fromEntries(names.map((name) => [name, 'old\n'.repeat(50)]));

/** A repository with a commit that edits, deletes and adds many files, and the request to land it as a merge. */
async function scene() {
  const box = await makeSandbox({ ...before, 'user.txt': 'u\n', turns: 'a file\n' });
  await box.sh(['checkout', '--quiet', '-b', 'run']);
  for (const [n, name] of names.entries()) if (n % 2 === 0) await box.write(join('repo', name), 'new\n'.repeat(200));
  await box.sh(['rm', '--quiet', '-r', 'd3', 'turns']);
  for (const name of names) await box.write(join('repo/added', name), 'added\n');
  await box.write('repo/turns/into-a-folder', 'x\n');
  await box.sh(['add', '--all']);
  await box.sh(['commit', '--quiet', '--message=run']);
  const commit = await box.sh(['rev-parse', 'HEAD']);
  await box.sh(['checkout', '--quiet', 'main']);
  await box.write('repo/user.txt', 'by the user\n');
  await box.sh(['commit', '--quiet', '--all', '--message=user']);
  return {
    box,
    old: await box.sh(['rev-parse', 'main']),
    request: { repository: box.repository, branch: 'main', commit, message: 'Land' },
  };
}

async function reset(box: Sandbox, old: string) {
  await box.sh(['reset', '--quiet', '--hard', old]);
  await box.sh(['clean', '--quiet', '--force', '-d']);
}

for (const when of ['before', 'during', 'after'] as const) {
  test(`a landing that dies ${when} any git command is completed by the next call, with the same answer`, async () => {
    const { box, old, request } = await scene();
    await using _ = box;
    let crashed = true;
    let deaths = -1;
    for (let at = 1; crashed; at += 1) {
      await reset(box, old);
      crashed = await runUntilCrash(box.env, { at, when }, (git) => landOnBranch(git, request));
      deaths += 1;
      expect(await landOnBranch(box.git, request)).toMatchObject({ kind: 'landed', old, checkouts: [box.repository] });
      expect(await box.sh(['status', '--porcelain'])).toBe('');
      expect(await box.sh(['log', '-1', '--format=%s'])).toBe('Land');
      expect(await unfinishedLandings(box.repository)).toEqual([]);
    }
    expect(deaths).toBeGreaterThan(9);
  });
}

test('a landing killed with SIGKILL together with its git is completed at any moment', async () => {
  const { box, old, request } = await scene();
  await using _ = box;
  const program = join(import.meta.dirname, 'crash.fixture.ts');
  const run = JSON.stringify({ operation: 'landOnBranch', request, env: box.env, crash: null });
  const folder = join(box.repository, '.git/maos/landing');
  await mkdir(folder, { recursive: true });
  let killed = 0;
  let torn = 0;
  for (let step = 0; step < 16; step += 1) {
    await reset(box, old);
    // The first thing that a landing writes is its journal; the kills are spread over what follows.
    const watcher = watch(folder);
    const begun = once(watcher, 'change');
    const env = { ...box.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
    const child = spawn(process.execPath, [program, run], { env, detached: true, stdio: 'ignore' });
    const end = once(child, 'exit');
    await begun;
    watcher.close();
    setTimeout(
      () => child.pid !== undefined && child.exitCode === null && process.kill(-child.pid, 'SIGKILL'),
      step * 2,
    );
    const [, signal] = await end;
    if (signal === 'SIGKILL') killed += 1;
    if ((await unfinishedLandings(box.repository)).length > 0) torn += 1;
    const lock = join(await gitDirectory(box.repository), 'index.lock');
    await exec('touch', ['-c', '-d', '1 hour ago', lock]);
    expect(await landOnBranch(box.git, request)).toMatchObject({ kind: 'landed', old });
    expect(await box.sh(['status', '--porcelain'])).toBe('');
  }
  expect(torn).toBeGreaterThan(0);
  process.stdout.write(`${killed} of 16 were killed, ${torn} in the middle of moving files or ref\n`);
});

test('an edit made after the crash is not overwritten: it is named, and the landing is completed once it is out of the way', async () => {
  const { box, old, request } = await scene();
  await using _ = box;
  for (let at = 1; ; at += 1) {
    await reset(box, old);
    const died = await runUntilCrash(box.env, { at, when: 'before' }, (git) => landOnBranch(git, request));
    expect(died).toBe(true);
    if ((await unfinishedLandings(box.repository)).length > 0 && (await box.sh(['rev-parse', 'main'])) !== old) break;
  }
  const edited = join(box.repository, names[0] ?? '');
  await writeFile(edited, 'edited by the user\n');
  const result = await landOnBranch(box.git, request);
  expect(result).toEqual({ kind: 'interrupted', checkout: box.repository, files: [names[0]] });
  expect(await readFile(edited, 'utf8')).toBe('edited by the user\n');
  await box.sh(['checkout-index', '--force', names[0] ?? '']);
  expect(await resumeLanding(box.git, box.repository, 'main')).toMatchObject({ kind: 'landed' });
  expect(await box.sh(['status', '--porcelain'])).toBe('');
});
