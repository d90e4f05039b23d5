import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collector, HostFixture } from './host.fixture.ts';
import { processHost } from './host.ts';
import { wrapped } from './wrapper.ts';

let fixture: HostFixture;
beforeAll(() => (fixture = new HostFixture()));
afterAll(() => fixture.close());

describe('start and exit', () => {
  it('delivers the output, the exit code and the tail of stderr', async () => {
    const { agent, folder } = await fixture.sh('echo one; echo two >&2; exit 3');
    const output = new Collector(agent);
    expect(await agent.exit).toEqual({ kind: 'exited', code: 3 });
    await output.drained;
    expect(output.text).toBe('one\n');
    expect(await agent.stderrTail(3)).toBe('wo\n');
    expect(readFileSync(join(folder, 'pid'), 'utf8')).toBe(`${agent.pid} ${agent.startTime}\n`);
    expect(readFileSync(join(folder, 'exit'), 'utf8')).toBe('3\n');
  });

  it('tells a death by signal from an exit', async () => {
    const { agent } = await fixture.sh('kill -SEGV $$');
    expect(await agent.exit).toEqual({ kind: 'signalled', signal: 'SIGSEGV' });
  });

  it('gives the program exactly its environment and directory, and none of our files but its stdio', async () => {
    const { agent, session, folder } = await fixture.sh('env; pwd; readlink /proc/self/fd/*', {
      stdin: 'pipe',
      env: { PATH: '/usr/bin:/bin', A: 'b c' },
    });
    const output = new Collector(agent);
    await agent.exit;
    await output.drained;
    const lines = output.text.trim().split('\n');
    const shellsOwn = /^(_|OLDPWD|SHLVL)=/;
    expect(lines.filter((line) => /^\w+=/.test(line) && !shellsOwn.test(line)).toSorted()).toEqual(
      ['A=b c', `MAOS_SESSION=${session}`, 'PATH=/usr/bin:/bin', `PWD=${fixture.root}`].toSorted(),
    );
    expect(lines).toContain(fixture.root);
    expect(lines.filter((line) => line.startsWith(folder))).toEqual(
      ['stdin', 'stdout', 'stderr'].map((name) => join(folder, name)),
    );
  });

  it('reports a program that does not exist as exit 127', async () => {
    const { agent } = await fixture.sh('', { argv: ['maos-no-such-program'] });
    expect(await agent.exit).toEqual({ kind: 'exited', code: 127 });
    expect(await agent.stderrTail(1000)).toContain('maos-no-such-program');
  });

  it('runs a program, never a shell builtin of the same name', async () => {
    const { agent } = await fixture.sh('', { argv: ['exit', '0'] });
    expect(await agent.exit).toEqual({ kind: 'exited', code: 127 });
  });

  it('refuses a directory that does not exist, an empty argv and a folder that was used', async () => {
    const { folder, session, agent } = await fixture.sh('true');
    await agent.exit;
    const launch = { argv: ['true'], env: {}, stdin: 'none', firstInput: null } as const;
    await expect(fixture.host.start({ folder, session, cwd: fixture.root, launch })).rejects.toThrow('already used');
    const fresh = fixture.session();
    await expect(fixture.host.start({ ...fresh, cwd: '/no/such/place', launch })).rejects.toThrow('does not exist');
    await expect(fixture.host.start({ ...fresh, cwd: fixture.root, launch: { ...launch, argv: [] } })).rejects.toThrow(
      'argv is empty',
    );
  });
});

