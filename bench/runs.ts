/**
 * Whole runs and many agents on the packed server: `node bench/runs.ts [chain] [leak]`
 * chain: three tasks that do nothing, one after the other in one shared workspace, from run.created to run.ended by the
 * server's own records. leak: a thousand short agents; what the server holds afterwards.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { agentEvents, agentOps } from '../src/agents/contract.ts';
import { createClient } from '../src/gateway/client.ts';
import { watchOps } from '../src/watch/contract.ts';
import { runEvents, runOps } from '../src/workflows/contract.ts';
import { median, quantile, report, runParts } from './figure.ts';
import { product, startServer, temporary } from './product.ts';
import { gitIn, makeRepository } from './repository.ts';

const server = await startServer(product());
const client = createClient(server);

const plan = `name: chain
tasks:
  - { id: one, command: 'true', workspace: shared-bench }
  - { id: two, command: 'true', workspace: shared-bench, needs: [one] }
  - { id: three, command: 'true', workspace: shared-bench, needs: [two] }
`;

/** Milliseconds between the records that begin and end a run. Returns when its workspace is removed as well. */
async function oneRun(cwd: string): Promise<number> {
  const { position: after } = await client.call(watchOps.status, {});
  const { id } = await client.call(runOps.create, { plan, cwd });
  const stop = new AbortController();
  const types = [runEvents.created.type, runEvents.ended.type, 'workspace.purged'];
  let [begin, end, purged] = [0, 0, false];
  for await (const record of client.follow({ after, filter: { types }, signal: stop.signal })) {
    if (record.type === runEvents.created.type) begin = record.at;
    else if (record.type === runEvents.ended.type) end = record.at;
    else purged = true;
    if (end > 0 && purged) break;
  }
  stop.abort();
  const { state } = await client.call(runOps.get, { run: id });
  if (state !== 'succeeded') throw new Error(`The run is ${state}.`);
  return end - begin;
}

/** What nobody can leave out: one worktree and three processes. */
async function bareChain(folder: string, repository: string, run: number): Promise<number> {
  const git = gitIn(folder);
  const path = join(folder, `bare${run}`);
  const begin = performance.now();
  await git('-C', repository, 'worktree', 'add', '--quiet', '-b', `bare${run}`, path, 'main');
  for (let task = 0; task < 3; task += 1) spawnSync('/bin/sh', ['-c', 'true'], { cwd: path });
  return performance.now() - begin;
}

async function chain(): Promise<void> {
  const folder = temporary();
  const repository = await makeRepository(folder, 20);
  const [times, bare]: [number[], number[]] = [[], []];
  for (let run = 0; run < 20; run += 1) {
    bare.push(await bareChain(folder, repository, run));
    times.push(await oneRun(repository));
  }
  const note = `p90 ${quantile(times, 0.9)} ms`;
  const beside = { name: 'git worktree add and three times sh', value: median(bare) };
  const name = 'chain of three tasks that do nothing, one shared workspace';
  report({ name, value: median(times), unit: 'ms', target: { most: 150 }, bare: beside, note });
}

interface Held {
  readonly files: number;
  readonly children: number;
  readonly rss: number;
}

function held(pid: number): Held {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const children = readdirSync(`/proc/${pid}/task`).map((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'),
  );
  return {
    files: readdirSync(`/proc/${pid}/fd`).length,
    children: children
      .join(' ')
      .split(' ')
      .filter((text) => text.trim() !== '').length,
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024,
  };
}

/** What the server holds once it has given back what the busy time took. */
async function heldAtRest(): Promise<Held> {
  await delay(25_000);
  return held(server.pid);
}

async function leak(): Promise<void> {
  const cwd = temporary();
  const { id: agent } = await client.call(agentOps.create, { runtime: 'command' });
  const stop = new AbortController();
  const follow = client.follow({
    after: 0,
    filter: { streams: [agent], types: [agentEvents.ended.type] },
    signal: stop.signal,
  });
  const run = async (agents: number): Promise<number> => {
    const begin = performance.now();
    for (let count = 0; count < agents; count += 1) {
      await client.call(agentOps.start, { agent, argv: ['/bin/echo', `run ${count}`], cwd });
      await follow.next();
    }
    return (agents * 1_000) / (performance.now() - begin);
  };
  // The first thousand load what only agents need, and fill the caches of SQLite.
  await run(1_000);
  const first = await heldAtRest();
  const perSecond = await run(1_000);
  const last = await heldAtRest();
  stop.abort();
  report({
    name: 'files open after 1,000 agents, more than before',
    value: last.files - first.files,
    unit: 'files',
    target: { most: 0 },
  });
  report({ name: 'processes left by 1,000 agents', value: last.children, unit: 'processes', target: { most: 0 } });
  const note = `${last.rss.toFixed(0)} MB at the end; ${perSecond.toFixed(0)} agents/s one after another`;
  report({
    name: 'memory of a server at rest after 1,000 agents, more than before',
    value: last.rss - first.rss,
    unit: 'MB',
    target: { most: 5 },
    note,
  });
}

try {
  await runParts({ chain, leak });
} finally {
  client.close();
  await server.stop();
}
