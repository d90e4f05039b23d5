import { expect, it } from 'vitest';
import { count, money, relative, span, stopwatch } from './moment.ts';

it.each([
  [0, '0ms'],
  [850, '850ms'],
  [12_000, '12s'],
  [184_000, '3m 4s'],
  [7_200_000, '2h'],
  [7_260_000, '2h 1m'],
  [360_000_000, '4d 4h'],
])('%d ms are %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

it('tells times as seen from now', () => {
  expect([0, 500, 5_000, 3_700_000, -300_000].map((ago) => relative(10_000_000 - ago, 10_000_000))).toEqual([
    'now',
    'now',
    '5s ago',
    '1h ago',
    'in 5m',
  ]);
});

it('tells stopwatches, money and tokens', () => {
  expect([0, 34_900, 725_000, 3_723_000].map(stopwatch)).toEqual(['0:00', '0:34', '12:05', '1:02:03']);
  expect([0, 0.0012, 0.5, 12.345].map(money)).toEqual(['$0.00', '$0.0012', '$0.50', '$12.35']);
  expect([950, 12_345, 4_500_000].map(count)).toEqual(['950', '12.3k', '4.5M']);
});
