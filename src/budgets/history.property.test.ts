import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { type Begun, Purse } from './budgets.fixture.ts';
import { type Budget, budgetOps, payer } from './contract.ts';

/** Sessions are picked among those that there are. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('start' as const), pick: fc.nat(5) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('use' as const),
      pick: fc.nat(5),
      cents: fc.nat(150),
      tokens: fc.nat(120),
      kept: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), pick: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

interface Running extends Begun {
  readonly payers: readonly string[];
  cents: number;
  tokens: number;
  /** Its last report, by which a limit may be passed. */
  last: { readonly cents: number; readonly tokens: number };
  kept: boolean;
}

/** What should be, kept in a simple way: whole numbers, and every session for ever. */
class Simulation {
  readonly #purse = new Purse();
  readonly #agents: string[];
  readonly #budgets: Budget[];
  readonly #sessions: Running[] = [];
  #live: Running[] = [];

  constructor() {
    const purse = this.#purse;
    this.#agents = [
      {},
      { budgetUsd: 1 },
      { budgetUsd: 3 },
      { budgetUsd: 2, budgetTokens: 100 },
      { budgetTokens: 200 },
      {},
    ].map((limits) => purse.agent(limits));
    this.#budgets = [
      { usd: 12, share: 4 },
      { project: 'shop', usd: 9, tokens: 900 },
      { agent: this.#agents[1] ?? '', usd: 2 },
      { agent: this.#agents[4] ?? '', tokens: 300 },
    ].map((terms) => purse.core.call(budgetOps.set, terms));
  }

  run(one: Step): void {
    if (one.kind === 'start') this.#start(one.pick);
    else if (one.kind === 'crash') this.#crash();
    else {
      const session = this.#live[one.pick % Math.max(1, this.#live.length)];
      if (session === undefined) return;
      if (one.kind === 'end') this.#end(session);
      else this.#use(session, one.cents, one.tokens, one.kept);
    }
    this.check();
  }

  #start(pick: number): void {
    const agent = this.#agents[pick] ?? '';
    if (this.#live.some((session) => session.agent === agent)) return;
    try {
      const begun = this.#purse.start(agent);
      expect(begun.promised.usd ?? 1).toBeGreaterThan(0);
      const none = { cents: 0, tokens: 0 };
      const session = { ...begun, payers: begun.promised.payers, ...none, last: none, kept: true };
      this.#live.push(session);
      this.#sessions.push(session);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'exhausted') throw error;
      // What waits for others waits for somebody who works, and has been promised something.
      const budget = this.#budgets.find(({ id }) => id === error.details?.['budget']);
      if (budget === undefined || error.details?.['state'] !== 'busy') return;
      const { reserved } = this.#read(budget);
      expect(reserved.usd + reserved.tokens).toBeGreaterThan(0);
    }
  }

  /** A program stops when it is told to. */
  #use(session: Running, cents: number, tokens: number, kept: boolean): void {
    if (!session.kept && this.#keep(session)) return;
    session.cents += cents;
    session.tokens += tokens;
    session.last = { cents, tokens };
    this.#purse.uses(session, session.cents / 100, session.tokens);
    if (kept) this.#keep(session);
    else session.kept = false;
  }

  /** Whether it was stopped. */
  #keep(session: Running): boolean {
    session.kept = true;
    const { agent, generation } = session;
    const { over } = this.#purse.core.call(budgetOps.keep, { agent, generation });
    expect(this.#purse.isStopped(session)).toBe(over);
    if (over) this.#end(session);
    return over;
  }

  #end(session: Running): void {
    this.#live = this.#live.filter((one) => one !== session);
    this.#purse.ends(session, { costUsd: session.cents / 100, tokens: session.tokens });
  }

  #crash(): void {
    const { core } = this.#purse;
    const before = core.dump();
    core.rebuild();
    expect(core.dump()).toEqual(before);
  }

  #read({ id }: Budget): Budget {
    return this.#purse.core.call(budgetOps.get, { budget: id });
  }

  check(): void {
    for (const budget of this.#budgets) {
      const { kind, subject, used, reserved, usd, tokens } = this.#read(budget);
      const pays = ({ payers }: Running): boolean => payers.includes(payer(kind, subject));
      const all = this.#sessions.filter(pays);
      const sum = (of: (session: Running) => number, sessions = all): number =>
        sessions.reduce((total, session) => total + of(session), 0);
      // No charge is lost, and no promise outlives its session.
      expect(Math.round(used.usd * 100)).toBe(sum(({ cents }) => cents));
      expect(used.tokens).toBe(sum((session) => session.tokens));
      const open = this.#live.filter(pays);
      expect(reserved.usd).toBeCloseTo(
        sum(({ promised, cents }) => Math.max(0, (promised.usd ?? 0) - cents / 100), open),
      );
      expect(reserved.tokens).toBe(sum((one) => Math.max(0, (one.promised.tokens ?? 0) - one.tokens), open));
      // Nothing is passed by more than the last report of each session.
      if (usd !== null) expect(used.usd).toBeLessThanOrEqual(usd + sum(({ last }) => last.cents) / 100 + 1e-9);
      if (tokens !== null) expect(used.tokens).toBeLessThanOrEqual(tokens + sum(({ last }) => last.tokens));
    }
  }

  /** When all have ended, nothing is promised any more, and whatever is not used up can be started. How many still work. */
  settle(): number {
    for (const session of this.#live) this.#end(session);
    this.check();
    for (const [pick, agent] of this.#agents.entries()) {
      this.#start(pick);
      const [session] = this.#live;
      const over = this.#budgets
        .map((budget) => this.#read(budget))
        .some(({ over: why, kind, subject }) => why !== null && (kind !== 'agent' || subject === agent));
      expect(session === undefined).toBe(over);
      if (session !== undefined) this.#end(session);
    }
    return this.#live.length;
  }

  close(): void {
    this.#purse.core.close();
  }
}

describe('random histories of sessions that work side by side', () => {
  it('never pass a limit by more than a report of each, never lose a charge, and never wait for nobody', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 90 }), (steps) => {
        const simulation = new Simulation();
        try {
          for (const one of steps) simulation.run(one);
          expect(simulation.settle()).toBe(0);
        } finally {
          simulation.close();
        }
      }),
      { numRuns: 60 },
    );
  });
});
