import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import type { Call } from '../kernel/handler.ts';
import { watchOps } from '../watch/contract.ts';
import { readConfig } from './config.ts';
import { type Server, startServer } from './server.ts';

let root: string;
let home: string;
let server: Server;
let call: Call;

beforeAll(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-snapshot-')));
  home = join(root, 'home');
  const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: home };
  const config = readConfig(environment);
  server = await startServer({ config, version: '0', acts: false, listens: false, environment });
  call = server.registry.as(localCaller);
});

afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(root, 'out-'));
});

it('writes to a new file in a folder that exists, or to one of its own naming', async () => {
  const path = join(out, 'a b.db');
  expect(await call(watchOps.snapshot, { path })).toMatchObject({ path, position: 0 });
  expect(readdirSync(out)).toEqual(['a b.db']);
  const named = await call(watchOps.snapshot, {});
  expect(named.path.startsWith(join(home, 'snapshots/'))).toBe(true);
  const beside = join(home, 'snapshots/mine.db');
  expect((await call(watchOps.snapshot, { path: beside })).path).toBe(beside);
});

it('replaces nothing, not even a draft or a link that leads nowhere', async () => {
  writeFileSync(join(out, 'kept'), 'kept');
  writeFileSync(join(out, 'x.partial'), 'mine');
  symlinkSync(join(out, 'nowhere'), join(out, 'link'));
  for (const name of ['kept', 'x', 'link']) {
    await expect(call(watchOps.snapshot, { path: join(out, name) })).rejects.toMatchObject({
      code: 'conflict',
      fix: expect.stringContaining('new file'),
    });
  }
  expect(readFileSync(join(out, 'kept'), 'utf8')).toBe('kept');
  expect(readFileSync(join(out, 'x.partial'), 'utf8')).toBe('mine');
  expect(existsSync(join(out, 'nowhere'))).toBe(false);
});

const wrong: [string, () => string, RegExp][] = [
  ['a relative path', () => 'x.db', /from the root/],
  ['a path with ..', () => `${out}/../x.db`, /shortest form/],
  ['a zero byte', () => `${out}/x\0.db`, /no path can hold/],
  ['a folder that is not there', () => join(out, 'new/x.db'), /cannot be written to/],
  ['a folder that is a file', () => join(home, 'token/x.db'), /cannot be written to|not a folder/],
  ['the name of a folder', () => `${out}/`, /name of a folder/],
  ['the place of the WAL', () => join(home, 'maos.db-wal'), /MAOS itself keeps/],
  ['the place of another file of MAOS', () => join(home, 'config.json'), /MAOS itself keeps/],
  ['a folder of MAOS', () => join(home, 'worktrees/x.db'), /MAOS itself keeps/],
  ['a link into the home', () => join(out, 'home/maos.db-journal'), /MAOS itself keeps/],
];

it.each(wrong)('refuses %s and makes nothing', async (_, at, told) => {
  mkdirSync(join(home, 'worktrees'), { recursive: true });
  symlinkSync(home, join(out, 'home'));
  const before = [readdirSync(out), readdirSync(home)];
  await expect(call(watchOps.snapshot, { path: at() })).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringMatching(told),
    fix: expect.any(String),
  });
  expect([readdirSync(out), readdirSync(home)]).toEqual(before);
});
