import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessTable, ScannedProcess } from './proc.ts';

/** Sends a signal; false when there is no such process any more, or it is not ours to signal. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** What identifies a session's processes. */
export interface TreeRoot {
  readonly session: string;
  /** The wrapper's pid, which is also its group and session. */
  readonly leader: number;
  /** Whether that pid is certainly still the wrapper's; once it has died unseen, it may be someone else's. */
  readonly leaderKnown: boolean;
  /** No process of the tree is older than this. */
  readonly since: number;
}

/**
 * The members of a session among `processes`: by the wrapper's process group or session, by MAOS_SESSION in their environment
 * (which a process keeps when it starts a session of its own), and the children of all those.
 */
export function treeMembers(root: TreeRoot, processes: readonly ScannedProcess[]): ScannedProcess[] {
  const { leader, leaderKnown, session } = root;
  const isSeed = (row: ScannedProcess): boolean =>
    row.maosSession === session ||
    (leaderKnown && row.maosSession === undefined && (row.session === leader || row.group === leader));
  const members = new Map(processes.filter(isSeed).map((row) => [row.pid, row]));
  for (let before = -1; before !== members.size;) {
    before = members.size;
    for (const row of processes) if (members.has(row.parent)) members.set(row.pid, row);
  }
  return [...members.values()];
}

/** The processes of one session: the wrapper and all that came from it. */
export class ProcessTree {
  readonly root: TreeRoot;
  readonly #table: ProcessTable;

  constructor(table: ProcessTable, root: TreeRoot) {
    this.#table = table;
    this.root = root;
  }

  async members(): Promise<ScannedProcess[]> {
    return treeMembers(this.root, await this.#table.scan(this.root.since));
  }

  /** Signals the group at once, and then whoever left it. */
  async signalAll(name: NodeJS.Signals): Promise<void> {
    if (this.root.leaderKnown) signal(-this.root.leader, name);
    for (const row of await this.members()) if (row.group !== this.root.leader) signal(row.pid, name);
  }

  /** SIGKILL to all but the wrapper, which then can still record how its program ended. */
  async killBelow(): Promise<void> {
    for (const row of await this.members()) if (row.pid !== this.root.leader) signal(row.pid, 'SIGKILL');
  }

  /**
   * Ends what the wrapper left behind and resolves when nothing is left. Processes get `settleMs` to end by themselves
   * and `graceMs` after SIGTERM. Returns how many of the wrapper's own session had to be ended; a daemon that made
   * itself a session of its own is ended too but does not count as unfinished work.
   */
  async clear(settleMs: number, graceMs: () => number): Promise<number> {
    let left = await this.#waitFor(settleMs);
    if (left.length === 0) return 0;
    const orphans = left.filter((row) => row.session === this.root.leader).length;
    for (const row of left) if (signal(row.pid, 'SIGTERM')) signal(row.pid, 'SIGCONT');
    left = await this.#waitFor(graceMs());
    for (let pause = 5; left.length > 0; pause = Math.min(pause * 2, 1000)) {
      // A process that may not be signalled (it changed its user) cannot be waited for either.
      if (!left.map((row) => signal(row.pid, 'SIGKILL')).includes(true)) break;
      await delay(pause);
      left = await this.members();
    }
    return orphans;
  }

  /** Waits until no member is left, or for `ms`; returns who is left. */
  async #waitFor(ms: number): Promise<ScannedProcess[]> {
    const end = performance.now() + ms;
    for (let pause = 5; ; pause = Math.min(pause * 2, 100)) {
      const left = await this.members();
      if (left.length === 0 || performance.now() >= end) return left;
      await delay(pause);
    }
  }
}
