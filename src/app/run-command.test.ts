import { mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { basics } from '../agents/environment.ts';
import { systemClock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import { processHost } from '../runtimes/process/host.ts';
import type { CommandOutcome } from '../workspaces/check.ts';
import { commandRunner } from './run-command.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-check-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const folder = (): string => join(root, 'checks');

function run(
  line: string,
  timeoutMs = 15_000,
  environment: Readonly<Record<string, string | undefined>> = process.env,
) {
  const runner = commandRunner({ host: processHost(), folder: folder(), newId, clock: systemClock, environment });
  return runner({ name: 'check', line, cwd: root, env: {}, timeoutMs });
}

/** How many bytes the folders of checks hold. */
function kept(): number {
  const files = readdirSync(folder(), { recursive: true, encoding: 'utf8' });
  return files
    .map((file) => statSync(join(folder(), file), { throwIfNoEntry: false }))
    .reduce((sum, stat) => sum + (stat?.isFile() === true ? stat.size : 0), 0);
}

describe('the output of a check', () => {
  it.each<[string, string, CommandOutcome]>([
    [
      'both streams in their order',
      'echo a; echo b >&2; echo c',
      { passed: true, exit: 'exit 0', output: 'a\nb\nc\n' },
    ],
    ['nothing', 'true', { passed: true, exit: 'exit 0', output: '' }],
    ['the status', 'echo no; exit 3', { passed: false, exit: 'exit 3', output: 'no\n' }],
    ['a signal', 'echo x; kill -KILL $$', { passed: false, exit: 'SIGKILL', output: expect.stringMatching(/^x\n/) }],
    [
      'quotes and lines',
      'printf "%s\\n" \'a"b\'\necho "$0"',
      { passed: true, exit: 'exit 0', output: 'a"b\n/bin/sh\n' },
    ],
    [
      'a stream opened anew',
      'echo a; echo b >/dev/stderr; echo c >/dev/stdout',
      { passed: true, exit: 'exit 0', output: 'a\nb\nc\n' },
    ],
    ['its own children only', 'sleep 0.01 & wait; echo done', { passed: true, exit: 'exit 0', output: 'done\n' }],
    ['what it leaves behind', 'echo a; sleep 60 & exit 0', { passed: true, exit: 'exit 0', output: 'a\n' }],
  ])('tells %s', async (_, line, outcome) => {
    expect(await run(line)).toEqual(outcome);
    expect(readdirSync(folder())).toEqual([]);
  });

  it('is the end of what was printed, cut at a whole letter', async () => {
    const { output } = await run(`i=0; while [ $i -lt 3000 ]; do echo "ü line $i"; i=$((i+1)); done`);
    expect(output).toMatch(/^…[^\uFFFD]*ü line 2998\nü line 2999\n$/);
    expect(Buffer.byteLength(output)).toBeLessThan(16_100);
  });

  it('never fills the disk: of 200 MB a few are there at any time, the end is told, and the check passes', async () => {
    const line = `head -c 200000000 /dev/zero | tr '\\0' x; printf '\\nthe %s\\n' end`;
    const running = run(line, 60_000);
    let most = 0;
    let over = false;
    void running.finally(() => (over = true));
    while (!over) {
      await delay(5);
      most = Math.max(most, kept());
    }
    const { passed, output } = await running;
    expect(passed).toBe(true);
    expect(output).toMatch(/^\[It printed more than 8 MB: the beginning was not kept\.\]\n…x+\nthe end\n$/);
    expect(most).toBeGreaterThan(4_000_000);
    expect(most).toBeLessThanOrEqual(3 * 4096 * 1024 + 4096);
  });

  it('is told up to the kill when the time is over', async () => {
    const stubborn = await run('trap "" TERM; echo begun; while :; do sleep 0.1; done', 300);
    expect(stubborn).toEqual({
      passed: false,
      exit: 'timeout after 300 ms',
      output: expect.stringMatching(/^begun\n/),
    });
    const polite = await run('trap "echo bye; exit 1" TERM; echo begun; while :; do sleep 0.05; done', 300);
    expect(polite).toEqual({
      passed: false,
      exit: 'timeout after 300 ms',
      output: expect.stringMatching(/^begun\n[^]*bye\n$/),
    });
  });
});

it('gives a check what it gives an agent of the environment, and nothing else', async () => {
  const environment = Object.fromEntries(
    [...basics, 'SECRET'].map((name) => [name, name === 'PATH' ? process.env['PATH'] : 'x']),
  );
  const { output } = await run('env', 15_000, environment);
  const names = output.split('\n').flatMap((line) => line.split('=')[0] ?? []);
  expect(names).toEqual(expect.arrayContaining([...basics]));
  expect(names).not.toContain('SECRET');
});