describe('the start fence', () => {
  it('says never_started for a folder without a start, and a late wrapper then does nothing', async () => {
    const { folder, session } = fixture.session();
    mkdirSync(folder);
    expect(await fixture.host.adopt(folder, session)).toEqual({ kind: 'never_started' });
    const marker = join(fixture.root, 'late');
    const [shell, ...args] = wrapped(folder, 'none', ['touch', marker]);
    expect(() => execFileSync(shell, args)).toThrow('Command failed');
    expect(existsSync(marker)).toBe(false);
    expect(await fixture.host.adopt(folder, session)).toEqual({ kind: 'never_started' });
  });

  it.each(['dash', 'bash'])('the wrapper works with %s as well', (shell) => {
    const { folder } = fixture.session();
    mkdirSync(folder);
    writeFileSync(join(folder, 'first'), 'the prompt\n');
    const [, ...args] = wrapped(folder, 'pipe', ['sh', '-c', 'read -r line; echo "got $line"; kill -TERM $$']);
    const { stdout, status } = spawnSync(shell, args, { encoding: 'utf8', timeout: 10_000 });
    expect({ stdout, status }).toEqual({ stdout: 'got the prompt\n', status: 143 });
    expect(readFileSync(join(folder, 'exit'), 'utf8')).toBe('143\n');
    expect(readFileSync(join(folder, 'pid'), 'utf8')).toMatch(/^\d+ \d+@[-0-9a-f]{36}\n$/);
  });

  it('never lets both win: adoption and start race on one folder', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { folder, session } = fixture.session();
      const marker = join(fixture.root, `race-${round}`);
      const launch = {
        argv: ['touch', marker],
        env: { PATH: '/usr/bin:/bin' },
        stdin: 'none',
        firstInput: null,
      } as const;
      const [started, adopted] = await Promise.allSettled([
        fixture.host.start({ folder, session, cwd: fixture.root, launch }),
        new Promise((resolve) => setTimeout(resolve, round / 5)).then(() => processHost().adopt(folder, session)),
      ]);
      if (adopted.status === 'rejected') throw adopted.reason;
      if (started.status === 'fulfilled') await started.value.exit;
      expect(existsSync(marker)).toBe(started.status === 'fulfilled');
      expect(adopted.value.kind === 'never_started').toBe(started.status === 'rejected');
    }
  });

  it('takes an empty pid file whose writer is dead for a start that never was', async () => {
    const { folder, session } = fixture.session();
    mkdirSync(folder);
    writeFileSync(join(folder, 'pid'), '');
    expect(await fixture.host.adopt(folder, session)).toEqual({ kind: 'never_started' });
  });
});

describe('stdin', () => {
  it('delivers a first input and messages, and closes', async () => {
    const { agent } = await fixture.sh('cat; echo end', { stdin: 'pipe', firstInput: 'first\n' });
    const output = new Collector(agent);
    await agent.write('second\n');
    await output.sees('second');
    await agent.write('third\n');
    agent.closeInput();
    expect(await agent.exit).toEqual({ kind: 'exited', code: 0 });
    await output.drained;
    expect(output.text).toBe('first\nsecond\nthird\nend\n');
    await expect(agent.write('late')).rejects.toThrow('not delivered');
  });

  it('delivers messages far larger than a pipe to a slow reader, whole and in order, without holding the event loop', async () => {
    const first = `${'a'.repeat(1_000_000)}\n`;
    const second = `${'b'.repeat(1_000_000)}\n`;
    const { agent } = await fixture.sh('sleep 0.2; md5sum', { stdin: 'pipe', firstInput: first });
    const output = new Collector(agent);
    let longest = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    await Promise.all([agent.write(second), agent.write('end\n')]);
    agent.closeInput();
    await agent.exit;
    clearInterval(ticker);
    await output.drained;
    const expected = execFileSync('md5sum', { input: `${first}${second}end\n` }).toString();
    expect(output.text).toBe(expected);
    expect(longest).toBeLessThan(150);
  });

  it('rejects a message that the program never read, and leaves no process', async () => {
    const { agent, session } = await fixture.sh('read -r line; exec 0</dev/null; exit 0', {
      stdin: 'pipe',
      firstInput: `go\n${'x'.repeat(500_000)}`,
    });
    const refused = agent.write('more').catch((error: unknown) => error);
    expect(await agent.exit).toEqual({ kind: 'exited', code: 0 });
    expect(await refused).toMatchObject({ code: 'conflict' });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });
});

