import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Mask } from '../kernel/mask.ts';
import type { Runtime, SessionEvent } from './runtime.ts';
import { toolLine } from './sight.ts';

/** A line may be longer than what was asked for; further than this it is cut. */
const longestLine = 16 * 1024 * 1024;
const newline = 0x0a;

/** A piece of a file, and whether it reaches to where the file ends now. */
export interface Piece {
  readonly bytes: Buffer;
  readonly atEnd: boolean;
}

/** Reads up to `limit` bytes from `after` on; nothing when there is no file. */
export function readPiece(path: string, after: number, limit: number): Piece {
  const fd = openFile(path);
  if (fd === undefined) return { bytes: Buffer.alloc(0), atEnd: true };
  try {
    const { size } = fstatSync(fd);
    const wanted = Math.max(0, Math.min(limit, size - after));
    const buffer = Buffer.alloc(wanted);
    const length = wanted === 0 ? 0 : readSync(fd, buffer, 0, wanted, after);
    return { bytes: buffer.subarray(0, length), atEnd: after + length >= size };
  } finally {
    closeSync(fd);
  }
}

function openFile(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** How many bytes at the end are the beginning of a character whose rest is not there yet. */
function brokenTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/** Text up to the last whole character, so that the next read does not begin inside one. */
export function wholeCharacters(piece: Piece, final: boolean): { text: string; length: number } {
  const { bytes } = piece;
  const kept = bytes.length - (final ? 0 : brokenTail(bytes));
  // A limit smaller than a character must not make the reader stand still.
  const length = kept === 0 && !piece.atEnd ? bytes.length : kept;
  return { text: bytes.toString('utf8', 0, length), length };
}

/**
 * `length` bytes from `after` on as text, with what the mask hides. What lies around them is looked at too, because a value may lie
 * across an edge; an end that may become a value is left for the next read, unless nothing comes any more.
 */
export function readMasked(
  path: string,
  after: number,
  length: number,
  final: boolean,
  mask: Mask,
  read = readPiece,
): { text: string; length: number } {
  const from = Math.max(0, after - mask.reach);
  const window = read(path, from, after - from + length + mask.reach).bytes;
  const end = Math.min(window.length, after - from + length);
  const open = final || end < window.length ? 0 : mask.begun(window);
  const kept = Math.max(after - from, end - open);
  return { text: mask.bytes(window, after - from, kept).toString('utf8'), length: kept - (after - from) };
}

/** Whole lines from `after` on: at least one, if there is one, even if it is longer than `limit`. A last line without its newline counts once the output is final. */
export function readLines(path: string, after: number, limit: number, final: boolean, read = readPiece): Piece {
  for (let size = limit; ; size *= 2) {
    const piece = read(path, after, size);
    if (piece.atEnd && final) return piece;
    const end = piece.bytes.lastIndexOf(newline) + 1;
    if (end > 0) return { bytes: piece.bytes.subarray(0, end), atEnd: piece.atEnd && end === piece.bytes.length };
    if (size >= longestLine) return piece;
    if (piece.atEnd) return { bytes: Buffer.alloc(0), atEnd: piece.bytes.length === 0 };
  }
}

/** What one event looks like in a transcript; undefined when it shows nothing. */
function eventLine(event: SessionEvent): string | undefined {
  switch (event.kind) {
    case 'output':
      return event.text;
    case 'tool':
      return `▸ ${toolLine(event)}`;
    case 'waiting':
      return `… waits for ${event.for}`;
    case 'rate_limited':
      return `… rate limited${event.until === null ? '' : ` until ${new Date(event.until).toISOString()}`}`;
    case 'turn_ended':
      return `${event.failed ? '✗' : '✓'} ${event.result}`;
    case 'started':
    case 'usage':
      return undefined;
  }
}

/** Output as its runtime tells it: one line or block for each thing that happened. */
export function render(runtime: Runtime, bytes: Buffer): string {
  const reader = runtime.reader();
  const whole = bytes.length > 0 && bytes.at(-1) !== newline ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes;
  const lines = reader
    .push(whole)
    .map(eventLine)
    .filter((line) => line !== undefined);
  return lines.map((line) => (line.endsWith('\n') ? line : `${line}\n`)).join('');
}
