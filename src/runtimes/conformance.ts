import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Capabilities, Host, HostProcess, LaunchRequest, Runtime, SessionEvent } from '../agents/runtime.ts';
import { drive, type SessionEnd } from './drive.ts';

/** What an agent of the runtime under test has to be asked for, in its own language. */
export interface ConformanceCases {
  /** A request that writes `hello\n` to `hello.txt` in its directory and ends well. */
  readonly writes: Partial<LaunchRequest>;
  /** A request that ends badly. */
  readonly fails: Partial<LaunchRequest>;
  /** A request that works until it is interrupted or stopped, after saying something. */
  readonly endless: Partial<LaunchRequest>;
  /** With `capabilities.steer`: works until it is told "go on", then ends well. */
  readonly steered?: Partial<LaunchRequest>;
  /** With `capabilities.resume`: says something, then works until there is a file `resumed`, and ends well. */
  readonly resumable?: Partial<LaunchRequest>;
  /** Whether the program has saved the conversation of `resumable`, for programs that save a little late. */
  saved?(providerSession: string): boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** All that was seen of one session. */
interface Seen {
  readonly process: HostProcess;
  readonly events: SessionEvent[];
  readonly end: Promise<SessionEnd>;
  /** Resolves at the first event of that kind. */
  sees(kind: SessionEvent['kind']): Promise<void>;
}

/** What every runtime must do, whatever its program: run on each of them through a real host. */
export function runtimeConformance(
  runtime: Runtime,
  makeHost: () => Host,
  cases: () => ConformanceCases | Promise<ConformanceCases>,
): void {
  let root: string;
  let host: Host;
  let sessions: string[];
  let given: ConformanceCases;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), `maos-${runtime.name}-`));
    host = makeHost();
    sessions = [];
    given = await cases();
  });
  afterEach(async () => {
    // Before anything else: no session may leave a process.
    const left = (await Promise.all(sessions.map((session) => host.processesOf(session)))).flat();
    for (const pid of left) process.kill(pid, 'SIGKILL');
    rmSync(root, { recursive: true, force: true });
    expect(left).toEqual([]);
  });

  function watch(agent: HostProcess): Seen {
    const events: SessionEvent[] = [];
    const waiting = new Set<() => void>();
    const end = drive(agent, runtime, {
      stopGraceMs: 500,
      onEvents: (more) => {
        events.push(...more);
        for (const check of [...waiting]) check();
      },
    });
    const sees = (kind: SessionEvent['kind']): Promise<void> =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!events.some((event) => event.kind === kind)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    return { process: agent, events, end, sees };
  }

  async function start(request: Partial<LaunchRequest>, resume: string | null = null): Promise<Seen> {
    const session = `conformance_${process.pid}_${crypto.randomUUID()}`;
    sessions.push(session);
    const nothing = { prompt: null, argv: null, model: null, maxBudgetUsd: null, resultSchema: null };
    const full: LaunchRequest = {
      ...nothing,
      ...request,
      resume,
      sessionId: crypto.randomUUID(),
      env: given.env,
      cwd: root,
    };
    return watch(await host.start({ folder: join(root, session), session, launch: runtime.launch(full), cwd: root }));
  }

  /** A test of a capability; a runtime without it has nothing to show. */
  const when = (capability: keyof Capabilities, title: string, test: () => Promise<void>): void => {
    for (const name of runtime.capabilities[capability] ? [title] : []) it(name, test);
  };

  describe(`the runtime ${runtime.name}`, () => {
    it('does what it is asked, and says that it succeeded', async () => {
      const seen = await start(given.writes);
      expect((await seen.end).outcome).toMatchObject({ kind: 'succeeded' });
      expect(readFileSync(join(root, 'hello.txt'), 'utf8')).toBe('hello\n');
      expect(seen.events[0]).toMatchObject({ kind: 'started' });
      expect(seen.events.filter((event) => event.kind === 'started')).toHaveLength(1);
    });

    it('says that it failed, and why', async () => {
      const { outcome } = await (await start(given.fails)).end;
      expect(outcome).toMatchObject({
        kind: 'failed',
        reason: expect.any(String),
        message: expect.stringMatching(/./),
      });
    });

    it('tells the same events for the same bytes, however they are cut, and again from the start', async () => {
      const seen = await start(given.writes);
      await seen.end;
      const chunks: Buffer[] = [];
      await seen.process.follow(0, (chunk) => void chunks.push(chunk)).drained;
      const bytes = Buffer.concat(chunks);
      for (const size of [1, 7, 4096]) {
        const reader = runtime.reader();
        const again: SessionEvent[] = [];
        for (let at = 0; at < bytes.length; at += size) again.push(...reader.push(bytes.subarray(at, at + size)));
        expect(again).toEqual(seen.events);
      }
    });

    it('is never a success when it was killed', async () => {
      const seen = await start(given.endless);
      await seen.sees('output');
      await seen.process.stop(0);
      expect((await seen.end).outcome).toMatchObject({ kind: 'failed', reason: 'killed', retry: true });
    });

    when('interrupt', 'can be interrupted', async () => {
      const seen = await start(given.endless);
      await seen.sees('output');
      const bytes = runtime.interrupt();
      if (bytes === null) seen.process.interrupt();
      else await seen.process.write(bytes);
      expect((await seen.end).outcome).toMatchObject({ kind: 'failed' });
    });

    when('steer', 'takes another message while it works', async () => {
      if (given.steered === undefined) throw new Error('The capability `steer` needs the case `steered`.');
      const seen = await start(given.steered);
      await seen.sees('output');
      await seen.process.write(runtime.message('go on'));
      expect((await seen.end).outcome).toMatchObject({ kind: 'succeeded' });
    });

    when('usage', 'reports tokens and money', async () => {
      const seen = await start(given.writes);
      await seen.end;
      const last = seen.events.findLast((event) => event.kind === 'usage');
      if (last?.kind !== 'usage') throw new Error('no usage was reported');
      expect(last.usage.inputTokens + last.usage.outputTokens).toBeGreaterThan(0);
      expect(last.usage.costUsd).toBeGreaterThan(0);
    });

    when('resume', 'continues its conversation after kill -9', async () => {
      if (given.resumable === undefined) throw new Error('The capability `resume` needs the case `resumable`.');
      const first = await start(given.resumable);
      await first.sees('output');
      const started = first.events.find((event) => event.kind === 'started');
      if (started?.kind !== 'started' || started.providerSession === null)
        throw new Error('no provider session was reported');
      const { providerSession } = started;
      await expect.poll(() => given.saved?.(providerSession) ?? true, { timeout: 10_000 }).toBe(true);
      await first.process.stop(0);
      await first.end;
      writeFileSync(join(root, 'resumed'), '');
      const second = await start({}, providerSession);
      expect((await second.end).outcome).toMatchObject({ kind: 'succeeded' });
      expect(second.events.find((event) => event.kind === 'started')).toMatchObject({ providerSession });
    });

    it('refuses a request that it cannot carry out', () => {
      const nothing = { prompt: null, argv: null, model: null, maxBudgetUsd: null, resultSchema: null };
      expect(() =>
        runtime.launch({ ...nothing, resume: null, sessionId: crypto.randomUUID(), env: {}, cwd: root }),
      ).toThrow('needs a');
    });
  });
}
