import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { taskOps } from '../tasks/contract.ts';
import { runEvents, type RunDetail, runOps } from '../workflows/contract.ts';
import { Inside, planOf, stepOf, untilLanded, untilThere } from './inside.fixture.ts';
import { Site } from './site.fixture.ts';

let site: Site;
let inside: Inside;
beforeEach(async () => {
  site = new Site({ files: { 'a.txt': 'start\n' } });
  inside = await Inside.start(site);
});
afterEach(async () => {
  await inside.close();
  await site.destroy();
});

const at = (name: string): string => join(site.root, name);
const open = (name: string): void => writeFileSync(at(name), '');

describe('a task that a check has refused', () => {
  it('tells the end of what the check printed, where the cause stands', async () => {
    const check = 'seq 10000; echo the real cause; exit 3';
    const run = await inside.carryOut(planOf('loud', [{ id: 'edit', command: 'echo x > x.txt', checks: [check] }]));
    const { evidence, reason } = stepOf(run, 'edit');
    expect(evidence[0]?.output).toContain('the real cause');
    expect(reason).toContain(`The check "${check}" failed (exit 3).`);
    expect(reason?.replace(check, '')).toContain('the real cause');
    const { markdown } = await inside.user(runOps.report, { run: run.name });
    const told = markdown.replaceAll(check, '').split('\n');
    // For the whole run, in the table, and among what is not done.
    expect(told.filter((line) => line.includes('the real cause'))).toHaveLength(3);
  });
});

describe('a claim that is lost while the merge stands in the queue', () => {
  /** A run whose second task has lost its claim and has another one, while the queue checks what the first attempt made. */
  const lost = async (verdict: string): Promise<RunDetail> => {
    const check = `test ! -e first.txt || { touch ${at('checking')}; ${untilThere(at('go'))}; ${verdict}; }`;
    const work = `touch ${at('begun')}; echo second >> ${at('worked')}`;
    const run = await inside.begin(
      planOf('lost', [
        { id: 'first', command: `${untilThere(at('begun'))}; echo first > first.txt` },
        { id: 'second', command: `${work}; ${untilLanded('first.txt')}; echo second > second.txt`, checks: [check] },
      ]),
    );
    await site.until('the check in the queue', () => existsSync(at('checking')), Boolean);
    const { task } = stepOf(run, 'second');
    const { fence } = await inside.user(taskOps.get, { task });
    const after = inside.head;
    await inside.maos(taskOps.release, { task, fence });
    await inside.see(({ stream, type }) => stream === task && type === runEvents.merging.type, after);
    return run;
  };

  it('does not have the work made again: the next attempt waits for the same merge', async () => {
    const run = await lost('true');
    open('go');
    expect((await inside.settled(run.id)).state).toBe('succeeded');
    expect(inside.lines('worked')).toEqual(['second']);
    expect(site.git('show', `${run.branch}:second.txt`)).toBe('second');
  });

  it('hears the verdict when it is a refusal', async () => {
    const run = await lost('false');
    open('go');
    const ended = await inside.settled(run.id);
    expect(ended).toMatchObject({ state: 'failed', counts: { done: 1, failed: 1 } });
    expect(stepOf(ended, 'second').reason).toContain('Together with the work of other tasks the check');
    expect(inside.lines('worked')).toEqual(['second']);
  });
});
