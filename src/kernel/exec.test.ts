import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { exec } from './exec.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'maos-exec-')));
afterAll(() => rmSync(folder, { recursive: true }));

const sh = (script: string, options?: Parameters<typeof exec>[2]): ReturnType<typeof exec> =>
  exec('/bin/sh', ['-c', script], options);

/** Whether a process is there and not a zombie that nobody has collected. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

describe('running a program', () => {
  it('gives its output and its exit code as values', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
    expect(await sh('printf "ü✓"')).toEqual({ code: 0, stdout: 'ü✓', stderr: '' });
  });

  it('gives 128 + n for signal n', async () => {
    expect((await sh('kill -TERM $$')).code).toBe(143);
    expect((await sh('kill -SEGV $$')).code).toBe(139);
  });

  it('gives 127 for a program that is missing, 126 for one that cannot run', async () => {
    expect(await exec('no-such-program', [])).toMatchObject({ code: 127, stderr: expect.stringContaining('ENOENT') });
    expect((await exec('/etc/passwd', [])).code).toBe(126);
    expect((await exec('echo', ['a\0b'])).code).toBe(126);
    expect((await exec('echo', ['x'.repeat(300_000)])).code).toBe(126);
  });

  it('runs in the folder and with nothing but the environment that it is given', async () => {
    expect((await sh('pwd', { cwd: folder })).stdout).toBe(`${folder}\n`);
    expect((await exec('/usr/bin/env', [], { env: { A: '1' } })).stdout).toBe('A=1\n');
  });

  it('writes the input, also to a program that does not read it', async () => {
    expect((await exec('cat', [], { input: 'x'.repeat(1_000_000) })).stdout).toHaveLength(1_000_000);
    expect(await sh('exit 5', { input: 'x'.repeat(10_000_000) })).toEqual({ code: 5, stdout: '', stderr: '' });
  });

  it('gives no input: a program that reads ends at once', async () => {
    expect(await exec('cat', [], { timeout: 10_000 })).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('ending a program', () => {
  it('kills it and what it started after the timeout', async () => {
    const { code, stdout, stderr } = await sh('sleep 1000 & echo $!; wait', { timeout: 300 });
    expect(code).toBe(137);
    expect(stderr).toContain('longer than 300 ms');
    await expect.poll(() => alive(Number(stdout))).toBe(false);
  });

  it('does not wait for a child that keeps the output open', async () => {
    const { code, stdout } = await sh('sleep 1000 & echo $!', { timeout: 300 });
    expect(code).toBe(0);
    await expect.poll(() => alive(Number(stdout))).toBe(false);
  });

  it('kills it when the caller gives up, before or after the start', async () => {
    const controller = new AbortController();
    const running = sh('echo $$; exec sleep 1000', { signal: controller.signal });
    controller.abort();
    expect(await running).toMatchObject({ code: 137, stderr: expect.stringContaining('gave up') });
    expect((await sh('sleep 1000', { signal: AbortSignal.abort() })).code).toBe(137);
  });
});
