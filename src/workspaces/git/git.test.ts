import { rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { exec } from '../../kernel/exec.ts';
import { createGit, gitFailure } from './git.ts';
import { makeSandbox } from './sandbox.fixture.ts';

test('only what passes by itself is worth another try', () => {
  const code = (stderr: string, exit = 128): string => gitFailure(['x'], { code: exit, stdout: '', stderr }).code;
  expect(code('fatal: bad object HEAD')).toBe('conflict');
  expect(code("fatal: cannot change to '/gone': No such file or directory")).toBe('unavailable');
  expect(code("fatal: Unable to create '/r/.git/index.lock': File exists.")).toBe('unavailable');
  expect(code("cannot lock ref 'refs/heads/a': Unable to create '/r/.git/refs/heads/a.lock': File exists")).toBe(
    'unavailable',
  );
  expect(code('error: unable to write file x: No space left on device')).toBe('unavailable');
  expect(code('spawn git ENOENT', 127)).toBe('unavailable');
  expect(code('git was ended: it took longer than 5 ms.', 137)).toBe('unavailable');
  expect(code('', 143)).toBe('unavailable');
  expect(code('usage: git x', 129)).toBe('conflict');
});

test('a branch in the way of a folder of branches is named', async () => {
  await using box = await makeSandbox();
  await box.sh(['branch', 'maos']);
  const head = await box.sh(['rev-parse', 'HEAD']);
  await expect(box.git.run(box.repository, ['update-ref', 'refs/heads/maos/run-1', head])).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('there is a branch "maos"'),
    fix: expect.stringContaining('git branch -m maos'),
  });
});

test('a program that the repository names for git sees no secret of the server', async () => {
  await using box = await makeSandbox();
  await box.write('repo/.gitattributes', '*.txt filter=spy\n');
  await box.sh(['config', 'filter.spy.clean', `env > ${box.root}/seen; cat`]);
  await box.write('repo/new.txt', 'new\n');
  const git = createGit(exec, {
    ...box.env,
    LC_TIME: 'C',
    SSH_AUTH_SOCK: '/s',
    API_KEY: 'secret',
    GIT_DIR: '/elsewhere',
  });
  await git.run(box.repository, ['add', 'new.txt']);
  const seen = (await exec('cat', [`${box.root}/seen`])).stdout;
  expect(seen).not.toMatch(/secret|elsewhere/);
  for (const name of ['PATH', 'HOME', 'LC_TIME', 'SSH_AUTH_SOCK', 'GIT_CONFIG_NOSYSTEM'])
    expect(seen).toContain(`${name}=`);
  await rm(`${box.root}/seen`);
});
