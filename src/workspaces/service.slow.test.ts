import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { readConfig } from '../app/config.ts';
import { startServer } from '../app/server.ts';
import { projectOps } from '../projects/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { workspaceEvents, workspaceOps } from './contract.ts';
import { makeSandbox } from './git/sandbox.fixture.ts';

// git waits five seconds for a lock before it gives up.
it('a workspace stays requested when what is in its way passes by itself, and is made then', async () => {
  await using box = await makeSandbox();
  const environment = { ...box.env, MAOS_HOME: join(box.root, 'maos') };
  const config = readConfig(environment);
  const server = await startServer({ config, version: '0', acts: false, listens: false, environment });
  try {
    const call = server.registry.as(localCaller);
    const { id: project } = await call(projectOps.add, { path: box.repository });
    const wanted = { project, key: 'k', base: 'main', branch: 'held' };
    const lock = join(box.repository, '.git/refs/heads/held.lock');
    writeFileSync(lock, '');
    await expect(call(workspaceOps.create, wanted)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await call(workspaceOps.list, {})).workspaces).toMatchObject([{ state: 'requested' }]);
    rmSync(lock);
    expect(await call(workspaceOps.create, wanted)).toMatchObject({ state: 'ready' });
    expect((await call(watchOps.events, { type: workspaceEvents.failed.type })).records).toEqual([]);
  } finally {
    await server.close();
  }
});
