import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { readConfig } from '../app/config.ts';
import { type Server, startServer } from '../app/server.ts';
import type { Call } from '../kernel/handler.ts';
import { projectOps } from '../projects/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { type Workspace, workspaceEvents, workspaceOps } from './contract.ts';
import { makeSandbox, type Sandbox } from './git/sandbox.fixture.ts';

let box: Sandbox;
let server: Server;
let call: Call;
let project: string;

async function start(acts: boolean): Promise<void> {
  const environment = { ...box.env, MAOS_HOME: join(box.root, 'maos') };
  server = await startServer({ config: readConfig(environment), version: '0', acts, listens: false, environment });
  call = server.registry.as(localCaller);
}

beforeEach(async () => {
  box = await makeSandbox();
  await start(false);
  project = (await call(projectOps.add, { path: box.repository })).id;
});

afterEach(async () => {
  await server.close();
  await box[Symbol.asyncDispose]();
});

const make = (branch: string): Promise<Workspace> =>
  call(workspaceOps.create, { project, key: 'k', base: 'main', branch });

async function failures(): Promise<unknown[]> {
  const { records } = await call(watchOps.events, { type: workspaceEvents.failed.type });
  return records.map(({ data }) => data);
}

async function only(): Promise<Workspace | undefined> {
  return (await call(workspaceOps.list, {})).workspaces[0];
}

describe('a workspace that cannot be made', () => {
  it('is failed and says why, keeps its ports, and is made once nothing is in its way any more', async () => {
    await box.sh(['branch', 'taken', 'main']);
    await box.sh(['checkout', '--quiet', 'taken']);
    await expect(make('taken')).rejects.toMatchObject({ code: 'conflict' });
    await expect(make('taken')).rejects.toMatchObject({ code: 'conflict' });
    expect(await failures()).toEqual([{ reason: expect.stringContaining('"taken" is checked out') }]);
    const failed = await only();
    expect(failed).toMatchObject({ state: 'failed', reason: expect.stringContaining('taken') });
    const { ports } = await call(workspaceOps.create, { project, key: 'other', base: 'main' });
    expect(ports.from).not.toBe(failed?.ports.from);
    await box.sh(['checkout', '--quiet', 'main']);
    await box.sh(['branch', '--quiet', '-D', 'taken']);
    expect(await make('taken')).toMatchObject({ id: failed?.id, state: 'ready', reason: null, ports: failed?.ports });
  });

  it('is made by a repetition with the same idempotency key', async () => {
    await box.sh(['checkout', '--quiet', '-b', 'taken']);
    const input = { project, key: 'k', base: 'main', branch: 'taken' };
    const options = { caller: localCaller, key: 'once' } as const;
    await expect(server.registry.call('workspace.create', input, options)).rejects.toMatchObject({ code: 'conflict' });
    await box.sh(['checkout', '--quiet', 'main']);
    await box.sh(['branch', '--quiet', '-D', 'taken']);
    expect(await server.registry.call('workspace.create', input, options)).toMatchObject({ state: 'ready' });
    expect(await server.registry.call('workspace.create', input, options)).toMatchObject({ state: 'ready' });
  });

  it('is no concern of the doctor unless something of it is left', async () => {
    await box.sh(['checkout', '--quiet', '-b', 'taken']);
    await expect(make('taken')).rejects.toMatchObject({ code: 'conflict' });
    const told = async () => (await call(watchOps.doctor, {})).findings.filter(({ area }) => area === 'git');
    expect(await told()).toMatchObject([{ severity: 'ok' }]);
    const failed = await only();
    await mkdir(failed?.path ?? '', { recursive: true });
    expect(await told()).toMatchObject([
      { severity: 'problem', message: expect.stringContaining('a part of it is left'), fix: expect.any(String) },
    ]);
  });
});

describe('the lock of a ref that a killed git has left', () => {
  const left = async (ref: string): Promise<string> => {
    const lock = join(box.repository, '.git', `${ref}.lock`);
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, '');
    const then = new Date(Date.now() - 3_600_000);
    await utimes(lock, then, then);
    return lock;
  };

  it('is gone after the start of a server, and after a repair by the doctor; a user’s is told', async () => {
    const ours = await left('refs/heads/maos/run-1');
    const theirs = await left('refs/heads/main');
    await server.close();
    await start(true);
    expect([existsSync(ours), existsSync(theirs)]).toEqual([false, true]);
    await left('refs/heads/maos/run-1');
    const { findings } = await call(watchOps.doctor, { repair: true });
    expect(findings.filter(({ area }) => area === 'git').map(({ message, repaired }) => [message, repaired])).toEqual([
      [expect.stringContaining(ours), true],
      [expect.stringContaining(theirs), false],
    ]);
    expect([existsSync(ours), existsSync(theirs)]).toEqual([false, true]);
  });
});
