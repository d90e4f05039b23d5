import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../gateway/registry.ts';
import { type Caller, localCaller, stranger, systemCaller } from '../kernel/caller.ts';
import { ManualClock } from '../kernel/clock.ts';
import type { Call } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import { keysOf, newKey } from '../kernel/seal.ts';
import { openReader } from '../log/open.ts';
import { Pipeline } from '../log/pipeline.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { Views } from '../log/views.ts';
import { GroupWriter } from '../log/writer.ts';
import { authActions } from './actions.ts';
import { Authenticator } from './authenticator.ts';
import { authOps } from './contract.ts';
import { Prover } from './prover.ts';
import { authHandlers } from './service.ts';
import { authView } from './views.ts';

/** For tests: this room alone on a log of its own, with a clock that is moved by hand. */
export class AuthRoom {
  readonly clock = new ManualClock();
  readonly folder = mkdtempSync(join(tmpdir(), 'maos-auth-'));
  readonly log = new SqliteLog(join(this.folder, 'maos.db'));
  readonly authenticator: Authenticator;
  readonly registry: Registry;
  /** Sessions of agents that go on, as `agent/generation`. */
  readonly alive = new Set<string>();
  readonly owner: Call;
  readonly #reader;
  readonly #touches: Promise<unknown>[] = [];

  constructor(lifetimes: { idleMs: number; absoluteMs: number }) {
    const views = new Views([authView]);
    views.prepare(this.log.database);
    const now = (): number => this.clock.now();
    const keys = keysOf([newKey('test')]);
    const prover = new Prover({ clock: this.clock, keys: async () => keys });
    const handlers = [
      ...authHandlers,
      ...authActions({ clock: this.clock, keys: async () => keys, prover, lifetimes }),
    ];
    const core = new GroupWriter(new Pipeline({ log: this.log, views, handlers, now, newId }));
    this.#reader = openReader(join(this.folder, 'maos.db'));
    this.registry = new Registry({ handlers, reader: this.#reader, core, now, newId });
    this.owner = this.registry.as(localCaller);
    this.authenticator = new Authenticator({
      reader: this.#reader,
      clock: this.clock,
      idleMs: lifetimes.idleMs,
      alive: (agent, generation) => this.alive.has(`${agent}/${generation}`),
      touch: (login) => {
        this.#touches.push(this.registry.as(systemCaller('identity'))(authOps.touchLogin, { login }));
      },
    });
  }

  async login(name: string, password: string, code?: string): Promise<string> {
    const given = { name, password, ...(code === undefined ? {} : { code }) };
    return (await this.registry.as(stranger('a test'))(authOps.createLogin, given)).token;
  }

  callerOf(token: string): Caller | undefined {
    return this.authenticator.callerOf(token);
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#touches);
    this.#reader.close();
    this.log.close();
    rmSync(this.folder, { recursive: true });
  }
}
