import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import type { LogRecord } from '../kernel/event.ts';
import { Scope } from '../kernel/scope.ts';
import type { Database } from './database.ts';
import { Feed } from './feed.ts';
import { openReader } from './open.ts';
import { chain } from './record.ts';
import { type ReactorHost, reactorPosition, ReactorRunner } from './reactors.ts';
import { temporaryFolder } from './sample.fixture.ts';
import { SqliteLog } from './sqlite.ts';

let place: ReturnType<typeof temporaryFolder>;
let log: SqliteLog;
let reader: Database;
let feed: Feed;
let clock: ManualClock;
let scope: Scope;
let failures: string[];
beforeEach(() => {
  place = temporaryFolder();
  log = new SqliteLog(`${place.folder}/maos.db`);
  reader = openReader(`${place.folder}/maos.db`);
  feed = new Feed(reader);
  clock = new ManualClock();
  scope = new Scope();
  failures = [];
});
afterEach(async () => {
  await scope.close();
  reader.close();
  log.close();
  place.remove();
});

/** Appends `stream:type` events. */
function emit(...events: string[]): void {
  for (const item of events) {
    const [stream = '', type = ''] = item.split(':');
    const draft = {
      at: clock.now(),
      actor: 'user:alice',
      stream,
      type,
      version: 1,
      data: '{}',
      cause: 'call_1',
      trace: 'call_1',
    };
    log.append(log.head().position, [chain(log.head(), draft)]);
  }
  feed.advance(log.head().position);
}

const host = (): ReactorHost => ({
  feed,
  clock,
  position: (name) => reactorPosition(reader, name),
  savePosition: (name, position) => log.savePositions(new Map([[name, position]])),
  onFailure: (_name, record, error, tries) => failures.push(`${record.position} try ${tries}: ${String(error)}`),
});

function start(react: (record: LogRecord) => Promise<void>, types = ['x']): void {
  new ReactorRunner(host(), { name: 'tester', types, react }).start(scope);
}

/** Lets everything happen that can happen without time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}

/** As a crash: what runs is never heard of again, nothing is saved. */
function crash(): void {
  scope = new Scope();
}

/** Reacts only when the test says so. */
function gate(): {
  seen: number[];
  react: (record: LogRecord) => Promise<void>;
  open: (position: number) => Promise<void>;
} {
  const seen: number[] = [];
  const gates = new Map<number, () => void>();
  return {
    seen,
    react: (record) => {
      seen.push(record.position);
      return new Promise((resolve) => gates.set(record.position, resolve));
    },
    open: (position) => {
      gates.get(position)?.();
      return settle();
    },
  };
}

describe('R1: at least once', () => {
  it('sees the records of its types, stored and coming', async () => {
    emit('a:x', 'a:y', 'b:x');
    const seen: number[] = [];
    start(async (record) => void seen.push(record.position));
    await settle();
    emit('a:y', 'c:x');
    await settle();
    expect(seen).toEqual([1, 3, 5]);
  });

  it('goes on after its stored position when the server starts again', async () => {
    emit('a:x', 'b:x');
    const seen: number[] = [];
    start(async (record) => void seen.push(record.position));
    await settle();
    await scope.close();
    expect(reactorPosition(reader, 'tester')).toBe(2);
    emit('c:x');
    scope = new Scope();
    start(async (record) => void seen.push(record.position));
    await settle();
    expect(seen).toEqual([1, 2, 3]);
  });

  it('sees a record again when a crash came between the effect and the position', async () => {
    emit('a:x', 'b:x');
    const seen: number[] = [];
    start(async (record) => void seen.push(record.position));
    await settle();
    expect(seen).toEqual([1, 2]);
    crash();
    start(async (record) => void seen.push(record.position));
    await settle();
    expect(seen).toEqual([1, 2, 1, 2]);
  });

  it('sees a record again that was in hand when the server stopped', async () => {
    emit('a:x', 'b:x');
    const { seen, react } = gate();
    start(async (record) => (record.position === 1 ? undefined : react(record)));
    await settle();
    await scope.close();
    expect(reactorPosition(reader, 'tester')).toBe(1);
    scope = new Scope();
    start(async (record) => void seen.push(record.position));
    await settle();
    expect(seen).toEqual([2, 2]);
  });
});

