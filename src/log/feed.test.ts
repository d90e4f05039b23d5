import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../kernel/event.ts';
import type { Database } from './database.ts';
import { Feed } from './feed.ts';
import { openReader } from './open.ts';
import { addItem, call, openSample, type Sample, temporaryFolder } from './sample.fixture.ts';

let place: ReturnType<typeof temporaryFolder>;
let sample: Sample;
let reader: Database;
let feed: Feed;
beforeEach(() => {
  place = temporaryFolder();
  sample = openSample(place.folder);
  reader = openReader(sample.path);
  feed = new Feed(reader);
});
afterEach(() => {
  reader.close();
  sample.log.close();
  place.remove();
});

/** Commits records in one transaction, and tells the feed unless it is to learn of them later. */
function add(count: number, title = 'a'): void {
  sample.pipeline.submit(Array.from({ length: count }, () => call(addItem, { title })));
  feed.advance(sample.log.head().position);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Follows until it has so many records, going away between them as often as `pause` says. */
async function take(after: number, count: number, pause = async (): Promise<void> => {}): Promise<number[]> {
  const controller = new AbortController();
  const positions: number[] = [];
  if (count === 0) return positions;
  for await (const record of feed.follow({ after, signal: controller.signal })) {
    positions.push(record.position);
    if (positions.length === count) controller.abort();
    await pause();
  }
  return positions;
}

/** Pseudo-random numbers from 0 up to `limit`, the same ones for the same seed. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe('a follower', () => {
  it('gets what is stored and then what comes, once and in order', async () => {
    add(1_200);
    const following = take(0, 1_500);
    await setImmediate();
    add(1);
    await setImmediate();
    add(299);
    expect(await following).toEqual(range(1, 1_500));
  });

  it('gets only what comes after its cursor', async () => {
    add(10);
    const following = take(10, 3);
    await setImmediate();
    add(3);
    expect(await following).toEqual([11, 12, 13]);
    expect(await take(7, 6)).toEqual(range(8, 13));
  });

  it('gets every record once, whenever it comes and however slow it is, among many others', async () => {
    const random = numbers(7);
    const followers: Promise<{ after: number; positions: number[] }>[] = [];
    const total = 3_000;
    while (sample.log.head().position < total) {
      add(Math.min(1 + random(120), total - sample.log.head().position));
      for (let more = random(4); more > 0 && followers.length < 40; more -= 1) {
        const after = random(sample.log.head().position + 1);
        const speed = 1 + random(40);
        let steps = 0;
        const pause = async (): Promise<void> => {
          steps += 1;
          if (steps % speed === 0) await setImmediate();
        };
        followers.push(take(after, total - after, pause).then((positions) => ({ after, positions })));
      }
      await setImmediate();
    }
    for (const { after, positions } of await Promise.all(followers)) expect(positions).toEqual(range(after + 1, total));
    expect(followers.length).toBe(40);
    expect(feed.waiting).toBe(0);
  });

  it('is given the records with their data', async () => {
    add(1, 'the title');
    const [record]: LogRecord[] = feed.read(0);
    expect(record).toMatchObject({
      position: 1,
      type: 'item.added',
      data: { title: 'the title' },
      actor: 'user:alice',
    });
    expect(feed.read(0)[0]).toBe(record);
  });

  it('reads the file for a cursor before what is kept in memory', async () => {
    for (let index = 0; index < 12; index += 1) {
      add(500);
      feed.read(feed.head - 1);
    }
    expect(feed.read(0, 3).map((record) => record.position)).toEqual([1, 2, 3]);
    expect(feed.read(5_998).map((record) => record.position)).toEqual([5_999, 6_000]);
    expect(await take(0, 6_000)).toEqual(range(1, 6_000));
  });

  it('keeps little in memory when the records are large', () => {
    for (let index = 0; index < 30; index += 1) {
      add(1, 'x'.repeat(1024 * 1024));
      feed.read(feed.head - 1);
    }
    // A record that is kept is the same object again; one that is not is read anew.
    const kept = range(0, 29).filter((after) => feed.read(after, 1)[0] === feed.read(after, 1)[0]);
    expect(kept.length).toBeGreaterThan(1);
    expect(kept.length).toBeLessThanOrEqual(8);
    expect(kept.at(-1)).toBe(29);
  });

  it('does not see records before the feed was told of them', () => {
    sample.one(addItem, { title: 'a' });
    expect(feed.read(0)).toEqual([]);
    feed.advance(1);
    expect(feed.read(0)).toHaveLength(1);
  });

  it('lets the event loop go on while it catches up', async () => {
    add(5_000);
    let turns = 0;
    let done = false;
    const following = take(0, 5_000).finally(() => (done = true));
    while (!done) {
      await setImmediate();
      turns += 1;
    }
    await following;
    expect(turns).toBeGreaterThanOrEqual(9);
  });

  it('is refused with a cursor that this log has not reached', async () => {
    add(3);
    await expect(take(4, 1)).rejects.toMatchObject({ code: 'conflict', details: { head: 3 } });
    // Committed, but the feed has not been told yet: not an error.
    sample.one(addItem, { title: 'a' });
    const following = take(4, 1);
    feed.advance(4);
    await setImmediate();
    add(1);
    expect(await following).toEqual([5]);
  });
});

describe('aborting', () => {
  it('ends a waiting follower and forgets it', async () => {
    const controller = new AbortController();
    const followers = range(1, 50).map(async () => {
      for await (const record of feed.follow({ after: 0, signal: controller.signal }))
        throw new Error(`got ${record.position}`);
    });
    await setImmediate();
    expect(feed.waiting).toBe(50);
    controller.abort();
    expect(feed.waiting).toBe(0);
    await Promise.all(followers);
  });

  it('ends a follower between two records', async () => {
    add(10);
    const controller = new AbortController();
    const seen: number[] = [];
    for await (const record of feed.follow({ after: 0, signal: controller.signal })) {
      seen.push(record.position);
      if (record.position === 4) controller.abort();
    }
    expect(seen).toEqual([1, 2, 3, 4]);
    for await (const record of feed.follow({ after: 0, signal: controller.signal })) seen.push(record.position);
    expect(seen).toHaveLength(4);
  });

  it('leaves no listener on a signal that lives on', async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add0 = signal.addEventListener.bind(signal);
    const remove0 = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add0>) => {
      listeners += 1;
      add0(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove0>) => {
      listeners -= 1;
      remove0(...args);
    };
    const seen: number[] = [];
    const following = (async () => {
      for await (const record of feed.follow({ after: 0, signal })) seen.push(record.position);
    })();
    for (let index = 0; index < 20; index += 1) {
      add(1);
      await setImmediate();
    }
    expect(seen).toEqual(range(1, 20));
    expect(listeners).toBe(1);
    controller.abort();
    await following;
    expect(listeners).toBe(0);
  });
});
