import { expect, it } from 'vitest';
import { crashRun } from './crash-run.fixture.ts';

// More of them, by hand: npm run crash -- --seeds 200
it.each([101, 102, 103])('a plan of fifty tasks survives forty kills of its server (seed %i)', async (seed) => {
  const { problems, kills, adopted, failures } = await crashRun(seed);
  expect(
    problems,
    `seed ${seed}; again: npm run crash -- --seeds 1 --from ${seed} --keep\n${failures.join('\n')}`,
  ).toEqual([]);
  expect(kills).toBeGreaterThan(20);
  expect(adopted).toBeGreaterThan(0);
});
