import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collector, HostFixture } from './host.fixture.ts';

let fixture: HostFixture;
beforeAll(() => (fixture = new HostFixture()));
afterAll(() => fixture.close());

interface Doomed {
  readonly folder: string;
  readonly session: string;
  readonly pid: number;
  readonly offset: number;
}

/** Runs an agent under a server of its own and kills that server as soon as it has reported `reports` times. */
async function doom(line: string, reports: number, firstInput: string | null = null): Promise<Doomed> {
  const names = fixture.session();
  const order = JSON.stringify({ ...names, cwd: fixture.root, line, firstInput });
  const server = spawn(process.execPath, [join(import.meta.dirname, 'doomed-server.fixture.ts'), order], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let seen = 0;
  let last = { pid: 0, offset: 0 };
  for await (const report of createInterface(server.stdout)) {
    last = JSON.parse(report);
    seen += 1;
    if (seen === reports) server.kill('SIGKILL');
  }
  if (server.exitCode === null && server.signalCode === null)
    await new Promise((resolve) => server.once('exit', resolve));
  return { ...names, ...last };
}

const counting = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; sleep 0.002; done; exit 7';
const counted = Array.from({ length: 300 }, (_, index) => `line ${index + 1}\n`).join('');

describe('after kill -9 of the server', () => {
  it.each([1, 2, 17, 60])(
    'adopts the same process, reads every byte once and learns its status (killed at report %i)',
    async (reports) => {
      const { folder, session, pid, offset } = await doom(counting, reports);
      const adoption = await fixture.host.adopt(folder, session);
      if (adoption.kind !== 'running') throw new Error(`expected a running agent, got ${adoption.kind}`);
      expect(adoption.process).toMatchObject({ pid, adopted: true });
      const output = new Collector(adoption.process, offset);
      expect(await adoption.process.exit).toEqual({ kind: 'exited', code: 7 });
      await output.drained;
      expect(output.text).toBe(counted.slice(offset));
      expect(await fixture.host.processesOf(session)).toEqual([]);
    },
  );

  it('the agent still gets the whole first input, and further messages from the next server', async () => {
    const { folder, session } = await doom('sleep 0.3; head -c 1000000 | md5sum; cat', 1, '0123456789');
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind !== 'running') throw new Error(`expected a running agent, got ${adoption.kind}`);
    const output = new Collector(adoption.process);
    await adoption.process.write('from the next server\n');
    adoption.process.closeInput();
    expect(await adoption.process.exit).toEqual({ kind: 'exited', code: 0 });
    await output.drained;
    const sum = createHash('md5').update('0123456789'.repeat(100_000)).digest('hex');
    expect(output.text).toBe(`${sum}  -\nfrom the next server\n`);
  });

  it('finds an agent that ended while nobody watched', async () => {
    const { folder, session, pid } = await doom('echo done; sleep 0.3; exit 5', 2);
    const first = await fixture.host.adopt(folder, session);
    if (first.kind === 'never_started') throw new Error('it had started');
    await first.process.exit;
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind !== 'ended') throw new Error(`expected an ended agent, got ${adoption.kind}`);
    expect(adoption.process.pid).toBe(pid);
    expect(await adoption.process.exit).toEqual({ kind: 'exited', code: 5 });
    const output = new Collector(adoption.process);
    await output.drained;
    expect(output.text).toBe('done\n');
  });

  it('calls an agent lost when its wrapper died without a record, and ends what is left of it', async () => {
    const { folder, session, pid } = await doom('echo up; sleep 1000 & wait', 2);
    process.kill(pid, 'SIGKILL');
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind === 'never_started') throw new Error('it had started');
    expect(await adoption.process.exit).toEqual({ kind: 'lost' });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });

  it('stops an adopted agent and still learns how it ended', async () => {
    const { folder, session } = await doom('trap "" TERM; echo up; while :; do sleep 1; done', 2);
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind !== 'running') throw new Error(`expected a running agent, got ${adoption.kind}`);
    await adoption.process.stop(50);
    expect(await adoption.process.exit).toEqual({ kind: 'signalled', signal: 'SIGKILL' });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });

  it('does not take a stranger for the agent when the pid was given away', async () => {
    const { folder, session } = fixture.session();
    mkdirSync(folder);
    writeFileSync(join(folder, 'pid'), `${process.pid} 1@another-boot\n`);
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind !== 'ended') throw new Error(`expected an ended agent, got ${adoption.kind}`);
    expect(await adoption.process.exit).toEqual({ kind: 'lost' });
  });

  it('ends a live agent whose folder was removed, and calls it lost', async () => {
    const { folder, session } = await doom('echo up; sleep 1000', 2);
    rmSync(folder, { recursive: true });
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind !== 'ended') throw new Error(`expected an ended agent, got ${adoption.kind}`);
    expect(await adoption.process.exit).toEqual({ kind: 'lost' });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });

  it('leaves the process alone when the server only stops watching', async () => {
    const { agent, folder, session } = await fixture.sh('echo up; sleep 0.2; echo still here');
    await new Collector(agent).sees('up');
    agent.release();
    const adoption = await fixture.host.adopt(folder, session);
    if (adoption.kind !== 'running') throw new Error(`expected a running agent, got ${adoption.kind}`);
    const output = new Collector(adoption.process);
    expect(await adoption.process.exit).toEqual({ kind: 'exited', code: 0 });
    await output.drained;
    expect(output.text).toBe('up\nstill here\n');
  });
});

describe('volume', () => {
  it('reads 100 MB in order without holding it in memory', async () => {
    const { agent } = await fixture.sh('head -c 104857600 /dev/zero | tr "\\0" "x"');
    const sum = createHash('md5');
    let bytes = 0;
    let peak = 0;
    const before = process.memoryUsage().rss;
    const { drained } = agent.follow(0, (chunk, endOffset) => {
      sum.update(chunk);
      bytes += chunk.length;
      expect(endOffset).toBe(bytes);
      peak = Math.max(peak, process.memoryUsage().rss - before);
    });
    await agent.exit;
    await drained;
    expect(bytes).toBe(104_857_600);
    expect(sum.digest('hex')).toBe(createHash('md5').update(Buffer.alloc(104_857_600, 'x')).digest('hex'));
    expect(peak).toBeLessThan(80 * 1024 * 1024);
  });

  it('runs 1,000 consecutive agents and leaves no process, watcher or timer', async () => {
    const names: string[] = [];
    const open = (): number => process.getActiveResourcesInfo().length;
    const before = open();
    for (let round = 0; round < 1000; round += 1) {
      const { agent, session } = await fixture.sh('true');
      names.push(session);
      expect(await agent.exit).toEqual({ kind: 'exited', code: 0 });
    }
    for (const name of names.filter((_, index) => index % 100 === 0))
      expect(await fixture.host.processesOf(name)).toEqual([]);
    expect(open()).toBeLessThanOrEqual(before + 2);
  });
});
