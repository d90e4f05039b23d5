const newline = 0x0a;

/**
 * Cuts a byte stream into lines, the same lines however the bytes were cut into chunks. A line longer than `limit`
 * is given out in pieces of exactly `limit` bytes, so that a program without newlines cannot fill the memory.
 */
export class LineSplitter {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(limit = 8 * 1024 * 1024) {
    this.#limit = limit;
  }

  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    while (start < chunk.length) {
      // A full piece waits for the next byte: a newline there ends this line and begins no empty one.
      if (this.#length === this.#limit && chunk[start] !== newline) lines.push(this.#take());
      const found = chunk.indexOf(newline, start);
      const end = Math.min(found === -1 ? chunk.length : found, start + this.#limit - this.#length);
      this.#parts.push(chunk.subarray(start, end));
      this.#length += end - start;
      start = end;
      if (end === found) {
        lines.push(this.#take());
        start += 1;
      }
    }
    return lines;
  }

  /** What came after the last newline. */
  rest(): string {
    return Buffer.concat(this.#parts).toString('utf8');
  }

  #take(): string {
    const line = this.rest();
    this.#parts = [];
    this.#length = 0;
    return line;
  }
}

/** A line as JSON; undefined when it is none. */
export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
