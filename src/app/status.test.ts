import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { agentOps } from '../agents/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { readConfig } from './config.ts';
import { startServer } from './server.ts';

it('counts tasks by state, agents with a live session, and runs that go on', async () => {
  const root = mkdtempSync(join(tmpdir(), 'maos-status-'));
  const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: join(root, 'home') };
  const config = readConfig(environment);
  const server = await startServer({ config, version: '0', acts: false, listens: false, environment });
  try {
    const call = server.registry.as(localCaller);
    expect(await call(watchOps.status, {})).toMatchObject({ runs: 0, agents: 0, tasks: {} });
    await call(taskOps.create, { title: 'now' });
    await call(taskOps.create, { title: 'later', notBefore: 4_000_000_000_000 });
    await call(taskOps.create, { title: 'much later', notBefore: 4_000_000_000_001 });
    await call(agentOps.create, { name: 'idle', runtime: 'command' });
    await call(agentOps.create, { name: 'asked', runtime: 'command' });
    await call(agentOps.start, { agent: 'asked', argv: ['true'], cwd: root });
    expect(await call(watchOps.status, {})).toMatchObject({ runs: 0, agents: 1, tasks: { queued: 1, delayed: 2 } });
  } finally {
    await server.close();
    rmSync(root, { recursive: true, force: true });
  }
});
