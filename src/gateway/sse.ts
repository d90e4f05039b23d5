import type { LogRecord } from '../kernel/event.ts';

/** A record as a server-sent event. It has no event name, so that a browser's `onmessage` gets every one. */
export function formatRecord(record: LogRecord): string {
  return `id: ${record.position}\ndata: ${JSON.stringify(record)}\n\n`;
}

/** Keeps the connection, and moves the client's cursor over records that its filter left out. */
export function formatHeartbeat(position: number): string {
  return `: heartbeat\nid: ${position}\n\n`;
}

/** One event that has arrived; `data` is undefined for a heartbeat. */
export interface SseEvent {
  readonly id: string | undefined;
  readonly data: string | undefined;
}

/** Takes server-sent events out of text that comes in pieces. */
export class SseReader {
  #rest = '';

  /** The events that this piece completes. */
  push(text: string): SseEvent[] {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.map((block) => {
      const lines = block.split('\n');
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      return { id: field('id'), data: field('data') };
    });
  }
}
