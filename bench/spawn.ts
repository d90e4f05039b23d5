/**
 * From the request to start an agent to the first output of its process, which is the time that `date` prints.
 * Beside it: `date` started by a bare spawn, and a bare `git worktree add`. `node bench/spawn.ts`
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentEvents, agentOps } from '../src/agents/contract.ts';
import { createClient } from '../src/gateway/client.ts';
import { projectOps } from '../src/projects/contract.ts';
import { workspaceOps } from '../src/workspaces/contract.ts';
import { median, quantile, report } from './figure.ts';
import { product, startServer, temporary } from './product.ts';
import { gitIn, makeRepository } from './repository.ts';

const runs = 60;
const argv = ['/bin/date', '+%s%N'];
const now = (): number => performance.timeOrigin + performance.now();
/** What `date` printed, in milliseconds. */
const printed = (text: string): number => Number(BigInt(text.trim()) / 1_000n) / 1_000;

function bareSpawn(): Promise<number> {
  const begin = now();
  return new Promise((resolve) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('close', () => resolve(printed(text) - begin));
  });
}

const server = await startServer(product());
const folder = temporary();
const repository = await makeRepository(folder, 1_000);
const git = gitIn(folder);
const client = createClient(server);

/** Starts the agent's command in a folder; returns how long after `begin` its process printed. */
async function agentSpawn(agent: string, cwd: string, begin: number): Promise<number> {
  const stop = new AbortController();
  const started = await client.call(agentOps.start, { agent, argv, cwd });
  const after = 0;
  for await (const record of client.follow({
    after,
    filter: { streams: [agent], types: [agentEvents.ended.type] },
    signal: stop.signal,
  })) {
    const { data } = record;
    if (typeof data === 'object' && data !== null && 'generation' in data && data.generation === started.generation)
      break;
  }
  stop.abort();
  return printed(readFileSync(join(started.session?.folder ?? '', 'stdout'), 'utf8')) - begin;
}

try {
  const { id: project } = await client.call(projectOps.add, { path: repository });
  const { id: agent } = await client.call(agentOps.create, { runtime: 'command' });
  const times: Record<'bare' | 'agent' | 'worktree' | 'both', number[]> = {
    bare: [],
    agent: [],
    worktree: [],
    both: [],
  };
  for (let run = 0; run < runs; run += 1) {
    times.bare.push(await bareSpawn());
    times.agent.push(await agentSpawn(agent, repository, now()));
    const begin = performance.now();
    await git('-C', repository, 'worktree', 'add', '--quiet', '-b', `bare${run}`, join(folder, `bare${run}`), 'main');
    times.worktree.push(performance.now() - begin + (times.bare.at(-1) ?? 0));
    const asked = now();
    const { path } = await client.call(workspaceOps.create, { project, key: `bench${run}`, base: 'main' });
    times.both.push(await agentSpawn(agent, path, asked));
  }
  const spread = (values: number[]): string => `p90 ${quantile(values, 0.9).toFixed(1)} ms`;
  const name = 'agent.start over REST to first output';
  const bare = { name: 'bare spawn', value: median(times.bare) };
  report({ name, value: median(times.agent), unit: 'ms', target: { most: 20 }, bare, note: spread(times.agent) });
  const both = 'the same with a worktree of 1,000 files made first';
  const beside = { name: 'bare git worktree add and spawn', value: median(times.worktree) };
  report({
    name: both,
    value: median(times.both),
    unit: 'ms',
    target: { most: 80 },
    bare: beside,
    note: spread(times.both),
  });
} finally {
  client.close();
  await server.stop();
}
