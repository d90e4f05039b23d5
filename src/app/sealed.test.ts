import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { agentEvents, agentOps } from '../agents/contract.ts';
import { restoreSnapshot } from '../log/restore.ts';
import { secretOps } from '../secrets/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { runEvents, runOps } from '../workflows/contract.ts';
import { Local } from './local.fixture.ts';

let local: Local;
beforeEach(async () => {
  local = await new Local().init();
});
afterEach(() => local.destroy());

const plan = 'name: hush\ntasks:\n  - {id: one, command: echo a-word-of-the-plan | tee one.txt}\n';
const sealed = { extra: { MAOS_ENCRYPTION: 'state' } };

it('a sealed state carries a run out, shows nothing on the disk, and is the same after a start and from a snapshot', async () => {
  const home = await local.start('home', sealed);
  const { id } = await home.carryOut(plan);
  await home.sees((record) => record.stream === id && record.type === runEvents.reported.type);
  const run = await home.call(runOps.get, { run: id });
  expect(run.state).toBe('succeeded');
  await home.call(secretOps.set, { name: 'TOKEN', value: 'a-secret-value' });
  // What it printed is sealed a moment after its end, and read as before.
  const [agent] = (await home.call(agentOps.list, {})).agents;
  const { stream: ended, data } = await home.sees(({ type }) => type === agentEvents.ended.type);
  expect(agent?.id).toBe(ended);
  expect(data).toBeDefined();
  const transcripts = join(local.root, 'home', 'transcripts');
  const files = (): string[] => readdirSync(transcripts, { recursive: true, encoding: 'utf8' });
  await expect.poll(() => files().filter((name) => /std(?:out|err)$/.test(name))).toEqual([]);
  expect(files().filter((name) => name.endsWith('stdout.sealed'))).toHaveLength(1);
  expect((await home.call(agentOps.logs, { agent: ended })).text).toBe('a-word-of-the-plan\n');
  expect((await home.call(agentOps.logs, { agent: ended, raw: true, after: 2, limit: 4 })).text).toBe('word');
  const found = await home.call(watchOps.events, { text: 'a-word-of-the-plan' });
  expect(found.records.length).toBeGreaterThan(0);
  const verified = await home.call(watchOps.verify, {});
  expect(verified).toMatchObject({ intact: true });
  const snapshot = await home.call(watchOps.snapshot, {});
  await home.server.engine.core.rebuild();
  expect(await home.call(runOps.get, { run: run.id })).toEqual(run);
  await home.server.close();
  for (const file of [local.database(), readFileSync(snapshot.path, 'latin1')]) {
    expect(file).toContain('sealed.1.');
    expect(file).not.toContain('a-word-of-the-plan');
  }
  const again = await local.start('home', sealed);
  expect(await again.call(runOps.get, { run: run.id })).toEqual(run);
  expect(await again.call(watchOps.verify, {})).toMatchObject({ intact: true });
  // Rotation changes the keys of what comes; the log goes on with the key it has, and opens after the next start.
  await again.call(secretOps.rotate, {});
  await again.carryOut(plan);
  await again.server.close();
  await restoreSnapshot(snapshot.path, join(local.root, 'home', 'maos.db'));
  const restored = await local.start('home', sealed);
  expect(await restored.call(runOps.get, { run: run.id })).toEqual(run);
  expect((await restored.call(runOps.list, {})).runs).toHaveLength(1);
  await restored.server.close();
  expect(
    readdirSync(join(local.root, 'home')).filter((name) => name.startsWith('maos.db') && name.includes('views')),
  ).toEqual([]);
  await expect(local.start('home')).rejects.toMatchObject({
    code: 'unavailable',
    fix: expect.stringContaining('"encryption": "state"'),
  });
});
