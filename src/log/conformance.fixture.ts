/** What every adapter of the Log port must do. An adapter's own test calls `logConformance` with how to open it. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { checkLink } from './chain.ts';
import type { Head, Log, StoredRecord } from './port.ts';
import { chain } from './record.ts';
import { temporaryFolder } from './sample.fixture.ts';

export interface Adapter {
  readonly name: string;
  /** Opens the log that belongs to this folder: the same folder gives the same log again. */
  open(folder: string): Log;
  /** Opens what `snapshot` wrote. */
  openSnapshot(path: string): Log;
  /** Gives the right to write to another holder, as another process would: behind the back of the open log. */
  takeOver(log: Log, folder: string, holder: string): void;
}

/** Records that follow `head`. */
export function makeRecords(head: Head, count: number, text = 'a "quoted" line\n and more ✓'): StoredRecord[] {
  const records: StoredRecord[] = [];
  for (let index = 0; index < count; index += 1) {
    const data = JSON.stringify({ text, index });
    const draft = {
      at: 1_700_000_000_000 + index,
      actor: 'user:alice',
      stream: `item_${index}`,
      type: 'item.added',
      version: 1,
      data,
    };
    records.push(chain(records.at(-1) ?? head, { ...draft, cause: 'call_1', trace: 'call_1' }));
  }
  return records;
}

const bare = ({ position, hash }: Head): Head => ({ position, hash });
const headOf = (records: readonly StoredRecord[]): Head => bare(records.at(-1) ?? { position: 0, hash: '' });

/** The code of the refusal, or undefined when there was none. */
async function refusal(action: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

export function logConformance(adapter: Adapter): void {
  describe(`${adapter.name} conforms to the Log port`, () => {
    let place: ReturnType<typeof temporaryFolder>;
    let log: Log;
    beforeEach(() => {
      place = temporaryFolder();
      log = adapter.open(place.folder);
    });
    afterEach(() => {
      log.close();
      place.remove();
    });

    it('starts empty', () => {
      expect(bare(log.head())).toEqual({ position: 0, hash: '' });
      expect(log.read(0, 10)).toEqual([]);
    });

    it('gives back what was appended, in order', async () => {
      const records = makeRecords(log.head(), 25);
      await log.append(0, records.slice(0, 1));
      await log.append(1, records.slice(1));
      expect(bare(log.head())).toEqual(headOf(records));
      expect(log.read(0, 100)).toEqual(records);
    });

    it('reads pages after a position', async () => {
      const records = makeRecords(log.head(), 25);
      await log.append(0, records);
      expect(log.read(0, 10)).toEqual(records.slice(0, 10));
      expect(log.read(10, 10)).toEqual(records.slice(10, 20));
      expect(log.read(20, 10)).toEqual(records.slice(20));
      expect(log.read(25, 10)).toEqual([]);
      expect(log.read(1_000, 10)).toEqual([]);
      expect(log.read(3, 0)).toEqual([]);
    });

    it('appends nothing when the expected position is not the head', async () => {
      const records = makeRecords(log.head(), 5);
      await log.append(0, records);
      expect(await refusal(() => log.append(4, makeRecords(headOf(records.slice(0, 4)), 2)))).toBe('conflict');
      expect(await refusal(() => log.append(6, makeRecords(headOf(records), 2)))).toBe('conflict');
      expect(log.read(0, 100)).toEqual(records);
      expect(bare(log.head())).toEqual(headOf(records));
    });

    it('appends nothing of records that do not follow each other', async () => {
      const [one, two, three] = makeRecords(log.head(), 3);
      const records = [one, two, three].filter((record) => record !== undefined);
      expect(await refusal(() => log.append(0, records.toSpliced(1, 1)))).toBe('conflict');
      expect(
        await refusal(() =>
          log.append(
            0,
            records.map((record) => ({ ...record, previous: 'another' })),
          ),
        ),
      ).toBe('conflict');
      expect(log.read(0, 100)).toEqual([]);
      await log.append(0, records);
      expect(log.read(0, 100)).toEqual(records);
    });

    it('keeps the chain whole', async () => {
      await log.append(0, makeRecords(log.head(), 40));
      await log.append(40, makeRecords(log.head(), 40));
      let before: Head = { position: 0, hash: '' };
      for (const record of log.read(0, 100)) {
        expect(checkLink(before, record)).toBeUndefined();
        before = record;
      }
      expect(before.position).toBe(80);
    });

    it('tells watchers the new head after each append, until they cancel', async () => {
      const seen: number[] = [];
      const cancel = log.watch((head) => seen.push(head.position));
      await log.append(0, makeRecords(log.head(), 3));
      await refusal(() => log.append(0, makeRecords({ position: 0, hash: '' }, 1)));
      await log.append(3, makeRecords(log.head(), 2));
      cancel();
      cancel();
      await log.append(5, makeRecords(log.head(), 1));
      expect(seen).toEqual([3, 5]);
    });

    it('raises the fence with every lease', async () => {
      const first = log.lease('one');
      await log.append(0, makeRecords(log.head(), 1));
      const second = log.lease('two');
      expect(first.holder).toBe('one');
      expect(second.fence).toBeGreaterThan(first.fence);
      await log.append(1, makeRecords(log.head(), 1));
      log.close();
      log = adapter.open(place.folder);
      expect(log.lease('three').fence).toBeGreaterThan(second.fence);
    });

    it('refuses an append once another holder has taken the lease', async () => {
      log.lease('one');
      const records = makeRecords(log.head(), 2);
      await log.append(0, records);
      adapter.takeOver(log, place.folder, 'two');
      expect(await refusal(() => log.append(2, makeRecords(log.head(), 1)))).toBe('conflict');
      expect(log.read(0, 100)).toEqual(records);
      expect(bare(log.head())).toEqual(headOf(records));
    });

    it('has everything again after it was closed', async () => {
      const records = makeRecords(log.head(), 30);
      await log.append(0, records);
      log.close();
      log = adapter.open(place.folder);
      expect(bare(log.head())).toEqual(headOf(records));
      expect(log.read(0, 100)).toEqual(records);
      await log.append(30, makeRecords(log.head(), 1));
      expect(log.head().position).toBe(31);
    });

    it('writes snapshots that open and are equal, and never over a file', async () => {
      const records = makeRecords(log.head(), 30);
      await log.append(0, records);
      const path = join(place.folder, 'snapshots', 'one');
      log.snapshot(path);
      await log.append(30, makeRecords(log.head(), 5));
      expect(await refusal(() => log.snapshot(path))).toBe('conflict');
      const copy = adapter.openSnapshot(path);
      expect(bare(copy.head())).toEqual(headOf(records));
      expect(copy.read(0, 100)).toEqual(records);
      copy.close();
      expect(log.head().position).toBe(35);
    });
  });
}
