import type { Cancel } from '../kernel/clock.ts';

/** A record as it is stored: `data` is JSON text, because the hash is taken over the text. */
export interface StoredRecord {
  readonly position: number;
  readonly at: number;
  readonly actor: string;
  readonly stream: string;
  readonly type: string;
  readonly version: number;
  readonly data: string;
  readonly cause: string;
  readonly trace: string;
  readonly previous: string;
  readonly hash: string;
}

/** The last record's position and hash; position 0 and an empty hash on an empty log. */
export interface Head {
  readonly position: number;
  readonly hash: string;
}

/** Who may append. The fence rises with every new holder: an append under an old fence is refused. */
export interface Lease {
  readonly holder: string;
  readonly fence: number;
}

/**
 * Where the records are kept. Everything else (views, commands, doors) is the same for every adapter.
 * An adapter passes `log/conformance.fixture.ts`.
 */
export interface Log {
  head(): Head;
  /**
   * Appends records after `expected`. Refuses (`conflict`) and appends nothing when the head is elsewhere, when the records
   * do not follow it and each other, or when another holder has taken the lease since. Outside a transaction they are as
   * durable as the adapter's engine makes them when it returns (or its promise resolves); inside one, after its commit.
   */
  append(expected: number, records: readonly StoredRecord[]): void | Promise<void>;
  /** Up to `limit` records after `position`, in order. */
  read(position: number, limit: number): StoredRecord[];
  /** Calls `listener` with the new head after each commit. */
  watch(listener: (head: Head) => void): Cancel;
  /** Takes the right to append: from now on whoever held it before is refused. */
  lease(holder: string): Lease;
  /** Writes a consistent copy of the log and its views to a new file; refuses (`conflict`) a file that exists. */
  snapshot(path: string): void;
  close(): void;
}
