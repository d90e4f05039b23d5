import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host, HostProcess, LaunchRequest, Runtime, SessionEvent } from '../agents/runtime.ts';
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

/** One runtime under test: starts its agents through a real host and checks that none leaves a process behind. */
class Bench {
  readonly runtime: Runtime;
  readonly #host: Host;
  readonly #sessions: string[] = [];
  readonly root: string;
  readonly cases: ConformanceCases;

  constructor(runtime: Runtime, host: Host, cases: ConformanceCases) {
    this.runtime = runtime;
    this.#host = host;
    this.cases = cases;
    this.root = mkdtempSync(join(tmpdir(), `maos-${runtime.name}-`));
  }

  async start(request: Partial<LaunchRequest>, resume: string | null = null): Promise<Seen> {
    const session = `conformance_${process.pid}_${crypto.randomUUID()}`;
    this.#sessions.push(session);
    const names = { resume, sessionId: crypto.randomUUID(), env: this.cases.env, cwd: this.root };
    const launch = this.runtime.launch({ ...nothing, ...request, ...names });
    return this.#watch(await this.#host.start({ folder: join(this.root, session), session, launch, cwd: this.root }));
  }

  /** Returns the processes that were left, after ending them. */
  async close(): Promise<number[]> {
    const left = (await Promise.all(this.#sessions.map((session) => this.#host.processesOf(session)))).flat();
    for (const pid of left) process.kill(pid, 'SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
    return left;
  }

  #watch(agent: HostProcess): Seen {
    const events: SessionEvent[] = [];
    const waiting = new Set<() => void>();
    const end = drive(agent, this.runtime, {
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
}

const nothing = { prompt: null, argv: null, model: null, maxBudgetUsd: null, resultSchema: null } as const;

/** The bench of the test that runs. */
type CurrentBench = () => Bench;

function outcomes(bench: CurrentBench): void {
  it('does what it is asked, and says that it succeeded', async () => {
    const seen = await bench().start(bench().cases.writes);
    expect((await seen.end).outcome).toMatchObject({ kind: 'succeeded' });
    expect(readFileSync(join(bench().root, 'hello.txt'), 'utf8')).toBe('hello\n');
    expect(seen.events[0]).toMatchObject({ kind: 'started' });
    expect(seen.events.filter((event) => event.kind === 'started')).toHaveLength(1);
  });

  it('says that it failed, and why', async () => {
    const { outcome } = await (await bench().start(bench().cases.fails)).end;
    expect(outcome).toMatchObject({ kind: 'failed', reason: expect.any(String), message: expect.stringMatching(/./) });
  });

  it('is never a success when it was killed', async () => {
    const seen = await bench().start(bench().cases.endless);
    await seen.sees('output');
    await seen.process.stop(0);
    expect((await seen.end).outcome).toMatchObject({ kind: 'failed', reason: 'killed', retry: true });
  });

  it('refuses a request that it cannot carry out', () => {
    const { runtime, root } = bench();
    const names = { resume: null, sessionId: crypto.randomUUID(), env: {}, cwd: root };
    expect(() => runtime.launch({ ...nothing, ...names })).toThrow('needs a');
  });
}

function reading(bench: CurrentBench): void {
  it('tells the same events for the same bytes, however they are cut, and again from the start', async () => {
    const seen = await bench().start(bench().cases.writes);
    await seen.end;
    const chunks: Buffer[] = [];
    await seen.process.follow(0, (chunk) => void chunks.push(chunk)).drained;
    const bytes = Buffer.concat(chunks);
    for (const size of [1, 7, 4096]) {
      const reader = bench().runtime.reader();
      const again: SessionEvent[] = [];
      for (let at = 0; at < bytes.length; at += size) again.push(...reader.push(bytes.subarray(at, at + size)));
      expect(again).toEqual(seen.events);
    }
  });
}

function interrupting(bench: CurrentBench): void {
  it('can be interrupted', async () => {
    const seen = await bench().start(bench().cases.endless);
    await seen.sees('output');
    const bytes = bench().runtime.interrupt();
    if (bytes === null) seen.process.interrupt();
    else await seen.process.write(bytes);
    expect((await seen.end).outcome).toMatchObject({ kind: 'failed' });
  });
}

function steering(bench: CurrentBench): void {
  it('takes another message while it works', async () => {
    const { cases, runtime } = bench();
    if (cases.steered === undefined) throw new Error('The capability `steer` needs the case `steered`.');
    const seen = await bench().start(cases.steered);
    await seen.sees('output');
    await seen.process.write(runtime.message('go on'));
    expect((await seen.end).outcome).toMatchObject({ kind: 'succeeded' });
  });
}

function accounting(bench: CurrentBench): void {
  it('reports tokens and money', async () => {
    const seen = await bench().start(bench().cases.writes);
    await seen.end;
    const last = seen.events.findLast((event) => event.kind === 'usage');
    if (last?.kind !== 'usage') throw new Error('no usage was reported');
    expect(last.usage.inputTokens + last.usage.outputTokens).toBeGreaterThan(0);
    expect(last.usage.costUsd).toBeGreaterThan(0);
  });
}

function resuming(bench: CurrentBench): void {
  it('continues its conversation after kill -9', async () => {
    const { cases, root } = bench();
    if (cases.resumable === undefined) throw new Error('The capability `resume` needs the case `resumable`.');
    const first = await bench().start(cases.resumable);
    await first.sees('output');
    const started = first.events.find((event) => event.kind === 'started');
    const id = started?.kind === 'started' ? started.providerSession : null;
    if (id === null) throw new Error('no provider session was reported');
    await expect.poll(() => cases.saved?.(id) ?? true, { timeout: 10_000 }).toBe(true);
    await first.process.stop(0);
    await first.end;
    writeFileSync(join(root, 'resumed'), '');
    const second = await bench().start({}, id);
    expect((await second.end).outcome).toMatchObject({ kind: 'succeeded' });
    expect(second.events.find((event) => event.kind === 'started')).toMatchObject({ providerSession: id });
  });
}

/** What every runtime must do, whatever its program: run on each of them through a real host. */
export function runtimeConformance(runtime: Runtime, makeHost: () => Host, cases: () => ConformanceCases): void {
  describe(`the runtime ${runtime.name}`, () => {
    let current: Bench;
    beforeEach(() => void (current = new Bench(runtime, makeHost(), cases())));
    afterEach(async () => expect(await current.close()).toEqual([]));
    const bench: CurrentBench = () => current;
    const { interrupt, steer, usage, resume } = runtime.capabilities;
    outcomes(bench);
    reading(bench);
    if (interrupt) interrupting(bench);
    if (steer) steering(bench);
    if (usage) accounting(bench);
    if (resume) resuming(bench);
  });
}
