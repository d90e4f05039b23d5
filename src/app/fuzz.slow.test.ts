import { expect, it } from 'vitest';
import { fuzzServer } from './fuzz-server.fixture.ts';

it('no request makes a failure, and every answer is as the OpenAPI document says', async () => {
  const count = Number(process.env['MAOS_FUZZ_REQUESTS'] ?? 4_000);
  const { report, failures, intact } = await fuzzServer(count, Number(process.env['MAOS_FUZZ_SEED'] ?? 1));
  expect(report.findings).toEqual([]);
  expect(failures).toEqual([]);
  expect(intact).toBe(true);
  expect(report.requests).toBeGreaterThanOrEqual(count);
  // Not only refusals: some of each sort came through.
  expect(report.statuses['200'] ?? 0).toBeGreaterThan(count / 50);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});
