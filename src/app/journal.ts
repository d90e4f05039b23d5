import { appendFileSync, existsSync, renameSync, statSync } from 'node:fs';
import type { LogRecord } from '../kernel/event.ts';

/** The server's log file is set aside at this size; one older file is kept. */
const fileLimit = 5 * 1024 * 1024;

/** Where the server writes what went wrong, one JSON object a line, and what it is failing at now. */
export class Journal {
  readonly #path: string;
  readonly #now: () => number;
  readonly #failing = new Map<string, string>();

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  write(level: 'info' | 'error', message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (existsSync(this.#path) && statSync(this.#path).size > fileLimit) renameSync(this.#path, `${this.#path}.1`);
    const line = { at: new Date(this.#now()).toISOString(), level, message, ...fields };
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  }

  failure(place: string, error: unknown): void {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    this.write('error', message, { place, stack });
  }

  /** A reactor that cannot do its work is tried again; until it can, the status names it. */
  reactorFailed(reactor: string, record: LogRecord, error: unknown, tries: number): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#failing.set(
      `${reactor} ${record.stream}`,
      `${reactor} at ${record.type} of ${record.stream}: ${message} (try ${tries})`,
    );
    this.failure(`${reactor} ${record.type} ${record.stream}`, error);
  }

  reactorDone(reactor: string, stream: string): void {
    this.#failing.delete(`${reactor} ${stream}`);
  }

  failing(): string[] {
    return [...this.#failing.values()];
  }
}
