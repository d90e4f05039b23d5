import type { Worker } from 'node:worker_threads';
import { systemClock } from '../kernel/clock.ts';
import type { Scope } from '../kernel/scope.ts';
import { CoreClient } from '../log/core.ts';
import type { Database } from '../log/database.ts';
import { Feed } from '../log/feed.ts';
import { openReader } from '../log/open.ts';
import { runtimes } from '../runtimes/catalog.ts';
import type { CoreData } from './core.ts';
import type { placesIn } from './places.ts';
import { sealedBy, type SealedData } from './sealed.ts';
import { Settler } from './settle.ts';

/** The core thread, and the main thread's view of what it commits. */
export interface Engine {
  readonly core: CoreClient;
  readonly reader: Database;
  readonly feed: Feed;
}

/** What each runtime can do, as plain data. */
export const capabilities = [...runtimes.values()].map(
  (runtime) => [runtime.name, { ...runtime.capabilities }] as const,
);

/** Has the core thread open the log of a home folder; refuses with the log's own words when it cannot be opened. */
export async function startEngine(
  places: ReturnType<typeof placesIn>,
  scope: Scope,
  thread: Worker,
  sealed: SealedData | null,
): Promise<Engine> {
  const slow = Number(process.env['MAOS_SLOW_DISK_MS'] ?? 0);
  const data: CoreData = {
    database: places.database,
    transcripts: places.transcripts,
    capabilities: capabilities.map(([name, can]) => [name, can]),
    slowDiskMs: Number.isFinite(slow) ? slow : 0,
    sealed,
  };
  const feeds: Feed[] = [];
  const settler = new Settler(systemClock);
  scope.defer(() => settler.stop());
  thread.postMessage(data);
  const { client } = await CoreClient.connect(thread, (head) => {
    settler.touch();
    feeds[0]?.advance(head);
  });
  scope.defer(() => client.close());
  const reader = openReader(places.database, sealedBy(sealed));
  scope.defer(() => reader.close());
  const feed = new Feed(reader);
  feeds.push(feed);
  return { core: client, reader, feed };
}

/** Milliseconds since the epoch, as every part of the server sees them. */
export const now = (): number => systemClock.now();
