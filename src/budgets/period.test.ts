import { expect, it } from 'vitest';
import { dayOf, daysOf, nextPeriod, spanOf } from './period.ts';

it.each([
  ['total', '2026-11-21T12:00:00Z', 'total', '', null],
  ['day', '2026-11-21T00:00:00Z', '2026-11-21', '2026-11-21', '2026-11-22T00:00:00Z'],
  ['day', '2026-12-31T23:59:59.999Z', '2026-12-31', '2026-12-31', '2027-01-01T00:00:00Z'],
  ['month', '2026-11-21T12:00:00Z', '2026-11', '2026-11', '2026-12-01T00:00:00Z'],
  ['month', '2028-02-29T12:00:00Z', '2028-02', '2028-02', '2028-03-01T00:00:00Z'],
  ['month', '2026-12-31T23:59:59Z', '2026-12', '2026-12', '2027-01-01T00:00:00Z'],
] as const)('%s at %s', (period, time, span, days, next) => {
  const at = Date.parse(time);
  expect([spanOf(period, at), daysOf(period, at), nextPeriod(period, at)]).toEqual([
    span,
    days,
    next === null ? null : Date.parse(next),
  ]);
  expect(dayOf(at) >= days && dayOf(at) < `${days}~`).toBe(true);
});
