import { describe, expect, it } from 'vitest';
import { type Caller, localCaller, stranger, systemCaller } from '../kernel/caller.ts';
import { ManualClock } from '../kernel/clock.ts';
import { RateLimits } from './limits.ts';

const policies = {
  user: { quota: 3, windowMs: 6_000 },
  agent: { quota: 2, windowMs: 1_000 },
  stranger: { quota: 1, windowMs: 60_000 },
};
const agent = (id: string): Caller => ({
  actor: { kind: 'agent', id },
  scopes: ['*'],
  teams: null,
  credential: `session ${id}/1`,
});

function limits(mostBuckets?: number): { clock: ManualClock; rates: RateLimits } {
  const clock = new ManualClock();
  return {
    clock,
    rates: new RateLimits({ now: () => clock.now(), policies, ...(mostBuckets === undefined ? {} : { mostBuckets }) }),
  };
}

describe('a caller', () => {
  it('is refused when its calls are used up, told when to come back, and then let in', () => {
    const { clock, rates } = limits();
    for (let call = 0; call < 3; call += 1) rates.take(localCaller);
    expect(() => rates.take(localCaller)).toThrowError(
      expect.objectContaining({
        code: 'exhausted',
        status: 429,
        headers: { 'retry-after': '2', ratelimit: '"user";r=0;t=6', 'ratelimit-policy': '"user";q=3;w=6' },
      }),
    );
    clock.advance(1_999);
    expect(() => rates.take(localCaller)).toThrow('has used all of its');
    clock.advance(1);
    rates.take(localCaller);
    expect(() => rates.take(localCaller)).toThrow('has used all of its');
  });

  it('sees what it has left', () => {
    const { clock, rates } = limits();
    expect(rates.headers(localCaller)).toEqual({ ratelimit: '"user";r=3;t=0', 'ratelimit-policy': '"user";q=3;w=6' });
    rates.take(localCaller);
    expect(rates.headers(localCaller)['ratelimit']).toBe('"user";r=2;t=2');
    clock.advance(60_000);
    expect(rates.headers(localCaller)['ratelimit']).toBe('"user";r=3;t=0');
  });

  it('shares its bucket with nobody: agents of one machine, keys of one person, strangers of two addresses', () => {
    const { rates } = limits();
    const key: Caller = { ...localCaller, credential: 'key_1' };
    for (const caller of [agent('ag_1'), agent('ag_2'), localCaller, key, { ...key, credential: 'key_2' }]) {
      rates.take(caller);
      rates.take(caller);
    }
    expect(() => rates.take(agent('ag_1'))).toThrow('has used all of its');
    rates.take(key);
    rates.take(stranger('10.0.0.1'));
    expect(() => rates.take(stranger('10.0.0.1'))).toThrow('has used all of its');
    rates.take(stranger('10.0.0.2'));
  });

  it('that is MAOS itself is not limited', () => {
    const { rates } = limits();
    for (let call = 0; call < 1_000; call += 1) rates.take(systemCaller('runner'));
    expect(rates.headers(systemCaller('runner'))).toEqual({});
    expect(rates.size).toBe(0);
  });

  it('gains nothing when the clock is set back', () => {
    let time = 10_000;
    const rates = new RateLimits({ now: () => time, policies });
    for (let call = 0; call < 3; call += 1) rates.take(localCaller);
    time = 0;
    expect(() => rates.take(localCaller)).toThrow('has used all of its');
    time = 2_000;
    rates.take(localCaller);
  });
});

it('callers that come and go do not fill the memory, and those that are limited stay so', () => {
  const { clock, rates } = limits(100);
  rates.take(stranger('busy'));
  for (let id = 0; id < 10_000; id += 1) {
    rates.take(agent(`ag_${id}`));
    clock.advance(1);
  }
  expect(rates.size).toBeLessThanOrEqual(100);
  expect(() => rates.take(stranger('busy'))).toThrow('has used all of its');
});
