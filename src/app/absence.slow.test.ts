import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LogRecord } from '../kernel/event.ts';
import { watchOps } from '../watch/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { type LiveServer, Site } from './site.fixture.ts';

let site: Site;
beforeEach(() => (site = new Site()));
afterEach(() => site.destroy());

const numbers = [1, 2, 3, 4, 5];
const at = (name: string): string => join(site.root, name);

/** Five agents; each says that it works, and ends when its own file is there. */
function plan(extra: object = {}): string {
  const tasks = numbers.map((n) => ({
    id: `agent-${n}`,
    command: `echo $$ >> ${at(`started-${n}`)}; while [ ! -e ${at(`go-${n}`)} ]; do sleep 0.02; done; echo ${n} > file-${n}; echo said ${n}`,
    ...extra,
  }));
  return JSON.stringify({ name: 'five', concurrency: 5, tasks });
}

function starts(n: number): number[] {
  const file = at(`started-${n}`);
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map(Number) : [];
}

const go = (n: number): void => writeFileSync(at(`go-${n}`), '');

async function five(extra: object = {}): Promise<LiveServer> {
  const live = await site.start();
  await live.call(runOps.create, { plan: plan(extra), cwd: site.repository });
  await site.until(
    'five agents',
    () => numbers.map((n) => starts(n).length),
    (all) => all.every((count) => count === 1),
  );
  return live;
}

function over(live: LiveServer): Promise<RunDetail> {
  return site.until(
    'the end of the run',
    () => live.call(runOps.get, { run: 'five-1' }),
    (run) => run.state !== 'running' && run.report !== null,
  );
}

function gone(pid: number): boolean {
  return !existsSync(`/proc/${pid}`);
}

function sessionsStarted(records: readonly LogRecord[]): LogRecord[] {
  return records.filter((record) => record.type === 'session.started');
}

it('nobody watches for a while: who still works is adopted, who has ended is found, and nobody is started again', async () => {
  const live = await five();
  await live.kill();
  for (const n of [1, 2, 3]) go(n);
  await site.until(
    'three ends',
    () => [1, 2, 3].flatMap(starts),
    (pids) => pids.every(gone),
  );
  const next = await site.start();
  await site.until(
    'the adoption of the others',
    () => sessionsStarted(site.records()).filter((record) => JSON.stringify(record.data).includes('"adopted":true')),
    (adopted) => adopted.length >= 2,
  );
  for (const n of [4, 5]) go(n);
  const end = await over(next);
  expect(end.steps.map((step) => [step.id, step.state, step.summary])).toEqual(
    numbers.map((n) => [`agent-${n}`, 'done', `said ${n}`]),
  );
  for (const n of numbers) expect(starts(n)).toHaveLength(1);
  expect(site.git('ls-tree', '--name-only', 'maos/five-1').split('\n')).toEqual([
    'README.md',
    ...numbers.map((n) => `file-${n}`),
  ]);
  expect(await next.call(watchOps.verify, {})).toMatchObject({ intact: true });
});

it('an agent is killed meanwhile: it is called lost, never done, and its next attempt does the work', async () => {
  const live = await five({ retries: { max: 1, backoff: '100ms' } });
  await live.kill();
  for (const { pid, command } of site.processes()) if (command.includes('started-2')) process.kill(pid, 'SIGKILL');
  for (const n of numbers) go(n);
  await site.until(
    'all ends',
    () => numbers.flatMap(starts),
    (pids) => pids.every(gone),
  );
  const next = await site.start();
  const end = await over(next);
  expect(end).toMatchObject({ state: 'succeeded' });
  expect(numbers.map((n) => starts(n).length)).toEqual([1, 2, 1, 1, 1]);
  const failed = site.records().filter((record) => record.type === 'step.failed');
  expect(failed.map((record) => record.data)).toMatchObject([{ class: 'lost' }]);
  expect(site.processes().filter(({ command }) => command.includes('started-'))).toEqual([]);
});

it('the server stops and starts in good order: agents go on and are adopted, and the log says nothing of a failure', async () => {
  const live = await five();
  await live.stop();
  expect(numbers.flatMap(starts).some(gone)).toBe(false);
  const next = await site.start();
  for (const n of numbers) go(n);
  expect(await over(next)).toMatchObject({ state: 'succeeded' });
  expect(
    site.records().filter((record) => /failed|released|lost/.test(record.type) && record.type !== 'workspace.released'),
  ).toEqual([]);
  for (const n of numbers) expect(starts(n)).toHaveLength(1);
  await next.stop();
  expect(site.journal()).toEqual([]);
});

it('a run is stopped while its agents work and the server is killed at once: the next server ends them', async () => {
  const live = await five();
  await live.call(runOps.stop, { run: 'five-1' });
  await live.kill();
  const next = await site.start();
  await site.until(
    'the end of the agents',
    () => numbers.flatMap(starts),
    (pids) => pids.every(gone),
  );
  expect(await next.call(runOps.get, { run: 'five-1' })).toMatchObject({ state: 'cancelled' });
  const { steps } = await next.call(runOps.get, { run: 'five-1' });
  expect(steps.map((step) => step.state)).toEqual(numbers.map(() => 'cancelled'));
});
