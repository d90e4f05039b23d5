import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { type RetryPolicy, taskState } from './contract.ts';
import { checkFence, moved, moves, readyState, refuseEnded, restMs, type Move } from './model.ts';

/** For each move the state it leads to from each state; `-` where it is refused. */
const table = `
            blocked    delayed    queued     claimed    waiting    done  failed   cancelled
  free      queued     -          -          -          -          -     -        -
  postpone  delayed    -          -          -          -          -     -        -
  due       -          queued     -          -          -          -     -        -
  claim     -          -          claimed    -          -          -     -        -
  complete  -          -          -          done       -          -     -        -
  delay     -          -          -          delayed    -          -     -        -
  fail      -          -          -          failed     -          -     -        -
  release   -          -          -          queued     -          -     -        -
  wait      -          -          -          waiting    -          -     -        -
  depend    -          -          -          blocked    -          -     -        -
  retry     -          -          -          -          queued     -     queued   queued
  block     -          -          -          -          -          -     -        blocked
  cancel    cancelled  cancelled  cancelled  cancelled  cancelled  -     -        -
`;

const [head = [], ...rows] = table
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/));
const isMove = (name: string): name is Move => Object.hasOwn(moves, name);
const cases = rows.flatMap(([move = '', ...targets]) =>
  targets.map((target, index) => ({ move: isMove(move) ? move : 'free', state: taskState.parse(head[index]), target })),
);

function refusal(act: () => unknown): AppError {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

describe('moves', () => {
  it('are all in the table, in every state', () => {
    expect(head).toEqual(taskState.options);
    expect(rows.map(([move]) => move)).toEqual(Object.keys(moves));
  });

  it.each(cases.filter(({ target }) => target !== '-'))('$move in state $state: $target', ({ move, state, target }) => {
    expect(moved({ id: 'task_1', state }, move)).toBe(target);
  });

  it.each(cases.filter(({ target }) => target === '-'))('no $move in state $state', ({ move, state }) => {
    const refused = refusal(() => moved({ id: 'task_1', state }, move));
    expect(refused.code).toBe('conflict');
    expect(refused.message).toMatch(
      new RegExp(`^Task task_1 is ${state} and cannot become (${taskState.options.join('|')})`),
    );
    expect(refused.fix).toMatch(/\.$/);
    expect(refused.details).toMatchObject({ task: 'task_1', state, move });
  });

  it.each(['blocked', 'delayed', 'queued', 'claimed', 'waiting'] as const)('changes while %s', (state) => {
    expect(() => refuseEnded({ id: 'task_1', state })).not.toThrow();
  });

  it.each(['done', 'failed', 'cancelled'] as const)('no changes when %s', (state) => {
    expect(refusal(() => refuseEnded({ id: 'task_1', state })).message).toContain(`is ${state}`);
  });
});

describe('fence', () => {
  it('refuses all but the newest', () => {
    expect(() => checkFence({ id: 'task_1', fence: 3 }, 3)).not.toThrow();
    expect(refusal(() => checkFence({ id: 'task_1', fence: 3 }, 2)).message).toContain('fence is 3, not 2');
    expect(refusal(() => checkFence({ id: 'task_1', fence: 3 }, 4)).code).toBe('conflict');
  });
});

describe('readyState', () => {
  it.each([
    [true, null, 'blocked'],
    [true, 200, 'blocked'],
    [false, null, 'queued'],
    [false, 100, 'queued'],
    [false, 101, 'delayed'],
  ] as const)('open needs %s, not before %s, now 100: %s', (open, notBefore, state) => {
    expect(readyState(open, notBefore, 100)).toBe(state);
  });
});

describe('restMs', () => {
  const retries: RetryPolicy = { max: 9, backoffMs: 1_000, factor: 2, maxBackoffMs: 60_000 };

  it('doubles up to the maximum, within 20 % of it', () => {
    for (const [failures, base] of [
      [1, 1_000],
      [2, 2_000],
      [4, 8_000],
      [7, 60_000],
      [100, 60_000],
    ] as const) {
      const rest = restMs(retries, 'task_1', failures, failures);
      expect(rest).toBeGreaterThanOrEqual(base * 0.8);
      expect(rest).toBeLessThanOrEqual(base * 1.2);
    }
  });

  it('spreads tasks that failed together, and says the same each time', () => {
    const rests = Array.from({ length: 200 }, (_, index) => restMs(retries, `task_${index}`, 1, 1));
    expect(new Set(rests).size).toBeGreaterThan(100);
    expect(Math.min(...rests)).toBeLessThan(900);
    expect(Math.max(...rests)).toBeGreaterThan(1_100);
    expect(restMs(retries, 'task_7', 1, 1)).toBe(rests[7]);
    expect(restMs(retries, 'task_7', 2, 1)).not.toBe(rests[7]);
  });

  it('rests at least a first backoff when the failure was free', () => {
    expect(restMs(retries, 'task_1', 1, 0)).toBe(restMs(retries, 'task_1', 1, 1));
  });
});
