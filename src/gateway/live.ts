/**
 * Follows the log for clients that are far away and may be slow.
 *
 * L1  A follower pulls: while its client does not take what was sent, nothing more is read for it, so it never holds
 *     more than one page of the feed and what the socket buffers.
 * L2  Its position is that of the last record looked at, also when the filter left that record out.
 * L3  Every follower ends when its client goes and when the server closes.
 * L4  A follower is shown what its caller may see, and nothing that was committed after its credential had ended.
 */
import type { ServerResponse } from 'node:http';
import { type Caller, covers } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Door } from './door.ts';
import { drained } from './drained.ts';
import { matcher, type RecordFilter } from './filter.ts';
import { formatHeartbeat, formatRecord } from './sse.ts';

/** All that follow the log on this server. */
export class Followers {
  readonly #open = new Set<AbortController>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#open.size;
  }

  /** A place for one more follower: abort it when its client goes, `done` when it has ended. */
  enter(): AbortController {
    if (this.#open.size < this.#limit) {
      const stop = new AbortController();
      this.#open.add(stop);
      stop.signal.addEventListener('abort', () => this.#open.delete(stop), { once: true });
      return stop;
    }
    throw new AppError('exhausted', `${this.#limit} clients follow the log already.`, {
      fix: 'Close one of them, or read with a query instead.',
    });
  }

  close(): void {
    for (const stop of this.#open) stop.abort();
  }
}

/** Following the log shows all that its filter names, so it takes a scope of its own. */
export function mayFollow({ scopes }: Caller): void {
  if (covers(scopes, 'event:read')) return;
  throw new AppError('forbidden', 'This credential does not give the scope event:read.', {
    fix: 'Use one whose role or scopes include it.',
  });
}

export interface FollowPlan {
  readonly caller: Caller;
  readonly after: number;
  readonly filter: RecordFilter;
  readonly signal: AbortSignal;
  /** Takes a record; a promise when the follower has to wait before the next one. */
  readonly take: (record: LogRecord) => Promise<void> | undefined;
  /** Told of every record looked at. */
  readonly seen?: (position: number) => void;
}

/** Hands every matching record to `take`, in order, until the signal is aborted. */
export async function followLog(door: Pick<Door, 'feed' | 'guard' | 'sees'>, plan: FollowPlan): Promise<void> {
  const { after, filter, signal, take, seen } = plan;
  const matches = matcher(filter);
  let { caller } = plan;
  for await (const record of door.feed.follow({ after, signal })) {
    if (door.guard.concerns(record)) caller = door.guard.renew(caller);
    const wait = matches(record) && door.sees(caller, record) ? take(record) : undefined;
    seen?.(record.position);
    if (wait !== undefined) await wait;
  }
}

/** Answers with server-sent events. Resolves when the stream has ended. */
export async function streamEvents(
  door: Door,
  response: ServerResponse,
  start: { caller: Caller; after: number; filter: RecordFilter },
  stop: AbortController,
): Promise<void> {
  const { clock, limits } = door;
  const { signal } = stop;
  let position = start.after;
  response.once('close', () => stop.abort());
  if (response.destroyed) stop.abort();
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
    'x-accel-buffering': 'no',
  });
  response.write(formatHeartbeat(position));
  // A client that takes nothing for this long is cut off; it can resume. Heartbeats keep the others alive.
  response.socket?.setTimeout(limits.stalledMs);
  let beat = (): void => undefined;
  const schedule = (): void => {
    beat = clock.after(limits.heartbeatMs, () => {
      if (!lives(door, start.caller)) return stop.abort();
      if (!response.writableNeedDrain) response.write(formatHeartbeat(position));
      schedule();
    });
  };
  schedule();
  const take = (record: LogRecord): Promise<void> | undefined =>
    response.write(formatRecord(record)) ? undefined : drained(response, signal);
  const seen = (at: number): void => {
    position = at;
  };
  try {
    await followLog(door, { ...start, signal, take, seen });
  } catch (error) {
    // Its answer has begun: that the credential has ended is told by the end of the stream, and by the next request.
    if (!(error instanceof AppError)) throw error;
  } finally {
    beat();
    stop.abort();
    response.end();
  }
}

/** Whether a credential is still good. */
export function lives({ guard }: Pick<Door, 'guard'>, caller: Caller): boolean {
  try {
    guard.renew(caller);
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
