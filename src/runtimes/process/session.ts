import { open } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExitStatus, HostProcess } from '../../agents/runtime.ts';
import type { FolderWatch } from './folder-watch.ts';
import { followFile, type Follower } from './follow.ts';
import { SessionInput } from './input.ts';
import { findProcess, type ProcessTable } from './proc.ts';
import { ProcessTree, signal } from './tree.ts';
import type { SessionFiles } from './wrapper.ts';

/** How long a process that outlives its parent may take to end by itself before it counts as left behind. */
const settleMs = 250;
const orphanGraceMs = 2000;

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** What an exit code of a shell says: 128 + n means signal n. */
export function exitStatus(code: number): ExitStatus {
  const name = code > 128 ? signalNames.get(code - 128) : undefined;
  return name === undefined ? { kind: 'exited', code } : { kind: 'signalled', signal: name };
}

/** The status that the wrapper recorded; undefined while there is none. */
export function recordedExit(path: string): ExitStatus | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return text.endsWith('\n') ? exitStatus(Number(text)) : undefined;
  } catch {
    return undefined;
  }
}

/** What a session's object is made of. */
export interface SessionParts {
  readonly files: SessionFiles;
  readonly session: string;
  readonly pid: number;
  readonly startTime: string;
  readonly adopted: boolean;
  readonly takesInput: boolean;
  /** False when the wrapper was found dead: its pid may be someone else's by now. */
  readonly leaderKnown: boolean;
  readonly table: ProcessTable;
  readonly watch: FolderWatch;
  /** Lets the server end although the process goes on. */
  readonly detach: () => void;
}

/**
 * A running (or just ended) agent.
 *
 * S1. `exit` settles once, and only after no process of the tree is left.
 * S2. The status is what the wrapper recorded; a wrapper that vanished without a record is `lost`.
 * S3. After `release` nothing here touches the process, and nothing settles any more.
 */
export class ProcessSession implements HostProcess {
  readonly pid: number;
  readonly startTime: string;
  readonly adopted: boolean;
  readonly exit: Promise<ExitStatus>;
  readonly #parts: SessionParts;
  readonly #tree: ProcessTree;
  readonly #input: SessionInput;
  readonly #settled = Promise.withResolvers<ExitStatus>();
  readonly #followers = new Set<Follower>();
  #phase: 'running' | 'ending' | 'ended' | 'released' = 'running';
  #stopDeadline: number | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.pid = parts.pid;
    this.startTime = parts.startTime;
    this.adopted = parts.adopted;
    this.exit = this.#settled.promise;
    const { session, leaderKnown, startTime } = parts;
    // The start time of an earlier boot says nothing about the processes of this one.
    const since = leaderKnown ? Number.parseInt(startTime, 10) || 0 : 0;
    this.#tree = new ProcessTree(parts.table, { session, leader: parts.pid, leaderKnown, since });
    this.#input = new SessionInput(parts.files, parts.watch);
  }

  /** For an adopted process: nobody tells us that it ended, so its record and its pid are watched. */
  watchEnd(): void {
    let asking = false;
    const ask = async (): Promise<void> => {
      if (asking || this.#phase !== 'running') return;
      asking = true;
      const alive = (await findProcess(this.pid))?.startTime === this.startTime;
      asking = false;
      const status = recordedExit(this.#parts.files.exit);
      if (status !== undefined || !alive) await this.ended(status ?? { kind: 'lost' });
    };
    this.#parts.watch.listen((name) => {
      if (name === null || name === 'exit') void ask();
    });
    void ask();
  }

  /** The wrapper has ended: clears the tree and settles `exit`. */
  async ended(status: ExitStatus): Promise<void> {
    if (this.#phase !== 'running') return;
    this.#phase = 'ending';
    this.#input.abandon('the program has ended');
    const orphans = await this.#tree.clear(this.#stopDeadline === undefined ? settleMs : 0, () => this.#graceLeft());
    if (this.#isReleased()) return;
    this.#phase = 'ended';
    this.#parts.watch.close();
    const counted = this.#stopDeadline === undefined && orphans > 0 && status.kind === 'exited';
    this.#settled.resolve(counted ? { ...status, orphans } : status);
  }

  write(text: string): Promise<void> {
    return this.#input.write(text);
  }

  closeInput(): void {
    if (this.#parts.takesInput) this.#input.close();
  }

  interrupt(): void {
    if (this.#phase === 'running') signal(-this.pid, 'SIGINT');
  }

  pause(): void {
    if (this.#phase === 'running') void this.#tree.signalAll('SIGSTOP');
  }

  resume(): void {
    if (this.#phase === 'running') void this.#tree.signalAll('SIGCONT');
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#phase === 'ended' || this.#phase === 'released') return;
    this.#stopDeadline = Math.min(this.#stopDeadline ?? Infinity, performance.now() + graceMs);
    if (this.#phase === 'running') {
      await this.#tree.signalAll('SIGTERM');
      await this.#tree.signalAll('SIGCONT');
      await this.#killAfterGrace();
    }
    await this.exit;
  }

  follow(offset: number, onChunk: (chunk: Buffer, endOffset: number) => void): Follower {
    const follower = followFile(this.#parts.files.stdout, offset, this.#parts.watch, this.exit, onChunk);
    this.#followers.add(follower);
    void follower.drained.finally(() => this.#followers.delete(follower)).catch(() => undefined);
    return follower;
  }

  async stderrTail(bytes: number): Promise<string> {
    const file = await open(this.#parts.files.stderr).catch(() => undefined);
    if (file === undefined) return '';
    try {
      const { size } = await file.stat();
      const tail = Buffer.alloc(Math.min(bytes, size));
      const { bytesRead } = await file.read(tail, 0, tail.length, size - tail.length);
      return tail.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  release(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'released';
    for (const follower of this.#followers) follower.stop();
    this.#input.abandon('the server is stopping');
    this.#parts.watch.close();
    this.#parts.detach();
  }

  #isReleased(): boolean {
    return this.#phase === 'released';
  }

  #graceLeft(): number {
    return this.#stopDeadline === undefined ? orphanGraceMs : Math.max(0, this.#stopDeadline - performance.now());
  }

  /** The program first and the wrapper last: then the wrapper can still record that its program was killed. */
  async #killAfterGrace(): Promise<void> {
    const timer = new AbortController();
    await Promise.race([
      this.exit,
      delay(this.#graceLeft(), undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    for (let round = 0; this.#phase === 'running'; round += 1) {
      if (round < 5) await this.#tree.killBelow();
      else await this.#tree.signalAll('SIGKILL');
      await Promise.race([this.exit, delay(Math.min(20 * 2 ** round, 1000))]);
    }
  }
}
