/** The core thread: waits for its first message, opens the log, rebuilds what views need it, and carries out commands until it is told to close. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import * as z from 'zod';
import type { Capabilities } from '../agents/runtime.ts';
import { systemClock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import { refuseCore, serveCore } from '../log/core.ts';
import { Pipeline } from '../log/pipeline.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { Views } from '../log/views.ts';
import { allViews, pureHandlers } from './rooms.ts';
import { sealedBy } from './sealed.ts';
import { Settler } from './settle.ts';

const capabilities: z.ZodType<Capabilities> = z.strictObject({
  prompt: z.boolean(),
  steer: z.boolean(),
  interrupt: z.boolean(),
  resume: z.boolean(),
  usage: z.boolean(),
  structuredOutput: z.boolean(),
  conflicts: z.boolean(),
});

const dataSchema = z.strictObject({
  database: z.string(),
  transcripts: z.string(),
  capabilities: z.array(z.tuple([z.string(), capabilities])),
  /** Milliseconds that each commit is held up, to measure a slow disk. */
  slowDiskMs: z.number(),
  /** The keys of the payloads, when they are sealed, the current one last; and the name of the views' memory. */
  sealed: z
    .strictObject({
      views: z.string(),
      keys: z.array(
        z.strictObject({ id: z.string(), bytes: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
      ),
    })
    .nullable(),
});

/** What the core thread is told first. */
export type CoreData = z.input<typeof dataSchema>;

function slowDisk(ms: number): { beforeCommit?: () => void } {
  if (ms === 0) return {};
  const never = new Int32Array(new SharedArrayBuffer(4));
  return { beforeCommit: () => void Atomics.wait(never, 0, 0, ms) };
}

function open(port: MessagePort, data: unknown): void {
  try {
    const { database, slowDiskMs, sealed, ...rooms } = dataSchema.parse(data);
    const log = new SqliteLog(database, sealedBy(sealed));
    const views = new Views(allViews);
    const rebuilt = views.prepare(log.database);
    const now = (): number => systemClock.now();
    const pipeline = new Pipeline({ log, views, handlers: pureHandlers(rooms), now, newId, ...slowDisk(slowDiskMs) });
    serveCore(port, pipeline, log, rebuilt);
    const settler = new Settler(systemClock);
    port.on('message', () => settler.touch());
  } catch (error) {
    refuseCore(port, error);
  }
}

if (parentPort === null) throw new Error('The core runs in a thread of its own.');
const port = parentPort;
port.once('message', (data) => open(port, data));
