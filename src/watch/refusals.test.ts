import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import type { RefusedData } from './contract.ts';
import { type Refusal, Refusals } from './refusals.ts';

const refusal = (actor: string, operation: string | null = 'task.get', code = 'forbidden'): Refusal => ({
  actor,
  credential: null,
  operation,
  code,
  rule: null,
  risk: null,
});

function journal(most?: number) {
  const clock = new ManualClock(0);
  const written: RefusedData[] = [];
  const failures: unknown[] = [];
  const refusals = new Refusals({
    clock,
    write: async (data) => {
      if (data.actor === 'agent:broken') throw new Error('The disk is full.');
      written.push(data);
    },
    onFailure: (error) => failures.push(error),
    ...(most === undefined ? {} : { most }),
  });
  return {
    clock,
    refusals,
    written,
    failures,
    told: () => written.map(({ actor, code, count }) => `${actor} ${code} ${count}`),
  };
}

describe('refusals', () => {
  it('are written at once, and those that follow within a minute as one', async () => {
    const { clock, refusals, written } = journal();
    refusals.note(refusal('agent:a', 'task.get'));
    for (let call = 0; call < 100_000; call += 1) refusals.note(refusal('agent:a', `task.${call % 3}`));
    expect(written).toEqual([
      {
        actor: 'agent:a',
        credential: null,
        code: 'forbidden',
        rule: null,
        risk: null,
        operations: ['task.get'],
        count: 1,
        since: 0,
        until: 0,
      },
    ]);
    clock.advance(30_000);
    refusals.note(refusal('agent:a'));
    clock.advance(30_000);
    expect(written[1]).toMatchObject({
      operations: ['task.0', 'task.1', 'task.2', 'task.get'],
      count: 100_001,
      since: 0,
      until: 30_000,
    });
    clock.advance(120_000);
    expect(written).toHaveLength(2);
    refusals.note(refusal('agent:a'));
    expect(written).toHaveLength(3);
    await refusals.stop();
  });

  it('of different callers, codes and rules are told apart', () => {
    const { refusals, told } = journal();
    for (const one of [
      refusal('agent:a'),
      refusal('agent:b'),
      refusal('agent:a', null, 'unauthenticated'),
      { ...refusal('agent:a'), rule: 'r' },
    ]) {
      refusals.note(one);
      refusals.note(one);
    }
    expect(told()).toEqual([
      'agent:a forbidden 1',
      'agent:b forbidden 1',
      'agent:a unauthenticated 1',
      'agent:a forbidden 1',
    ]);
  });

  it('of very many callers are counted together, so that a flood writes little', () => {
    const { clock, refusals, written } = journal(10);
    for (let minute = 0; minute < 3; minute += 1) {
      for (let caller = 0; caller < 10_000; caller += 1) refusals.note(refusal(`agent:${caller}`));
      clock.advance(60_000);
    }
    expect(written.length).toBeLessThanOrEqual(3 * 21);
    expect(written.reduce((sum, { count }) => sum + count, 0)).toBe(30_000);
    expect(written.some(({ actor }) => actor === 'others')).toBe(true);
  });

  it('are all written when the server stops, and one that cannot be written is told', async () => {
    const { refusals, told, failures } = journal();
    refusals.note(refusal('agent:a'));
    refusals.note(refusal('agent:a'));
    refusals.note(refusal('agent:broken'));
    await refusals.stop();
    expect(told()).toEqual(['agent:a forbidden 1', 'agent:a forbidden 1']);
    expect(failures).toHaveLength(1);
  });
});
