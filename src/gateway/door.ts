import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Caller } from '../kernel/caller.ts';
import type { Cancel, Clock } from '../kernel/clock.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Registry } from './registry.ts';

/** Says who a request comes from, or refuses it. */
export interface DoorGuard {
  /** Refuses requests for another host or from another site's page. */
  admit(headers: IncomingHttpHeaders): void;
  /** `admit`, then the caller's token, which may count for some paths only. */
  authenticate(headers: IncomingHttpHeaders, path: string): Caller;
  /** What a caller may do by now; refuses one whose credential has ended since. For connections that stay open. */
  renew(caller: Caller): Caller;
  /** Whether a record may have changed what callers may do. */
  concerns(record: LogRecord): boolean;
}

/** Calls `ended` once the credential that a request came with no longer gives what it gave; until it is cancelled. */
export type Lease = (ended: () => void) => Cancel;

/** The log as a door sees it: where it ends, and its records from a cursor on. */
export interface LiveFeed {
  readonly head: number;
  follow(options: { readonly after: number; readonly signal: AbortSignal }): AsyncIterable<LogRecord>;
}

/** What a failure that is a defect, not a refusal, is reported with. */
export interface FailurePlace {
  readonly operation: string;
  readonly trace: string | undefined;
}

/** A route that is not an operation, for example a page of the dashboard. */
export interface ExtraRoute {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Asks for no credential, because it is how one gets one: its caller is always a stranger, counted at the door; it bounds the body by itself. */
  readonly open?: true;
  handle(request: IncomingMessage, response: ServerResponse, caller: Caller, lease: Lease): void | Promise<void>;
}

/** Bounds on what one caller can make the server hold. */
export interface Limits {
  readonly bodyBytes: number;
  /** Of operations that ask for no credential. */
  readonly openBodyBytes: number;
  readonly headerBytes: number;
  readonly headerCount: number;
  /** A request must be here completely after this time. */
  readonly requestMs: number;
  /** A response must make progress at least this often. */
  readonly stalledMs: number;
  readonly heartbeatMs: number;
  readonly connections: number;
  /** Of one address, that have shown no credential: beyond so many the oldest goes. */
  readonly strangers: number;
  /** Event streams and WebSocket subscriptions together. */
  readonly followers: number;
  readonly sockets: number;
  readonly subscriptionsPerSocket: number;
  readonly callsPerSocket: number;
}

export const defaultLimits: Limits = {
  bodyBytes: 1024 * 1024,
  openBodyBytes: 8 * 1024,
  headerBytes: 16 * 1024,
  headerCount: 100,
  requestMs: 30_000,
  stalledMs: 60_000,
  heartbeatMs: 15_000,
  connections: 1024,
  strangers: 64,
  followers: 256,
  sockets: 128,
  subscriptionsPerSocket: 16,
  callsPerSocket: 32,
};

/** What all doors of one server share. */
export interface Door {
  readonly registry: Pick<Registry, 'call' | 'operations'>;
  readonly feed: LiveFeed;
  readonly guard: DoorGuard;
  /** Whether a caller may see a record. */
  sees(caller: Caller, record: LogRecord): boolean;
  /** What a caller has left of its calls, as headers. */
  rates(caller: Caller): Readonly<Record<string, string>>;
  /** For what stays open: tells when the caller's credential has ended. */
  lease(caller: Caller): Lease;
  /** Told of the connection of every authenticated request. */
  admitted(socket: Socket): void;
  /** Counts a request without a credential, or refuses it. */
  knock(stranger: Caller): void;
  readonly clock: Clock;
  readonly version: string;
  readonly limits: Limits;
  readonly extraRoutes: readonly ExtraRoute[];
  /** What a 401 says: how one gets a token for this path. */
  challenge(request: IncomingMessage): string;
  onFailure(error: unknown, place: FailurePlace): void;
}
