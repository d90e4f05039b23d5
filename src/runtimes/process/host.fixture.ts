import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Host, HostProcess, Launch } from '../../agents/runtime.ts';
import { processHost } from './host.ts';

/** For tests: a host with a folder of its own, and what is needed to watch an agent without sleeping. */
export class HostFixture {
  readonly root = mkdtempSync(join(tmpdir(), 'maos-host-'));
  readonly host: Host = processHost();
  readonly #sessions: string[] = [];

  /** A session id that no other test run on this machine has. */
  session(): { session: string; folder: string } {
    const session = `session_${process.pid}_${this.#sessions.length}_${performance.now()}`;
    this.#sessions.push(session);
    return { session, folder: join(this.root, session) };
  }

  /** Starts a shell line. */
  async sh(
    line: string,
    options: Partial<Launch> = {},
  ): Promise<{ agent: HostProcess; session: string; folder: string }> {
    const names = this.session();
    const launch: Launch = {
      argv: ['/bin/sh', '-c', line],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      stdin: 'none',
      firstInput: null,
      ...options,
    };
    return { agent: await this.host.start({ ...names, cwd: this.root, launch }), ...names };
  }

  /** Ends whatever a failed test left behind, and removes the folders. */
  async close(): Promise<void> {
    for (const session of this.#sessions) {
      for (const pid of await this.host.processesOf(session)) process.kill(pid, 'SIGKILL');
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Collects an agent's output and tells when something has appeared in it. */
export class Collector {
  text = '';
  endOffset: number;
  readonly drained: Promise<void>;
  readonly #waiting = new Set<() => void>();

  constructor(agent: HostProcess, offset = 0) {
    this.endOffset = offset;
    const follower = agent.follow(offset, (chunk, endOffset) => {
      this.text += chunk.toString('latin1');
      this.endOffset = endOffset;
      for (const check of this.#waiting) check();
    });
    this.drained = follower.drained;
  }

  /** Resolves when the output contains `part`. */
  sees(part: string): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!this.text.includes(part)) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}
