/**
 * The WebSocket door: follows and calls over one connection, as JSON frames.
 *
 * S1  A frame from outside is parsed by a schema before anything else looks at it.
 * S2  What is buffered for a client is bounded: followers wait, and no further frame is read while it does not drain.
 * S3  When the connection ends, its follows end and its calls get an aborted signal.
 * S4  A connection whose credential has ended does nothing more and is closed at once, and what it has called is aborted.
 */
import type { WebSocket } from 'ws';
import * as z from 'zod';
import type { Caller } from '../kernel/caller.ts';
import type { Cancel } from '../kernel/clock.ts';
import { AppError, conflict, type ErrorData } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Door } from './door.ts';
import { eventsQuery, recordFilter, startOf } from './filter.ts';
import { parseJson } from './json.ts';
import { followLog, lives, mayFollow, type Followers } from './live.ts';
import { problem } from './problem.ts';
import { refuseInput } from './refuse.ts';

const id = z.string().min(1).max(100).describe('Chosen by the client; stands in every frame that belongs to this one.');
const plain = z.string().regex(/^[\x21-\x7e]{1,200}$/);

/** What a client may send. */
export const clientFrame = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('follow'), id, after: eventsQuery.shape.after, filter: recordFilter.default({}) }),
  z.strictObject({ type: z.literal('unfollow'), id }),
  z.strictObject({
    type: z.literal('call'),
    id,
    operation: z.string().max(200),
    input: z.unknown().optional(),
    key: plain.optional(),
    trace: plain.optional(),
  }),
]);
type ClientFrame = z.infer<typeof clientFrame>;

/** What the server sends. */
type ServerFrame =
  | { readonly type: 'following'; readonly id: string; readonly after: number }
  | { readonly type: 'record'; readonly id: string; readonly record: LogRecord }
  | { readonly type: 'unfollowed'; readonly id: string }
  | { readonly type: 'result'; readonly id: string; readonly output: unknown; readonly position: number }
  | { readonly type: 'error'; readonly id: string | null; readonly error: ErrorData };

/** More than this waiting for a client, and the server waits for the client. */
const highWater = 64 * 1024;
/** The connection breaks a rule of this server (RFC 6455): its credential has ended. */
const policyViolation = 1008;

export class LiveSocket {
  readonly #socket: WebSocket;
  readonly #door: Door;
  readonly #followers: Followers;
  #caller: Caller;
  readonly #follows = new Map<string, AbortController>();
  readonly #gone = new AbortController();
  #calls = 0;
  #alive = true;
  #ping: Cancel = () => undefined;
  #release: Cancel = () => undefined;

  constructor(socket: WebSocket, door: Door, followers: Followers, caller: Caller) {
    this.#socket = socket;
    this.#door = door;
    this.#followers = followers;
    this.#caller = caller;
    socket.on('message', (data, binary) => this.#receive(data, binary));
    socket.on('pong', () => (this.#alive = true));
    socket.on('close', () => this.#end());
    // ws closes the connection after it has reported an error; there is nothing left to do.
    socket.on('error', () => undefined);
    this.#heartbeat();
    this.#hold();
  }

  /** A caller who may do something else by now goes on as that. */
  #hold(): void {
    this.#release = this.#door.lease(this.#caller)(() => {
      if (!lives(this.#door, this.#caller)) return this.#expel();
      this.#caller = this.#door.guard.renew(this.#caller);
      this.#hold();
    });
  }

  #heartbeat(): void {
    this.#ping = this.#door.clock.after(this.#door.limits.heartbeatMs, () => {
      if (!this.#alive) return this.#socket.terminate();
      this.#alive = false;
      this.#socket.ping();
      this.#heartbeat();
    });
  }

  #end(): void {
    this.#ping();
    this.#release();
    this.#gone.abort();
    for (const stop of this.#follows.values()) stop.abort();
  }

  #expel(): void {
    this.#gone.abort();
    this.#socket.close(policyViolation, 'The credential has ended.');
  }

  #receive(data: unknown, binary: boolean): void {
    try {
      const text = Buffer.isBuffer(data) && !binary ? data.toString() : '';
      const frame = clientFrame.safeParse(parseJson(text, 'The frame'));
      if (!frame.success) throw refuseInput('live', frame.error, clientFrame);
      this.#obey(frame.data);
    } catch (error) {
      this.#refuse(null, error, 'live');
    }
  }

  #obey(frame: ClientFrame): void {
    switch (frame.type) {
      case 'follow':
        void this.#follow(frame);
        break;
      case 'unfollow':
        this.#follows.get(frame.id)?.abort();
        break;
      case 'call':
        void this.#call(frame);
        break;
    }
  }

  async #follow({ id, after, filter }: Extract<ClientFrame, { type: 'follow' }>): Promise<void> {
    try {
      const caller = (this.#caller = this.#door.guard.renew(this.#caller));
      mayFollow(caller);
      const { subscriptionsPerSocket: most } = this.#door.limits;
      if (this.#follows.has(id))
        throw conflict(`This connection follows as "${id}" already.`, { fix: 'Choose another id, or unfollow first.' });
      if (this.#follows.size >= most)
        throw new AppError('exhausted', `This connection follows ${most} times already.`, { fix: 'Unfollow first.' });
      const start = startOf(after, this.#door.feed.head);
      const stop = this.#followers.enter();
      this.#follows.set(id, stop);
      void this.#send({ type: 'following', id, after: start });
      const take = (record: LogRecord): Promise<void> | undefined =>
        this.#send({ type: 'record', id, record }, stop.signal);
      try {
        await followLog(this.#door, { caller, after: start, filter, signal: stop.signal, take });
      } finally {
        this.#follows.delete(id);
        stop.abort();
      }
      void this.#send({ type: 'unfollowed', id });
    } catch (error) {
      this.#refuse(id, error, 'live.follow');
    }
  }

  async #call({ id, operation, input, key, trace }: Extract<ClientFrame, { type: 'call' }>): Promise<void> {
    this.#calls += 1;
    try {
      const { callsPerSocket: most } = this.#door.limits;
      if (this.#calls > most)
        throw new AppError('exhausted', `${most} calls of this connection are on their way.`, {
          fix: 'Wait for an answer first.',
        });
      const caller = (this.#caller = this.#door.guard.renew(this.#caller));
      const output = await this.#door.registry.call(operation, input, {
        caller,
        signal: this.#gone.signal,
        ...(key === undefined ? {} : { key }),
        ...(trace === undefined ? {} : { trace }),
      });
      void this.#send({ type: 'result', id, output: output ?? null, position: this.#door.feed.head });
    } catch (error) {
      this.#refuse(id, error, operation);
    } finally {
      this.#calls -= 1;
    }
  }

  #refuse(id: string | null, error: unknown, operation: string): void {
    if (!(error instanceof AppError)) this.#door.onFailure(error, { operation, trace: undefined });
    void this.#send({ type: 'error', id, error: problem(error).error });
    if (error instanceof AppError && error.code === 'unauthenticated' && !lives(this.#door, this.#caller))
      this.#expel();
  }

  /** A promise when the client has to take something first; reading from it stops meanwhile. */
  #send(frame: ServerFrame, signal = this.#gone.signal): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return undefined;
    if (socket.bufferedAmount < highWater) {
      socket.send(JSON.stringify(frame));
      return undefined;
    }
    if (!socket.isPaused) socket.pause();
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      socket.send(JSON.stringify(frame), () => {
        if (socket.bufferedAmount < highWater) socket.resume();
        done();
      });
    });
  }
}
