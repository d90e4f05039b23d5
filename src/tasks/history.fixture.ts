import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { AppError } from '../kernel/error.ts';
import { type Task, taskOps as ops, type TaskState } from './contract.ts';
import type { TestCore } from './core.fixture.ts';
import { leaseMs } from './leases.ts';

/** A task as the simple model has it. */
interface Model {
  readonly id: string;
  needs: readonly Model[];
  readonly max: number;
  priority: number;
  state: TaskState;
  notBefore: number;
  failures: number;
  fence: number;
  leasedUntil: number;
}

/** One thing that somebody tries. */
export type Step =
  | {
      readonly do: 'create';
      readonly needs: readonly number[];
      readonly priority: number;
      readonly max: number;
      readonly delay: number;
    }
  | { readonly do: 'claimNext' }
  | {
      readonly do: 'claim' | 'complete' | 'release' | 'wait' | 'heartbeat' | 'retry' | 'cancel';
      readonly task: number;
      readonly anywhere: boolean;
      readonly old: boolean;
    }
  | {
      readonly do: 'depend';
      readonly task: number;
      readonly anywhere: boolean;
      readonly old: boolean;
      readonly needs: readonly number[];
    }
  | {
      readonly do: 'fail';
      readonly task: number;
      readonly anywhere: boolean;
      readonly old: boolean;
      readonly retry: boolean;
      readonly free: boolean;
    }
  | { readonly do: 'update'; readonly task: number; readonly anywhere: boolean; readonly priority: number }
  | { readonly do: 'tick'; readonly ms: number };

const index = fc.nat(9);
const priority = fc.integer({ min: 0, max: 3 });
/** True now and then. */
const rarely = fc.nat(7).map((n) => n === 0);
const named = (name: 'claim' | 'complete' | 'release' | 'wait' | 'heartbeat' | 'retry' | 'cancel') =>
  fc.record({ do: fc.constant(name), task: index, anywhere: rarely, old: rarely });
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      needs: fc.array(index, { maxLength: 3 }),
      priority,
      max: fc.nat(2),
      delay: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 30_000 })),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('claimNext' as const) }) },
  { weight: 3, arbitrary: named('complete') },
  ...(['claim', 'release', 'wait', 'heartbeat', 'retry', 'cancel'] as const).map((name) => named(name)),
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      task: index,
      anywhere: rarely,
      old: rarely,
      retry: rarely.map((no) => !no),
      free: rarely,
    }),
  },
  fc.record({
    do: fc.constant('depend' as const),
    task: index,
    anywhere: rarely,
    old: rarely,
    needs: fc.array(index, { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ do: fc.constant('update' as const), task: index, anywhere: rarely, priority }),
  { weight: 4, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.nat(20_000) }) },
);

const open: readonly TaskState[] = ['blocked', 'delayed', 'queued', 'claimed', 'waiting'];
const held: readonly TaskState[] = ['claimed'];
/** The states in which a step is allowed. */
const fits: Record<Extract<Step, { task: number }>['do'], readonly TaskState[]> = {
  claim: ['queued'],
  complete: held,
  fail: held,
  release: held,
  wait: held,
  depend: held,
  heartbeat: held,
  retry: ['failed', 'cancelled', 'waiting'],
  cancel: open,
  update: open,
};

/** Whether a task is another one or waits for it, over however many. */
function waitsFor(task: Model, other: Model): boolean {
  return task === other || task.needs.some((need) => need.state !== 'done' && waitsFor(need, other));
}

/** Carries out steps in the model and in the core, and compares the two. */
export class Simulation {
  readonly #core: TestCore;
  readonly #tasks: Model[] = [];

  constructor(core: TestCore) {
    this.#core = core;
  }

  run(step: Step): void {
    this.#carryOut(step);
    const stored = this.#core.call(ops.list, { limit: 1_000 }).tasks.toReversed();
    const shape = ({ id, state, fence, priority }: Model | Task) => ({ id, state, fence, priority });
    assert.deepEqual(stored.map(shape), this.#tasks.map(shape));
  }

  #carryOut(step: Step): void {
    const { clock } = this.#core;
    if (step.do === 'create') return this.#create(step);
    if (step.do === 'claimNext') return this.#claimNext();
    if (step.do === 'tick') {
      clock.advance(step.ms);
      return this.#tick();
    }
    const task = this.#pick(step);
    if (task === undefined) return;
    if (step.do === 'update') {
      const changed = () => this.#core.call(ops.update, { task: task.id, priority: step.priority });
      if (this.#try(open.includes(task.state), changed)) task.priority = step.priority;
      return;
    }
    const fence = task.fence - (step.old ? 1 : 0);
    this.#work(step, task, { task: task.id, fence }, task.state === 'claimed' && !step.old);
  }

  /** Mostly a task with which the step can be taken: a refusal is the rarer case. */
  #pick(step: Extract<Step, { task: number }>): Model | undefined {
    const fitting = this.#tasks.filter(({ state }) => fits[step.do].includes(state));
    const choice = step.anywhere || fitting.length === 0 ? this.#tasks : fitting;
    return choice[step.task % Math.max(1, choice.length)];
  }

