import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { exec } from '../kernel/exec.ts';
import type { Call } from '../kernel/handler.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { type RunDetail, runEvents, runOps } from '../workflows/contract.ts';
import { readConfig } from './config.ts';
import { type Server, startServer } from './server.ts';

let root: string;
let repository: string;
let server: Server;
let call: Call;

async function git(...args: string[]): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: root, GIT_CONFIG_NOSYSTEM: '1' };
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@localhost'];
  const result = await exec('git', [...identity, '-C', repository, ...args], { env });
  if (result.code !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-runs-')));
  repository = join(root, 'repository');
  await exec('git', ['init', '-q', '-b', 'main', repository]);
  writeFileSync(join(repository, 'a.txt'), 'start\n');
  await git('add', '-A');
  await git('commit', '-qm', 'start');
  const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: join(root, 'home') };
  server = await startServer({
    config: readConfig(environment),
    version: '0',
    acts: true,
    listens: false,
    environment,
  });
  call = server.registry.as(localCaller);
});

afterEach(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

/** Waits until a run has ended or waits for a person, from a position on. */
async function settled(run: string, after: number): Promise<RunDetail> {
  const types: string[] = [runEvents.ended.type, runEvents.waiting.type];
  const { signal } = new AbortController();
  for await (const record of server.engine.feed.follow({ after, signal })) {
    if (record.stream === run && types.includes(record.type)) break;
  }
  return call(runOps.get, { run });
}

async function carryOut(
  plan: string,
  more: { continues?: string; inputs?: Record<string, string> } = {},
): Promise<RunDetail> {
  const after = server.engine.feed.head;
  const { id } = await call(runOps.create, { plan, cwd: repository, ...more });
  return settled(id, after);
}

function states(run: RunDetail): Record<string, string> {
  return Object.fromEntries(run.steps.map((step) => [step.id, step.reused ? 'reused' : step.state]));
}

describe('a run', () => {
  it('makes one task for each value that an earlier task found', async () => {
    const run = await carryOut(`
name: fan
tasks:
  - {id: scan, command: "echo 'files=[\\"x\\",\\"y\\"]' > $MAOS_OUTPUT", outputs: [files]}
  - id: each
    needs: [scan]
    forEach: \${{ tasks.scan.outputs.files }}
    command: echo \${{ item }} > each-\${{ item }}.txt; echo size=\${{ item }}1 > $MAOS_OUTPUT
    outputs: [size]
  - {id: sum, needs: [each], command: "echo \${{ tasks.each.outputs.size }} > sum.txt"}
`);
    expect(states(run)).toEqual({ scan: 'done', each: 'done', sum: 'done', 'each-x': 'done', 'each-y': 'done' });
    expect(await git('show', `${run.branch}:sum.txt`)).toBe('["x1","y1"]');
    expect(await git('show', `${run.branch}:each-y.txt`)).toBe('y');
  });

  it('goes on after a list that turned out empty', async () => {
    const run = await carryOut(`
name: none
tasks:
  - {id: scan, command: "echo 'files=[]' > $MAOS_OUTPUT", outputs: [files]}
  - {id: each, needs: [scan], forEach: "\${{ tasks.scan.outputs.files }}", command: "echo \${{ item }} > never.txt"}
  - {id: last, needs: [each], command: "echo end > end.txt"}
`);
    expect(run.state).toBe('succeeded');
    expect(await git('show', `${run.branch}:end.txt`)).toBe('end');
  });

  it('takes what a person resolved in the worktree', async () => {
    const run = await carryOut(`
name: both
concurrency: 2
tasks:
  - {id: first, command: "echo first > a.txt"}
  - {id: second, command: "until git -C $MAOS_REPOSITORY show maos/both-1:a.txt | grep -q first; do sleep 0.05; done; echo second > a.txt", onConflict: wait}
`);
    expect(run.state).toBe('waiting');
    const [, second] = run.steps;
    const place = /Resolve it in (\S+)/.exec(second?.reason ?? '')?.[1] ?? '';
    expect(readFileSync(join(place, 'a.txt'), 'utf8')).toContain('<<<<<<<');
    writeFileSync(join(place, 'a.txt'), 'first and second\n');
    const after = server.engine.feed.head;
    await call(runOps.accept, { run: run.name, task: 'second' });
    expect((await settled(run.id, after)).state).toBe('succeeded');
    expect(await git('show', `${run.branch}:a.txt`)).toBe('first and second');
  });

  it('does not take a worktree that still holds conflict markers', async () => {
    const run = await carryOut(`
name: both
tasks:
  - {id: first, command: "echo first > a.txt"}
  - {id: second, command: "until git -C $MAOS_REPOSITORY show maos/both-1:a.txt | grep -q first; do sleep 0.05; done; echo second > a.txt", onConflict: wait}
`);
    const after = server.engine.feed.head;
    await call(runOps.accept, { run: run.name, task: 'second' });
    const again = await settled(run.id, after);
    expect(states(again)).toEqual({ first: 'done', second: 'failed' });
    expect(again.steps[1]?.reason).toMatch(/not resolved: a\.txt/);
  });

  it('takes back what one task landed', async () => {
    const run = await carryOut(`
name: back
tasks:
  - {id: keep, command: "echo keep > keep.txt"}
  - {id: drop, command: "echo drop > drop.txt", needs: [keep]}
`);
    const after = server.engine.feed.head;
    const { merge } = await call(runOps.rollback, { run: run.name, task: 'drop' });
    const { signal } = new AbortController();
    for await (const record of server.engine.feed.follow({ after, signal }))
      if (record.type === 'merge.landed' && record.stream === merge) break;
    expect((await git('ls-tree', '--name-only', run.branch)).split('\n')).toEqual(['a.txt', 'keep.txt']);
    await expect(call(runOps.rollback, { run: run.name, task: 'nothing' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('runs again only what changed when it continues another run', async () => {
    const plan = (last: string): string => `
name: keyed
tasks:
  - {id: one, command: "echo one > one.txt; echo n=1 > $MAOS_OUTPUT", outputs: [n], checks: ["test -f one.txt"]}
  - {id: two, command: "echo \${{ tasks.one.outputs.n }} > two.txt", needs: [one]}
  - {id: three, command: "${last}", needs: [one]}
`;
    const first = await carryOut(plan('echo three > three.txt'));
    expect(first.state).toBe('succeeded');
    const second = await carryOut(plan('echo THREE > three.txt'), { continues: first.name });
    expect(states(second)).toEqual({ one: 'reused', two: 'reused', three: 'done' });
    expect(await git('show', `${second.branch}:three.txt`)).toBe('THREE');
    expect(await git('show', `${second.branch}:two.txt`)).toBe('1');
  });

  it('runs again only what failed when it is resumed', async () => {
    const count = join(root, 'count');
    const run = await carryOut(`
name: half
tasks:
  - {id: good, command: "echo good >> ${count}; echo good > good.txt"}
  - {id: bad, command: "test -f ${root}/go && echo bad > bad.txt", needs: [good]}
  - {id: after, command: "echo after > after.txt", needs: [bad]}
`);
    expect(states(run)).toEqual({ good: 'done', bad: 'failed', after: 'blocked' });
    expect((await call(taskOps.explain, { task: run.steps[2]?.task ?? '' })).because[0]?.message).toMatch(/fail/);
    writeFileSync(join(root, 'go'), '');
    const after = server.engine.feed.head;
    await call(runOps.resume, { run: run.name });
    expect((await settled(run.id, after)).state).toBe('succeeded');
    expect(readFileSync(count, 'utf8')).toBe('good\n');
  });

  it('tries again with backoff, then gives the task up, and says so', async () => {
    const run = await carryOut(`
name: tries
tasks:
  - {id: never, command: "echo x >> ${join(root, 'tries')}; exit 3", retries: {max: 2, backoff: 10ms}}
`);
    expect(readFileSync(join(root, 'tries'), 'utf8')).toBe('x\nx\nx\n');
    expect(run).toMatchObject({ state: 'failed', steps: [{ state: 'failed', attempt: 3 }] });
    expect((await call(runOps.report, { run: run.name })).markdown).toContain('**never** failed');
  });

  it('does not accept what a check refuses on the exact commit', async () => {
    const run = await carryOut(`
name: checked
tasks:
  - {id: wrong, command: "echo wrong > b.txt", checks: ["grep -q right b.txt"]}
  - {id: outside, command: "echo x > elsewhere.txt", expects: ["src/**"]}
`);
    expect(states(run)).toEqual({ wrong: 'failed', outside: 'failed' });
    expect(run.steps[0]?.evidence).toMatchObject([{ command: 'grep -q right b.txt', passed: false }]);
    expect(run.steps[1]?.reason).toMatch(/not expected to: elsewhere\.txt/);
    expect(await git('rev-parse', run.branch)).toBe(run.base);
  });

  it('stops with its processes, and lands and takes back on the user’s branch', async () => {
    const after = server.engine.feed.head;
    const { id, name } = await call(runOps.create, {
      plan: `name: long\ntasks:\n  - {id: fast, command: "echo f > f.txt"}\n  - {id: slow, command: "sleep 60"}\n`,
      cwd: repository,
    });
    const { signal } = new AbortController();
    for await (const record of server.engine.feed.follow({ after, signal })) if (record.type === 'step.landed') break;
    await call(runOps.stop, { run: name });
    expect((await settled(id, after)).state).toBe('cancelled');
    const before = await git('rev-parse', 'main');
    writeFileSync(join(repository, 'a.txt'), 'my own change\n');
    await expect(call(runOps.merge, { run: name })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('a.txt'),
    });
    expect(readFileSync(join(repository, 'a.txt'), 'utf8')).toBe('my own change\n');
    expect(await git('rev-parse', 'main')).toBe(before);
    writeFileSync(join(repository, 'a.txt'), 'start\n');
    // Then it is landed by a merge, which no other branch holds.
    await git('commit', '--quiet', '--allow-empty', '--message=mine');
    const mine = await git('rev-parse', 'main');
    const landed = await call(runOps.merge, { run: name });
    expect(await git('rev-parse', 'main')).toBe(landed.to);
    expect(readFileSync(join(repository, 'f.txt'), 'utf8')).toBe('f\n');
    const undone = await call(runOps.undo, { run: name });
    expect(undone).toEqual({ branch: 'main', from: landed.to, to: mine, rescue: 'refs/maos/rescue/undo-main/1' });
    expect(await git('show', `${undone.rescue ?? ''}:f.txt`)).toBe('f');
    expect(await git('rev-parse', 'main')).toBe(mine);
    expect((await call(watchOps.verify, {})).intact).toBe(true);
  });
});
