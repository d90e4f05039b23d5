import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineSplitter } from './lines.ts';

it('gives the same lines however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'é', '\n', '😀', 'zz') }),
      fc.array(fc.nat(20)),
      fc.integer({ min: 4, max: 30 }),
      (text, cuts, limit) => {
        const bytes = Buffer.from(text);
        const whole = new LineSplitter(limit);
        const expected = [...whole.push(bytes), whole.rest()];
        const pieces = new LineSplitter(limit);
        const lines: string[] = [];
        let at = 0;
        for (const cut of cuts) {
          lines.push(...pieces.push(bytes.subarray(at, at + cut)));
          at = Math.min(bytes.length, at + cut);
        }
        lines.push(...pieces.push(bytes.subarray(at)), pieces.rest());
        expect(lines).toEqual(expected);
      },
    ),
  );
});

it('bounds a line', () => {
  const splitter = new LineSplitter(4);
  expect(splitter.push(Buffer.from('abcdefgh\nij'))).toEqual(['abcd', 'efgh']);
  expect(splitter.rest()).toBe('ij');
});