  #work(
    step: Exclude<Step, { do: 'create' | 'claimNext' | 'tick' | 'update' }>,
    task: Model,
    held: { readonly task: string; readonly fence: number },
    holds: boolean,
  ): void {
    const core = this.#core;
    switch (step.do) {
      case 'claim':
        if (this.#try(task.state === 'queued', () => core.call(ops.claim, { worker: 'w', task: task.id }).task))
          this.#claimed(task);
        break;
      case 'complete':
        if (!this.#try(holds, () => core.call(ops.complete, { ...held, result: 1 }))) break;
        task.state = 'done';
        for (const other of this.#tasks) {
          if (other.state === 'blocked') other.state = this.#stateOf(other.needs, other.notBefore);
        }
        break;
      case 'release':
        if (this.#try(holds, () => core.call(ops.release, held))) task.state = 'queued';
        break;
      case 'wait':
        if (this.#try(holds, () => core.call(ops.wait, { ...held, for: 'x', reason: 'y' }))) task.state = 'waiting';
        break;
      case 'depend': {
        const needs = step.needs.flatMap((need) => this.#tasks[need] ?? []);
        if (needs.length === 0) break;
        const allowed = holds && !needs.some((need) => waitsFor(need, task));
        if (!this.#try(allowed, () => core.call(ops.depend, { ...held, needs: needs.map(({ id }) => id) }))) break;
        task.failures -= 1;
        task.needs = [...new Set([...task.needs, ...needs])];
        task.state = this.#stateOf(task.needs, task.notBefore);
        break;
      }
      case 'heartbeat':
        assert.deepEqual(core.call(ops.heartbeat, { claims: [held] }).lost, holds ? [] : [task.id]);
        if (holds) task.leasedUntil = core.clock.now() + leaseMs;
        break;
      case 'retry':
        if (!this.#try(fits.retry.includes(task.state), () => core.call(ops.retry, { task: task.id }))) break;
        task.failures = 0;
        task.state = this.#stateOf(task.needs, 0);
        if (task.state === 'queued') task.notBefore = 0;
        break;
      case 'cancel':
        if (this.#try(open.includes(task.state), () => core.call(ops.cancel, { task: task.id })))
          task.state = 'cancelled';
        break;
      case 'fail': {
        const { retry, free } = step;
        const input = { ...held, retry, free, error: { class: 'c', message: 'm' } };
        const output = this.#try(holds, () => core.call(ops.fail, input));
        if (!output) break;
        if (free) task.failures -= 1;
        task.state = retry && task.failures <= task.max ? 'delayed' : 'failed';
        if (task.state === 'delayed') task.notBefore = output.notBefore ?? 0;
        break;
      }
    }
  }

  #create(step: Extract<Step, { do: 'create' }>): void {
    const { clock } = this.#core;
    const needs = [...new Set(step.needs.flatMap((need) => this.#tasks[need] ?? []))];
    const notBefore = step.delay === 0 ? 0 : clock.now() + step.delay;
    const created = this.#core.call(ops.create, {
      title: 't',
      priority: step.priority,
      needs: needs.map(({ id }) => id),
      retries: { max: step.max },
      ...(notBefore === 0 ? {} : { notBefore }),
    });
    this.#stored(created);
    const state = this.#stateOf(needs, notBefore);
    const { id } = created;
    this.#tasks.push({
      id,
      needs,
      max: step.max,
      priority: step.priority,
      state,
      notBefore,
      failures: 0,
      fence: 0,
      leasedUntil: 0,
    });
  }

  #claimNext(): void {
    const { task } = this.#core.call(ops.claim, { worker: 'w' });
    const queued = this.#tasks.filter(({ state }) => state === 'queued');
    const best = queued.toSorted((a, b) => b.priority - a.priority)[0];
    assert.equal(task?.id, best?.id);
    if (task === null || best === undefined) return;
    this.#stored(task);
    this.#claimed(best);
  }

  #claimed(task: Model): void {
    task.state = 'claimed';
    task.fence += 1;
    task.failures += 1;
    task.leasedUntil = this.#core.clock.now() + leaseMs;
  }

  #tick(): void {
    const now = this.#core.clock.now();
    const ticked = this.#core.call(ops.tick, {});
    const due = this.#tasks.filter((task) => task.state === 'delayed' && task.notBefore <= now);
    const expired = this.#tasks.filter((task) => task.state === 'claimed' && task.leasedUntil <= now);
    for (const task of [...due, ...expired]) task.state = 'queued';
    const times = this.#tasks.flatMap((task) =>
      task.state === 'delayed' ? [task.notBefore] : task.state === 'claimed' ? [task.leasedUntil] : [],
    );
    const nextAt = times.length === 0 ? null : Math.min(...times);
    assert.deepEqual(ticked, { promoted: due.length, released: expired.length, nextAt });
  }

  #stateOf(needs: readonly Model[], notBefore: number): TaskState {
    if (needs.some(({ state }) => state !== 'done')) return 'blocked';
    return notBefore > this.#core.clock.now() ? 'delayed' : 'queued';
  }

  /** Does what must be allowed or refused; gives the output, which must be what is stored. */
  #try(allowed: boolean, act: () => Task | null): Task | undefined {
    let output: Task | null = null;
    try {
      output = act();
    } catch (error) {
      assert.ok(error instanceof AppError && ['conflict', 'invalid'].includes(error.code), String(error));
    }
    assert.equal(output !== null, allowed);
    if (output === null) return undefined;
    this.#stored(output);
    return output;
  }

  #stored(task: Task): void {
    assert.deepEqual(task, this.#core.call(ops.get, { task: task.id }));
  }
}
