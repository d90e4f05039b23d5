import type { Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import { SseReader } from './sse.ts';
import type { Transport } from './transport.ts';
import { parsed, queryOf, refusal } from './wire.ts';

export interface FollowOptions {
  /** The last position that the caller has; 0 for everything. Without it: what comes from now on. */
  readonly after?: number;
  readonly filter?: { readonly streams?: readonly string[]; readonly types?: readonly string[] };
  readonly signal?: AbortSignal;
}

/** Without anything from the server for three heartbeats, the connection is taken for dead. */
const silenceMs = 45_000;
const longestWaitMs = 5_000;

interface Server {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly authorization: Readonly<Record<string, string>>;
}

/** Follows the log of a server from a cursor, over every cut of the connection. */
export async function* followLog(server: Server, options: FollowOptions): AsyncGenerator<LogRecord, void> {
  const { signal } = options;
  const cursor = { position: options.after };
  const ended = (): boolean => signal?.aborted === true;
  // Timers of the clock let a process end; one that follows must not end while it waits to connect again.
  // oxlint-disable-next-line no-restricted-globals
  const alive = setInterval(() => undefined, 2 ** 30);
  // Also when nobody asks for the next record any more.
  signal?.addEventListener('abort', () => clearInterval(alive), { once: true });
  try {
    for (let failures = 0; !ended(); failures += 1) {
      try {
        for await (const record of readStream(server, options, cursor)) {
          failures = 0;
          yield record;
        }
      } catch (error) {
        if (ended()) return;
        if (isFinal(error)) throw error;
      }
      await pause(server.clock, Math.min(longestWaitMs, 50 * 2 ** failures), signal);
    }
  } finally {
    clearInterval(alive);
  }
}

/** One connection, until it is cut. Moves the cursor as records are taken. */
async function* readStream(
  server: Server,
  { filter = {}, signal }: FollowOptions,
  cursor: { position: number | undefined },
): AsyncGenerator<LogRecord, void> {
  const { transport, clock, authorization } = server;
  const stop = new AbortController();
  const end = (): void => stop.abort();
  signal?.addEventListener('abort', end, { once: true });
  let silence = clock.after(silenceMs, end);
  try {
    const headers = {
      ...authorization,
      ...(cursor.position === undefined ? {} : { 'last-event-id': String(cursor.position) }),
    };
    const path = `/api/v1/events${queryOf(new Map(Object.entries(filter)))}`;
    const response = await transport.send({ method: 'GET', path, headers, signal: stop.signal });
    if (response.status !== 200) throw refusal(parsed(await response.text()), response.status);
    const reader = new SseReader();
    for await (const chunk of response.chunks()) {
      silence();
      silence = clock.after(silenceMs, end);
      for (const { id, data } of reader.push(chunk)) {
        if (id !== undefined) cursor.position = Number(id);
        if (data !== undefined) yield recordOf(data);
        if (stop.signal.aborted) return;
      }
    }
  } finally {
    silence();
    signal?.removeEventListener('abort', end);
    end();
  }
}

function recordOf(data: string): LogRecord {
  const record: LogRecord = JSON.parse(data);
  return record;
}

/** A refusal stays the same when it is asked again; being unreachable or full may pass. */
function isFinal(error: unknown): boolean {
  return error instanceof AppError && error.code !== 'unavailable' && error.code !== 'exhausted';
}

function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
