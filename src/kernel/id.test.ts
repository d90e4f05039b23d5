import { describe, expect, it } from 'vitest';
import { newId, seededIds } from './id.ts';

describe('new ids', () => {
  it('have their prefix and twelve letters that nobody confuses', () => {
    expect(newId('task')).toMatch(/^task_[0-9a-hjkmnp-tv-z]{12}$/);
  });

  it('are never the same, also over many draws', () => {
    const ids = Array.from({ length: 20_000 }, () => newId('x'));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('use every letter at every place about equally', () => {
    const counts = new Map<string, number>();
    for (let index = 0; index < 3_200; index += 1) {
      for (const [place, letter] of newId('x').slice(2).split('').entries())
        counts.set(`${place}${letter}`, (counts.get(`${place}${letter}`) ?? 0) + 1);
    }
    expect(counts.size).toBe(12 * 32);
    expect(Math.max(...counts.values())).toBeLessThan(180);
  });
});

describe('seeded ids', () => {
  it('are the same for the same seed, and others for another one', () => {
    const take = (seed: number): string[] =>
      Array.from(
        { length: 5 },
        (
          (next) => () =>
            next('task')
        )(seededIds(seed)),
      );
    expect(take(7)).toEqual(take(7));
    expect(take(7)).not.toEqual(take(8));
    expect(new Set(take(7)).size).toBe(5);
    expect(take(0)[0]).toMatch(/^task_[0-9a-z]{12}$/);
  });
});
