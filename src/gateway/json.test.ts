import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { AppError } from '../kernel/error.ts';
import { parseJson } from './json.ts';
import { refuseInput } from './refuse.ts';

function refusal(text: string): AppError {
  try {
    parseJson(text, 'The body');
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('It was parsed.');
}

describe('JSON from outside', () => {
  it('is refused with its first fault', () => {
    expect(refusal('{"a": 1,\n "b": tru}')).toMatchObject({
      message: 'The body is not JSON: unexpected "tru}" at line 2, column 7.',
      details: { position: 15, line: 2, column: 7 },
    });
    expect(refusal('[1,').message).toContain('it ends too early at line 1, column 4.');
    expect(refusal('{"a":"\u0001"}').message).toContain('line 1, column 6.');
  });

  it('is taken exactly when V8 takes it', () => {
    const bits = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\',
      '\\u0041',
      '\\u00',
      '1',
      '-',
      '.5',
      'e1',
      'true',
      ' \n',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...bits), { maxLength: 8 }), (parts) => {
        const text = parts.join('');
        let value: unknown;
        try {
          value = JSON.parse(text);
        } catch {
          expect(refusal(text)).toMatchObject({ code: 'invalid', details: { position: expect.any(Number) } });
          return;
        }
        expect(parseJson(text, 'The body')).toEqual(value);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[string, string, string]>([
    ['levels', `${'['.repeat(65)}`, 'nested deeper than 64 levels'],
    ['fields', `[${'{"a":1},'.repeat(25_001)}1]`, 'holds more than 25000 fields'],
    ['values', `[${'1,'.repeat(100_001)}1]`, 'holds more than 100000 values'],
    ['brackets', `[${'[]'.repeat(100_001)}]`, 'holds more than 100000 values'],
  ])('is not parsed when it holds too many %s', (_what, text, message) => {
    expect(refusal(text).message).toContain(message);
  });

  it('that holds much inside a string is nothing special', () => {
    const text = '{,:[\\"'.repeat(50_000);
    expect(parseJson(JSON.stringify({ text }), 'The body')).toEqual({ text });
  });

  it('takes no longer when it is malformed at its end than when it is right, but for a few times', () => {
    const fastest = (text: string): number => {
      const times = Array.from({ length: 9 }, () => {
        const start = performance.now();
        try {
          parseJson(text, 'The body');
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
        }
        return performance.now() - start;
      });
      return Math.min(...times);
    };
    const right = `[${'1.5,'.repeat(99_000)}1]`;
    // It was 40 times as long, and half a second for a megabyte, before the search for the fault was written out.
    expect(fastest(`${right.slice(0, -1)}x]`) / fastest(right)).toBeLessThan(15);
  });
});

it('what is wrong with an input is explained only so far', () => {
  const schema = z.strictObject({ title: z.string() });
  const names = Array.from({ length: 20_000 }, (_, index) => `titl${index}`);
  const { error } = schema.safeParse(Object.fromEntries(names.map((name) => [name, 1])));
  if (error === undefined) throw new Error('It was taken.');
  const refused = refuseInput('note.create', error, schema);
  expect(refused.issues).toHaveLength(50);
  expect(refused.message).toContain('(and 20000 more)');
});
