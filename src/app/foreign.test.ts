import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { taskOps } from '../tasks/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { Inside, planOf, stepOf, untilThere } from './inside.fixture.ts';
import { Site } from './site.fixture.ts';

let site: Site;
let inside: Inside;
beforeEach(async () => {
  site = new Site({ files: { 'a.txt': 'start\n' } });
  inside = await Inside.start(site, { listens: true });
});
afterEach(async () => {
  await inside.close();
  await site.destroy();
});

const at = (name: string): string => join(site.root, name);

describe('the tasks of a run are its own', () => {
  /** A run of which one task works until `go`, and another waits for its turn. */
  const working = async (): Promise<RunDetail> => {
    const wait = (id: string) => ({ id, command: `touch ${at(id)}; ${untilThere(at('go'))}` });
    const tasks = [{ ...wait('one'), priority: 90 }, wait('two')];
    const run = await inside.begin(planOf('own', tasks, { concurrency: 1 }));
    await site.until('the first task', () => existsSync(at('one')), Boolean);
    return run;
  };
  const counts = (run: RunDetail) => inside.user(runOps.get, { run: run.name }).then((now) => now.counts);
  const goes = async (run: RunDetail): Promise<void> => {
    expect(await counts(run)).toEqual({ claimed: 1, queued: 1 });
    writeFileSync(at('go'), '');
    expect(await inside.settled(run.id)).toMatchObject({ state: 'succeeded', counts: { done: 2 } });
  };

  it('nobody else claims one, who could not end it, or is given one, for whom the run would wait for ever', async () => {
    const run = await working();
    const { task } = stepOf(run, 'two');
    const { client } = inside;
    const attempts = [
      client.call(taskOps.claim, { worker: 'me', queue: run.id }),
      client.call(taskOps.claim, { worker: 'me', task }),
      client.call(taskOps.claim, { worker: 'me', queue: run.id, kinds: ['no such kind'] }),
      client.call(taskOps.assign, { task, assignee: 'me' }),
      client.call(taskOps.assign, { task, assignee: null }),
    ];
    for (const attempt of attempts)
      await expect(attempt).rejects.toMatchObject({ code: 'forbidden', fix: expect.stringMatching(/\S/) });
    await goes(run);
  });

  it('nobody else adds one, which the runner would claim and nobody carry out', async () => {
    const run = await working();
    const { client } = inside;
    const mine = { title: 'mine', priority: 100 };
    const attempts = [
      client.call(taskOps.create, { ...mine, queue: run.id, run: run.id }),
      client.call(taskOps.create, { ...mine, queue: run.id }),
      client.call(taskOps.create, { ...mine, run: run.id }),
      client.call(taskOps.batch, { tasks: [mine, { ...mine, queue: run.id }] }),
      client.call(taskOps.batch, { tasks: [mine, { ...mine, run: run.id }] }),
    ];
    for (const attempt of attempts)
      await expect(attempt).rejects.toMatchObject({ code: 'forbidden', fix: expect.stringMatching(/\S/) });
    expect((await client.call(taskOps.list, {})).tasks).toHaveLength(2);
    await goes(run);
  });

  it('may be needed by the tasks of others, which are claimed as ever', async () => {
    const run = await working();
    const { client } = inside;
    const { id } = await client.call(taskOps.create, { title: 'mine', needs: [stepOf(run, 'two').task] });
    const other = await client.call(taskOps.create, { title: 'other', parent: id });
    expect((await client.call(taskOps.claim, { worker: 'me' })).task?.id).toBe(other.id);
    await goes(run);
  });
});
