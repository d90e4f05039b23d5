import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { type LiveServer, Site } from './site.fixture.ts';

/** Whether this machine lets us mount a file system that is small enough to be filled. */
function mountable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'maos-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'maos-test', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch (error) {
    process.stderr.write(`SKIPPED: the tests of a full disk have to mount a tmpfs (as root): ${String(error)}\n`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let site: Site;
let disk: string;

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'maos-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'maos-test', disk]);
  mkdirSync(join(disk, 'home'));
  site = new Site({ home: join(disk, 'home') });
});
afterEach(async () => {
  await site.destroy();
  execFileSync('umount', ['--lazy', disk]);
  rmSync(disk, { recursive: true, force: true });
});

const filler = (): string => join(disk, 'filler');

/** Writes until nothing more fits. */
function fill(): void {
  const file = openSync(filler(), 'a');
  try {
    for (const size of [65_536, 4_096, 512, 1]) {
      const chunk = Buffer.alloc(size, 'x');
      for (let full = false; !full;) full = !fits(file, chunk);
    }
  } finally {
    closeSync(file);
  }
}

function fits(file: number, chunk: Buffer): boolean {
  try {
    return writeSync(file, chunk) === chunk.length;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}

/** Calls until the disk refuses; what the log had set aside for itself is used up first. */
async function refused(live: LiveServer): Promise<AppError> {
  for (let call = 0; call < 5_000; call += 1) {
    try {
      await live.call(taskOps.create, { title: 'one more', queue: 'shelf', description: 'x'.repeat(2_000) });
      fill();
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  }
  throw new Error('The disk never got full.');
}

function alive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

describe.skipIf(!mountable())('a full disk', () => {
  it('commands are refused as unavailable, agents go on, and the run is finished once there is space again', async () => {
    const live = await site.start();
    const [go, mark] = [join(site.root, 'go'), join(site.root, 'mark')];
    const command = `echo $$ > ${mark}; while [ ! -e ${go} ]; do echo working; sleep 0.02; done; echo done > done.txt`;
    const plan = JSON.stringify({
      name: 'full',
      tasks: [
        { id: 'long', command },
        { id: 'next', needs: ['long'], command: 'test -f done.txt && echo next > next.txt' },
      ],
    });
    await live.call(runOps.create, { plan, cwd: site.repository });
    await site.until('the agent', () => existsSync(mark) && readFileSync(mark, 'utf8').trim() !== '', Boolean);
    const pid = Number(readFileSync(mark, 'utf8'));
    fill();
    const refusal = await refused(live);
    expect(refusal).toMatchObject({ code: 'unavailable' });
    expect(refusal.fix).toMatch(/disk space/i);
    expect(alive(pid)).toBe(true);
    // What is there can be read all the time.
    expect((await live.call(runOps.get, { run: 'full-1' })).state).toBe('running');
    expect((await live.call(watchOps.doctor, {})).findings.filter((found) => found.area === 'disk')).toMatchObject([
      { severity: 'problem' },
    ]);
    rmSync(filler());
    await live.call(taskOps.create, { title: 'fits again', queue: 'shelf' });
    writeFileSync(go, '');
    const end = await site.until(
      'the end of the run',
      () => live.call(runOps.get, { run: 'full-1' }),
      (run) => run.state !== 'running' && run.report !== null,
    );
    expect(end.steps.map((step) => [step.id, step.state, step.reason])).toEqual([
      ['long', 'done', null],
      ['next', 'done', null],
    ]);
    expect(await live.call(watchOps.verify, {})).toMatchObject({ intact: true });
    await live.stop();
  });

  it('that is full when an agent ends and the server is killed: the end is found, and the run is finished', async () => {
    let live = await site.start();
    const [go, mark] = [join(site.root, 'go'), join(site.root, 'mark')];
    const command = `echo $$ > ${mark}; echo done > done.txt; while [ ! -e ${go} ]; do sleep 0.02; done`;
    const plan = JSON.stringify({ name: 'full', tasks: [{ id: 'long', command }] });
    await live.call(runOps.create, { plan, cwd: site.repository });
    await site.until('the agent', () => existsSync(mark) && readFileSync(mark, 'utf8').trim() !== '', Boolean);
    const pid = Number(readFileSync(mark, 'utf8'));
    fill();
    await refused(live);
    writeFileSync(go, '');
    await site.until(
      'the end of the agent',
      () => alive(pid),
      (there) => !there,
    );
    await live.kill();
    const full = await site.maos(['up']);
    // It may start or refuse; if it refuses, it says why.
    if (full.code !== 0) expect(full.stderr).toMatch(/space|disk|ENOSPC/i);
    else await site.maos(['down']);
    rmSync(filler());
    live = await site.start();
    const end = await site.until(
      'the end of the run',
      () => live.call(runOps.get, { run: 'full-1' }),
      (run) => run.state !== 'running' && run.report !== null,
    );
    // The exit status may not have fitted on the disk either: then the session is lost, and says so.
    if (end.state === 'failed') {
      expect(end.steps[0]?.reason).toContain('left no exit status');
      await live.call(runOps.resume, { run: 'full-1' });
      await site.until(
        'the end of the resumed run',
        () => live.call(runOps.get, { run: 'full-1' }),
        (run) => run.state === 'succeeded',
      );
    } else expect(end.state).toBe('succeeded');
    expect(await live.call(watchOps.verify, {})).toMatchObject({ intact: true });
    await live.stop();
  });
});
