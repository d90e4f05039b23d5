import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { Attempts } from './attempts.ts';

let clock: ManualClock;
let attempts: Attempts;
beforeEach(() => {
  clock = new ManualClock();
  attempts = new Attempts(clock, { free: 3, firstMs: 1_000, longestMs: 8_000, forgetMs: 600_000 });
});

/** How long the next attempt has to wait; tried until it is taken. */
function waits(key: string): number {
  const start = clock.now();
  for (;;) {
    try {
      attempts.begin(key);
      return clock.now() - start;
    } catch {
      clock.advance(500);
    }
  }
}

describe('attempts that fail', () => {
  it('are free at first, then each takes twice the time of the one before, up to a bound', () => {
    expect(Array.from({ length: 9 }, () => waits('ada'))).toEqual([0, 0, 0, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  });

  it('do not slow down others, and are forgotten after a success and one by one with time', () => {
    for (let i = 0; i < 5; i += 1) waits('ada');
    expect(waits('bob')).toBe(0);
    attempts.succeeded('ada');
    expect(waits('ada')).toBe(0);
    for (let i = 0; i < 5; i += 1) waits('ada');
    clock.advance(2 * 600_000);
    // Six less two have failed; the one that now fails too is the fifth.
    expect([waits('ada'), waits('ada')]).toEqual([0, 4_000]);
    clock.advance(2 * 3_600_000);
    expect([waits('ada'), waits('ada'), waits('ada')]).toEqual([0, 0, 0]);
  });

  it('count from their start, so that many at once win nothing', () => {
    for (let i = 0; i < 3; i += 1) attempts.begin('ada');
    expect(() => attempts.begin('ada')).toThrowError(
      expect.objectContaining({ code: 'exhausted', fix: 'Try again in 1 s.', details: { retryAfterMs: 1_000 } }),
    );
  });

  it('stay when one was right that says nothing about the others', () => {
    for (let i = 0; i < 4; i += 1) waits('an address');
    for (let i = 0; i < 20; i += 1) {
      waits('an address');
      attempts.forgive('an address');
    }
    expect([waits('an address'), waits('an address')]).toEqual([0, 4_000]);
  });
});