describe('signals and the tree', () => {
  it('interrupts the program and not the wrapper', async () => {
    const { agent } = await fixture.sh('trap "echo caught; exit 4" INT; echo ready; while :; do sleep 0.05; done', {
      stdin: 'pipe',
    });
    const output = new Collector(agent);
    await output.sees('ready');
    agent.interrupt();
    expect(await agent.exit).toEqual({ kind: 'exited', code: 4 });
    await output.drained;
    expect(output.text).toBe('ready\ncaught\n');
  });

  it('stops a tree that ignores SIGTERM and has left its session, and records the kill', async () => {
    const line =
      'trap "" TERM; setsid sh -c \'trap "" TERM; echo away; while :; do sleep 1; done\' & echo ready; while :; do sleep 1; done';
    const { agent, session } = await fixture.sh(line);
    const output = new Collector(agent);
    await Promise.all([output.sees('ready'), output.sees('away')]);
    await agent.stop(100);
    expect(await fixture.host.processesOf(session)).toEqual([]);
    expect(await agent.exit).toEqual({ kind: 'signalled', signal: 'SIGKILL' });
  });

  it('stops gracefully when the program obeys', async () => {
    const { agent } = await fixture.sh('trap "exit 0" TERM; echo ready; while :; do sleep 0.02; done');
    await new Collector(agent).sees('ready');
    await agent.stop(10_000);
    expect(await agent.exit).toEqual({ kind: 'exited', code: 0 });
  });

  it('counts the children that a program left at work, and ends them before exit settles', async () => {
    const { agent, session } = await fixture.sh('sleep 1000 & sleep 1000 & exit 0');
    expect(await agent.exit).toEqual({ kind: 'exited', code: 0, orphans: 2 });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });

  it('ends a daemon too, but does not count it as unfinished work', async () => {
    const { agent, session } = await fixture.sh(
      'setsid sh -c ": >away; exec sleep 1000" & until [ -e away ]; do :; done; exit 0',
    );
    expect(await agent.exit).toEqual({ kind: 'exited', code: 0 });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });

  it('pauses and resumes the whole tree', async () => {
    const { agent, session } = await fixture.sh('sh -c "while :; do echo tick; sleep 0.01; done"');
    const output = new Collector(agent);
    await output.sees('tick');
    agent.pause();
    const states = async (): Promise<string> =>
      (await fixture.host.processesOf(session))
        .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] ?? '')
        .join('');
    // D: a parent that waits for a child which was stopped before its exec.
    await expect.poll(states, { timeout: 10_000 }).toMatch(/^[TD]+$/);
    agent.resume();
    output.text = '';
    await output.sees('tick');
    await agent.stop(1000);
    expect(await states()).toBe('');
  });

  it('survives the death of its wrapper: the program is ended, the status says so', async () => {
    const { agent, session } = await fixture.sh('echo ready; sleep 1000');
    await new Collector(agent).sees('ready');
    process.kill(agent.pid, 'SIGKILL');
    expect(await agent.exit).toEqual({ kind: 'signalled', signal: 'SIGKILL' });
    expect(await fixture.host.processesOf(session)).toEqual([]);
  });
});

describe('leaks', () => {
  it('keeps no file, watcher or process after 100 agents', async () => {
    const fds = (): number => readdirSync('/proc/self/fd').length;
    const one = async (round: number): Promise<string> => {
      const piped = { stdin: 'pipe', firstInput: 'hello\n' } as const;
      const { agent, session } = await fixture.sh('true', round % 2 === 0 ? {} : piped);
      const output = new Collector(agent);
      await agent.exit;
      await output.drained;
      return session;
    };
    await one(0);
    await one(1);
    const before = fds();
    const sessions: string[] = [];
    for (let round = 0; round < 100; round += 1) sessions.push(await one(round));
    expect(fds()).toBe(before);
    expect(
      process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap' && /Process|FSEvent/.test(name)),
    ).toEqual([]);
    expect((await Promise.all(sessions.map((session) => fixture.host.processesOf(session)))).flat()).toEqual([]);
  });
});
