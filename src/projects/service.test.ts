import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { readConfig } from '../app/config.ts';
import { type Server, startServer } from '../app/server.ts';
import type { Call } from '../kernel/handler.ts';
import { makeSandbox, type Sandbox } from '../workspaces/git/sandbox.fixture.ts';
import { projectOps } from './contract.ts';

let box: Sandbox;
let home: string;
let server: Server;
let call: Call;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'maos-projects-'));
  const environment = { PATH: process.env['PATH'], HOME: home, MAOS_HOME: join(home, 'maos') };
  const config = readConfig(environment);
  server = await startServer({ config, version: '0', acts: false, listens: true, environment });
  call = server.registry.as(localCaller);
});

afterAll(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  box = await makeSandbox();
});

afterEach(() => box[Symbol.asyncDispose]());

const head = (): number => server.engine.feed.head;

/** As any program may send it, with no shell that makes its paths whole. */
async function post(path: string, body: unknown): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

it('knows a repository under its real path, from whatever folder of it', async () => {
  symlinkSync(box.repository, join(box.root, 'link'));
  const added = await call(projectOps.add, { path: join(box.root, 'link/src') });
  expect(added).toMatchObject({ name: 'repo', path: box.repository });
  expect(await call(projectOps.add, { path: `${box.repository}/` })).toEqual(added);
  expect((await call(projectOps.list, {})).projects).toEqual([added]);
});

const wrong: [string, (box: Sandbox) => string, RegExp][] = [
  ['a relative path', () => 'repo', /from the root/],
  ['a path of the shell', () => '~/repo', /from the root/],
  ['a path with ..', ({ repository }) => `${repository}/src/..`, /shortest form/],
  ['a zero byte', ({ repository }) => `${repository}\0`, /no path can hold/],
  ['nothing there', ({ root }) => join(root, 'nowhere'), /There is no folder/],
  ['a name that is too long', ({ root }) => join(root, 'x'.repeat(300)), /cannot be looked at/],
  ['a file', ({ repository }) => join(repository, 'a.txt'), /not a folder/],
  ['no repository', ({ root }) => join(root, 'home'), /not in a git repository/],
  ['the git directory', ({ repository }) => join(repository, '.git'), /inside a git directory/],
];

it.each(wrong)(
  'refuses %s for a new and for a moved project, over REST, before anything is written',
  async (_, at, told) => {
    const { id } = await call(projectOps.add, { path: box.repository });
    const before = head();
    const path = at(box);
    for (const route of ['/projects', `/projects/${id}/move`]) {
      const { status, text } = await post(route, { path });
      expect({ status, error: JSON.parse(text).error }).toMatchObject({
        status: 400,
        error: { code: 'invalid', message: expect.stringMatching(told), fix: expect.any(String) },
      });
    }
    expect(head()).toBe(before);
  },
);

it('is told where a repository is now, and looks there first', async () => {
  const { id } = await call(projectOps.add, { path: box.repository });
  const moved = join(box.root, 'moved');
  renameSync(box.repository, moved);
  expect(await call(projectOps.move, { project: id, path: join(moved, 'src') })).toMatchObject({ id, path: moved });
  const before = head();
  expect(await call(projectOps.move, { project: id, path: moved })).toMatchObject({ id, path: moved });
  expect(head()).toBe(before);
});

it('does not move one project into the folder of another', async () => {
  await call(projectOps.add, { path: box.repository });
  mkdirSync(join(box.root, 'other'));
  await box.sh(['clone', '--quiet', box.repository, join(box.root, 'other')]);
  const other = await call(projectOps.add, { path: join(box.root, 'other') });
  await expect(call(projectOps.move, { project: other.id, path: box.repository })).rejects.toMatchObject({
    code: 'conflict',
  });
  expect((await call(projectOps.get, { project: other.id })).path).toBe(other.path);
});
