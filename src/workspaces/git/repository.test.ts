import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exec } from '../../kernel/exec.ts';
import { createGit } from './git.ts';
import { inspectRepository, listBranches, makeFromTemplate, requireGit } from './repository.ts';
import { makeSandbox } from './sandbox.fixture.ts';

test('inspects a repository from any folder of it, attached or detached', async () => {
  await using box = await makeSandbox();
  const head = await box.sh(['rev-parse', 'HEAD']);
  const found = await inspectRepository(box.git, join(box.repository, 'src'));
  expect(found).toEqual({
    root: box.repository,
    commonDir: join(box.repository, '.git'),
    branch: 'main',
    head,
    shallow: false,
  });
  await box.sh(['checkout', '--quiet', '--detach']);
  expect((await inspectRepository(box.git, box.repository)).branch).toBeNull();
  await box.sh(['clone', '--quiet', '--depth=1', `file://${box.repository}`, join(box.root, 'shallow')]);
  expect((await inspectRepository(box.git, join(box.root, 'shallow'))).shallow).toBe(true);
});

test('refuses what it cannot work in, each with its fix', async () => {
  await using box = await makeSandbox();
  const inspect = (path: string) => inspectRepository(box.git, join(box.root, path));
  await mkdir(join(box.root, 'plain'));
  await box.sh(['init', '--quiet', '--bare', join(box.root, 'bare')], box.root);
  await box.sh(['init', '--quiet', join(box.root, 'empty')], box.root);
  await expect(inspect('missing')).rejects.toMatchObject({ code: 'invalid', fix: expect.stringContaining('existing') });
  await expect(inspect('x'.repeat(300))).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('ENAMETOOLONG'),
  });
  await expect(inspect('repo/a.txt')).rejects.toMatchObject({ message: expect.stringContaining('not a folder') });
  await expect(inspect('plain')).rejects.toMatchObject({ code: 'invalid', fix: expect.stringContaining('git init') });
  await expect(inspect('bare')).rejects.toMatchObject({ message: expect.stringContaining('bare') });
  await expect(inspect('repo/.git')).rejects.toMatchObject({
    message: expect.stringContaining('inside a git directory'),
  });
  await expect(inspect('empty')).rejects.toMatchObject({
    message: expect.stringContaining('no commit yet'),
    fix: expect.stringContaining('commit'),
  });
});

test('makes a repository with one commit from a folder, or nothing', async () => {
  await using box = await makeSandbox();
  await box.write('template/src/x.ts', 'export {};\n');
  await box.write('template/.gitignore', 'out\n');
  const made = await makeFromTemplate(box.git, join(box.root, 'template'), join(box.root, 'new/sample'));
  expect(made).toMatchObject({ root: join(box.root, 'new/sample'), branch: 'main' });
  expect(await box.sh(['log', '--format=%an <%ae> %s'], made.root)).toBe('MAOS <maos@localhost> Start');
  expect(await box.sh(['status', '--porcelain'], made.root)).toBe('');
  await expect(makeFromTemplate(box.git, join(box.root, 'template'), made.root)).rejects.toMatchObject({
    code: 'conflict',
  });
  await expect(makeFromTemplate(box.git, join(box.root, 'nowhere'), join(box.root, 'other'))).rejects.toMatchObject({
    code: 'not_found',
  });
  expect(await readdir(join(box.root, 'new'))).toEqual(['sample']);
});

test('no hook, signature, foreign GIT_ variable or missing identity disturbs a commit of MAOS', async () => {
  await using box = await makeSandbox();
  await box.write('repo/.git/hooks/pre-commit', '#!/bin/sh\nexit 1\n');
  await chmod(join(box.repository, '.git/hooks/pre-commit'), 0o755);
  await box.sh(['config', 'commit.gpgsign', 'true']);
  await box.sh(['config', '--unset', 'user.name']);
  const git = createGit(exec, { ...box.env, GIT_DIR: '/nowhere', GIT_INDEX_FILE: '/nowhere' });
  expect(await git.identity(box.repository)).toEqual({ name: 'MAOS', email: 'maos@localhost' });
  await writeFile(join(box.repository, 'a.txt'), 'changed\n');
  await git.run(box.repository, ['commit', '--quiet', '--all', '--message=x'], {
    author: await git.identity(box.repository),
  });
  expect(await box.sh(['log', '-1', '--format=%an %cn'])).toBe('MAOS MAOS');
  expect(
    await createGit(exec, { ...box.env, GIT_AUTHOR_NAME: 'Eve', GIT_AUTHOR_EMAIL: 'e@example.org' }).identity(
      box.repository,
    ),
  ).toEqual({
    name: 'Eve',
    email: 'e@example.org',
  });
});

test('a missing git is said, with the fix', async () => {
  await using box = await makeSandbox();
  expect(await requireGit(box.git)).toMatch(/^2\./);
  const none = createGit(exec, { PATH: box.root });
  await expect(requireGit(none)).rejects.toMatchObject({ code: 'unavailable', fix: expect.stringContaining('2.38') });
});

test('lists branches by prefix', async () => {
  await using box = await makeSandbox();
  await box.sh(['branch', 'maos/one']);
  const head = await box.sh(['rev-parse', 'HEAD']);
  expect(await listBranches(box.git, box.repository, 'maos/')).toEqual([{ branch: 'maos/one', head }]);
});
