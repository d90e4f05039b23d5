import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { idempotencyView, keepMs } from './idempotency.ts';
import type { CommandCall, CommandResult } from './pipeline.ts';
import { rebuildDifferences } from './rebuild-equality.fixture.ts';
import { addAndFail, addItem, openSample, type Sample, temporaryFolder } from './sample.fixture.ts';

let place: ReturnType<typeof temporaryFolder>;
let sample: Sample;
let now: number;

beforeEach(() => {
  place = temporaryFolder();
  now = 1_700_000_000_000;
  sample = openSample(place.folder, { now: () => now });
});
afterEach(() => {
  sample.log.close();
  place.remove();
});

function add(title: string, more: Partial<CommandCall>): unknown {
  const result: CommandResult = sample.one(addItem, { title }, more);
  return result.ok ? result.output : result.error.code;
}

const kept = (): number => sample.log.database.get<{ n: number }>('SELECT count(*) AS n FROM idempotency')?.n ?? -1;

describe('old keys', () => {
  it('are kept for a week and then make room for new ones, so that there are never many', () => {
    const first = add('a', { key: 'first' });
    for (let number = 0; number < 50; number += 1) add('b', { key: `early-${number}` });
    now += keepMs;
    expect(add('a', { key: 'first' })).toEqual(first);
    expect(kept()).toBe(51);
    now += 1;
    for (let number = 0; number < 60; number += 1) add('c', { key: `late-${number}` });
    expect(kept()).toBe(60);
    expect(add('another', { key: 'first' })).not.toBe('conflict');
  });

  it('are the same after a rebuild, whatever the time is then', () => {
    for (let number = 0; number < 30; number += 1) {
      add('a', { key: `key-${number}` });
      now += keepMs / 10;
    }
    expect(kept()).toBeLessThan(15);
    now += 10 * keepMs;
    expect(rebuildDifferences(sample.log.database, [idempotencyView])).toEqual([]);
  });

  it('stay while the clock is set back', () => {
    const first = add('a', { key: 'first' });
    now -= 2 * keepMs;
    add('b', { key: 'second' });
    expect(add('a', { key: 'first' })).toEqual(first);
    expect(kept()).toBe(2);
  });
});

describe('a command on behalf of a keyed action', () => {
  const within = { key: 'k', operation: 'item.import', inputHash: 'one' };

  it('gives what was done at its place, whatever is asked now', () => {
    const first = add('a', { key: 'k item.add 1', within });
    const head = sample.log.head();
    expect(add('changed since', { key: 'k item.add 1', within })).toEqual(first);
    expect(sample.log.head()).toEqual(head);
    expect(add('b', { key: 'k item.add 2', within })).not.toEqual(first);
  });

  it('ties the key to the input of the action, also when it has no key itself', () => {
    add('a', { within });
    for (const other of [{ inputHash: 'two' }, { operation: 'item.export' }])
      expect(add('b', { within: { ...within, ...other } })).toBe('conflict');
    expect(add('a', { key: 'k' })).toBe('conflict');
    expect(add('a', { within })).not.toBe('conflict');
  });

  it('that refuses leaves the key free', () => {
    expect(sample.one(addAndFail, { title: 'a' }, { within })).toMatchObject({ ok: false });
    expect(add('a', { within: { ...within, inputHash: 'two' } })).not.toBe('conflict');
  });
});
