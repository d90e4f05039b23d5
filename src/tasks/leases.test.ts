import { describe, expect, it } from 'vitest';
import { Leases } from './leases.ts';

describe('Leases', () => {
  it('expire at their time unless extended', () => {
    const leases = new Leases();
    leases.grant('a', 1, 100);
    leases.grant('b', 4, 120);
    expect(leases.nextAt()).toBe(100);
    expect(leases.expired(99)).toEqual([]);
    expect(leases.expired(100)).toEqual([{ task: 'a', fence: 1 }]);
    leases.extend('a', 1, 150);
    expect(leases.expired(120)).toEqual([{ task: 'b', fence: 4 }]);
    leases.release('b');
    leases.release('a');
    expect(leases.nextAt()).toBeNull();
  });

  it('are not extended by an older claim', () => {
    const leases = new Leases();
    leases.grant('a', 2, 100);
    leases.extend('a', 1, 999);
    expect(leases.nextAt()).toBe(100);
  });

  it('are made anew for claims without one, and dropped without a claim', () => {
    const leases = new Leases();
    leases.grant('kept', 1, 50);
    leases.grant('gone', 1, 10);
    leases.grant('reclaimed', 1, 10);
    leases.reconcile(
      [
        { task: 'kept', fence: 1 },
        { task: 'reclaimed', fence: 2 },
        { task: 'found', fence: 7 },
      ],
      100,
    );
    expect(leases.expired(50)).toEqual([{ task: 'kept', fence: 1 }]);
    expect(leases.expired(100)).toEqual([
      { task: 'kept', fence: 1 },
      { task: 'reclaimed', fence: 2 },
      { task: 'found', fence: 7 },
    ]);
  });
});
