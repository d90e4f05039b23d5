import { describe, expect, it, vi } from 'vitest';
import { ManualClock, systemClock } from './clock.ts';

describe('the manual clock', () => {
  it('runs what falls due, in the order of its time, each at its time', () => {
    const clock = new ManualClock(1_000);
    const ran: string[] = [];
    for (const ms of [30, 10, 20, 50]) clock.after(ms, () => ran.push(`${ms} at ${clock.now()}`));
    clock.after(10, () => ran.push('second at 10'));
    clock.advance(40);
    expect(ran).toEqual(['10 at 1010', 'second at 10', '20 at 1020', '30 at 1030']);
    expect(clock.now()).toBe(1_040);
  });

  it('runs what a task adds, when it falls due within the same step', () => {
    const clock = new ManualClock(0);
    const ran: number[] = [];
    const again = (): void => {
      ran.push(clock.now());
      clock.after(10, again);
    };
    clock.after(10, again);
    clock.advance(35);
    expect(ran).toEqual([10, 20, 30]);
  });

  it('does not run what was cancelled, also by another task', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const cancel = clock.after(20, () => ran.push('never'));
    clock.after(10, cancel);
    clock.advance(100);
    cancel();
    expect(ran).toEqual([]);
  });

  it('runs what was due already without going back in time', () => {
    const clock = new ManualClock(100);
    let at = 0;
    clock.after(-50, () => (at = clock.now()));
    clock.advance(1);
    expect(at).toBe(100);
  });
});

describe('the system clock', () => {
  it('waits for longer than a timer of the system can', () => {
    vi.useFakeTimers();
    try {
      const month = 30 * 24 * 3600 * 1000;
      let ran = 0;
      systemClock.after(month, () => (ran += 1));
      const cancel = systemClock.after(month, () => (ran += 100));
      vi.advanceTimersByTime(month - 1);
      expect(ran).toBe(0);
      cancel();
      vi.advanceTimersByTime(1);
      expect(ran).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });
});
