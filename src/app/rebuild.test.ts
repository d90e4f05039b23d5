import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { agentOps } from '../agents/contract.ts';
import { exec } from '../kernel/exec.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { rebuildDifferences } from '../log/rebuild-equality.fixture.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { runEvents, runOps } from '../workflows/contract.ts';
import { readConfig } from './config.ts';
import { allViews } from './rooms.ts';
import { startServer } from './server.ts';

const plan = `
name: rich
tasks:
  - {id: scan, command: "echo 'files=[\\"x\\",\\"y\\"]' > $MAOS_OUTPUT", outputs: [files]}
  - {id: each, needs: [scan], forEach: "\${{ tasks.scan.outputs.files }}", command: "echo \${{ item }} > \${{ item }}.txt", checks: ["true"]}
  - {id: bad, command: "exit 1", retries: {max: 1, backoff: 1ms}}
  - {id: never, command: "true", needs: [bad]}
  - {id: talk, runtime: fake, prompt: "nothing to do", allowEmpty: true}
`;

it('makes from the log the same tables, row for row, as the ones that grew with it', async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-rebuild-')));
  try {
    const repository = join(root, 'repository');
    await exec('git', ['init', '-q', '-b', 'main', repository]);
    writeFileSync(join(repository, 'a.txt'), 'a\n');
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@localhost', '-C', repository];
    await exec('git', [...identity, 'add', '-A']);
    await exec('git', [...identity, 'commit', '-qm', 'start']);
    const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: join(root, 'home') };
    const server = await startServer({
      config: readConfig(environment),
      version: '0',
      acts: true,
      listens: false,
      environment,
    });
    const call = server.registry.as(localCaller);
    const { id } = await call(runOps.create, { plan, cwd: repository });
    const { signal } = new AbortController();
    for await (const record of server.engine.feed.follow({ after: 0, signal })) {
      if (record.stream === id && record.type === runEvents.ended.type) break;
    }
    await call(taskOps.create, { title: 'later', notBefore: 4_000_000_000_000 });
    const agent = await call(agentOps.create, { runtime: 'command' });
    await call(agentOps.remove, { agent: agent.id });
    const snapshot = await call(watchOps.snapshot, { path: join(root, 'snapshot.db') });
    await server.close();

    const log = new SqliteLog(snapshot.path);
    expect(log.head().position).toBeGreaterThan(60);
    expect(rebuildDifferences(log.database, allViews)).toEqual([]);
    log.close();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
