import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyChain } from '../log/verify.ts';
import { agentOps } from './contract.ts';
import { Fleet, part } from './fleet.fixture.ts';

let home: string;
let fleet: Fleet | undefined;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'maos-crash-'));
  fleet = undefined;
});
afterEach(async () => {
  await fleet?.destroy();
  rmSync(home, { recursive: true, force: true });
});

interface Doom {
  readonly lines: readonly string[];
  readonly commit?: number;
  readonly start?: 'before' | 'after' | 'never';
  /** Kills it this long after all agents were started, from outside. */
  readonly afterMs?: number;
}

/** Runs a server until it is dead. */
async function doomed({ lines, commit = 0, start = 'never', afterMs }: Doom): Promise<void> {
  const script = fileURLToPath(new URL('./doomed-fleet.fixture.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify({ home, lines, commit, start })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], HOME: home, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
  });
  const gone = once(child, 'exit');
  if (afterMs !== undefined) {
    await Promise.race([once(child.stdout, 'data'), gone]);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
  }
  expect(await gone).toEqual([null, 'SIGKILL']);
}

/** Every agent in the log has ended once, ran once, and every byte of its output is read once. */
async function allIsWell(after: Fleet, expected: string): Promise<void> {
  const requested = after.records('session.requested');
  for (const { stream } of requested) {
    const session = await after.ended({ id: stream, generation: 1 });
    expect(session.outcome).toMatchObject({ kind: 'succeeded' });
    expect(await after.output({ id: stream })).toBe(expected);
    expect(session.offset).toBe(expected.length);
    expect(await after.host.processesOf(`${stream}/1`)).toEqual([]);
  }
  const ends = after.records('session.ended').map(({ stream }) => stream);
  expect(ends.toSorted()).toEqual(requested.map(({ stream }) => stream).toSorted());
  expect((await verifyChain(after.reader)).breaks).toEqual([]);
  expect(after.failures).toEqual([]);
}

const hundred = 'i=0; echo once >> "$MAOS_AGENT"; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); sleep 0.01; done';
const hundredLines = Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join('');
const waiting = 'echo once >> "$MAOS_AGENT"; echo up; while [ ! -e go ]; do sleep 0.02; done; echo down';

function ranOnce(after: Fleet): void {
  for (const { stream } of after.records('session.requested')) {
    expect(readFileSync(join(home, 'work', stream), 'utf8')).toBe('once\n');
  }
}

describe('kill -9 of the server', () => {
  it('while five agents write: all are adopted with their pid and lose nothing', async () => {
    await doomed({ lines: Array.from({ length: 5 }, () => waiting), afterMs: 0 });
    fleet = await new Fleet(home).open();
    for (const { stream } of fleet.records('session.requested')) {
      const id = { id: stream, generation: 1 };
      const [before, after] = [await fleet.started(id), await fleet.started(id, true)];
      expect(part(after.data, 'pid')).toBe(part(before.data, 'pid'));
      expect(part(after.data, 'startTime')).toBe(part(before.data, 'startTime'));
    }
    expect(fleet.runner.size).toBe(5);
    writeFileSync(join(home, 'work', 'go'), '');
    await allIsWell(fleet, 'up\ndown\n');
    ranOnce(fleet);
  });

  it.each([0, 40, 150, 400, 900, 1_500])(
    '%i ms after the start of five agents: each ends once, every line is read once',
    async (afterMs) => {
      await doomed({ lines: Array.from({ length: 5 }, () => hundred), afterMs });
      fleet = await new Fleet(home).open();
      await allIsWell(fleet, hundredLines);
      expect(fleet.records('session.requested')).toHaveLength(5);
      ranOnce(fleet);
    },
  );

  it.each(['before', 'after'] as const)('just %s a process is started: it is started once', async (start) => {
    await doomed({ lines: [waiting], start });
    writeFileSync(join(home, 'work', 'go'), '');
    fleet = await new Fleet(home).open();
    await allIsWell(fleet, 'up\ndown\n');
    expect(fleet.records('session.requested')).toHaveLength(1);
    ranOnce(fleet);
  });

  it('three times in a row, before the first start', async () => {
    await doomed({ lines: [waiting], start: 'before' });
    await doomed({ lines: [], start: 'before' });
    await doomed({ lines: [], start: 'after' });
    writeFileSync(join(home, 'work', 'go'), '');
    fleet = await new Fleet(home).open();
    await allIsWell(fleet, 'up\ndown\n');
    expect(fleet.records('session.requested')).toHaveLength(1);
    ranOnce(fleet);
  });

  // Two agents: created, requested, started, ended; several of these in one commit or not, as the moment has it.
  it.each([1, 2, 3, 4, 5, 6])('just before commit %i: what was asked for is done once', async (commit) => {
    const line = 'echo once >> "$MAOS_AGENT"; echo out';
    await doomed({ lines: [line, `${line}; sleep 0.1`], commit, afterMs: 1_000 });
    fleet = await new Fleet(home).open();
    await allIsWell(fleet, 'out\n');
    expect(fleet.records('agent.created').length).toBeLessThanOrEqual(2);
    ranOnce(fleet);
  });

  it('after a stop that the agent ignores: the next server ends it by force', async () => {
    fleet = await new Fleet(home).open();
    const agent = await fleet.sh(`trap '' TERM; echo up; while :; do sleep 1; done`);
    await fleet.prints(agent, 'up');
    await fleet.call(agentOps.stop, { agent: agent.id, reason: 'enough' });
    await fleet.until(({ type }) => type === 'session.signalled');
    await fleet.close();
    fleet = await new Fleet(home).open();
    expect(await fleet.ended(agent)).toMatchObject({ outcome: { reason: 'killed', message: 'enough' } });
    expect(await fleet.host.processesOf(`${agent.id}/1`)).toEqual([]);
  });
});