describe('R2: order', () => {
  it('handles one stream in order, and streams side by side', async () => {
    emit('a:x', 'a:x', 'b:x', 'a:x', 'c:x');
    const { seen, react, open } = gate();
    start(react);
    await settle();
    expect(seen).toEqual([1, 3, 5]);
    await open(5);
    expect(seen).toEqual([1, 3, 5]);
    await open(1);
    expect(seen).toEqual([1, 3, 5, 2]);
    await open(2);
    expect(seen).toEqual([1, 3, 5, 2, 4]);
  });
});

describe('R3: the stored position', () => {
  it('is before every record that is in hand, and is written once a second', async () => {
    emit('a:x', 'b:x', 'c:x', 'c:y');
    const { react, open } = gate();
    start(react);
    await settle();
    clock.advance(1_000);
    expect(reactorPosition(reader, 'tester')).toBe(0);
    await open(2);
    clock.advance(1_000);
    expect(reactorPosition(reader, 'tester')).toBe(0);
    await open(1);
    expect(reactorPosition(reader, 'tester')).toBe(0);
    clock.advance(1_000);
    expect(reactorPosition(reader, 'tester')).toBe(2);
    await open(3);
    clock.advance(999);
    expect(reactorPosition(reader, 'tester')).toBe(2);
    clock.advance(1);
    expect(reactorPosition(reader, 'tester')).toBe(4);
  });

  it('moves on over records of other types, and is not written when nothing moved', async () => {
    let saves = 0;
    const counting = { ...host(), savePosition: () => (saves += 1) };
    new ReactorRunner(counting, { name: 'tester', types: ['x'], react: async () => {} }).start(scope);
    emit('a:y', 'a:y');
    await settle();
    clock.advance(10_000);
    expect(saves).toBe(1);
    clock.advance(100_000);
    expect(saves).toBe(1);
  });
});

describe('R4: failures', () => {
  it('tries again, later and later, while other streams go on', async () => {
    emit('a:x', 'a:x', 'b:x');
    const seen: number[] = [];
    let broken = true;
    start(async (record) => {
      seen.push(record.position);
      if (record.position === 1 && broken) throw new Error('no network');
    });
    await settle();
    expect(seen).toEqual([1, 3]);
    const waits: number[] = [];
    for (let tries = 1; tries < 12; tries += 1) {
      const before = seen.length;
      let waited = 0;
      while (seen.length === before) {
        clock.advance(100);
        waited += 100;
        await setImmediate();
      }
      waits.push(waited);
    }
    expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]);
    expect(failures.slice(0, 2)).toEqual(['1 try 1: Error: no network', '1 try 2: Error: no network']);
    expect(reactorPosition(reader, 'tester')).toBe(0);
    broken = false;
    clock.advance(30_000);
    await settle();
    expect(seen.slice(-2)).toEqual([1, 2]);
    clock.advance(1_000);
    expect(reactorPosition(reader, 'tester')).toBe(3);
  });

  it('stops waiting when the scope closes', async () => {
    emit('a:x');
    start(() => Promise.reject(new Error('never')));
    await settle();
    await scope.close();
    clock.advance(100_000);
    await settle();
    expect(failures).toHaveLength(1);
  });
});

describe('R5: backlog', () => {
  it('holds a thousand records at most, and goes on as they are handled', async () => {
    log.database.transaction(() => emit(...Array.from({ length: 1_300 }, (_, index) => `s${index}:x`)));
    const { seen, react, open } = gate();
    start(react);
    await settle();
    await settle();
    expect(seen).toHaveLength(1_000);
    await open(500);
    expect(seen).toHaveLength(1_001);
    clock.advance(1_000);
    expect(reactorPosition(reader, 'tester')).toBe(0);
  });
});
