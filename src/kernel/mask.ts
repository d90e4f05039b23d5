/**
 * Hides values in texts and bytes. It is a net for accidents, not a wall: a program that wants to show a value can always write
 * it in a way that nobody looks for.
 */

/** What is shown instead. */
const stars = '***';
/** Shorter values are not looked for: they would be found everywhere, and showing where tells them. */
const shortestMasked = 6;

/** Hides what it was made for. */
export interface Mask {
  text(text: string): string;
  /** All texts inside a value of plain data, its keys left as they are. */
  data<Data>(data: Data): Data;
  /**
   * Bytes `start` to `end` of a buffer that reaches `reach` bytes further on both sides, where there are any: a value that lies
   * across an edge is hidden in both pieces, and shown as `***` in the one in which it begins.
   */
  bytes(buffer: Buffer, start: number, end: number): Buffer;
  /** How many bytes at the end of a buffer may be the beginning of a value whose rest is not there yet. */
  begun(buffer: Buffer): number;
  /** The length of the longest value in bytes. */
  readonly reach: number;
}

/** Hides nothing. */
export const noMask: Mask = {
  text: (text) => text,
  data: (data) => data,
  bytes: (buffer, start, end) => buffer.subarray(start, end),
  begun: () => 0,
  reach: 0,
};

/** Values that nobody has to know to find them: what they look like. ASCII alone. */
interface Shape {
  readonly pattern: RegExp;
  /** The beginning of one at the end of a text. */
  readonly begun: RegExp;
  readonly longest: number;
}

/** The tokens that MAOS gives out, and the keys that its agents sign with. */
const tokens: Shape = {
  pattern: /maos[aclkr]?_[A-Za-z0-9_-]{43}/g,
  begun: /(?:m|ma|mao|maos[aclkr]?|maos[aclkr]?_[A-Za-z0-9_-]{0,42})$/,
  longest: 49,
};

/** Hides these values, each line of those that have several, and what JSON, URLs and base64 make of them. */
export function maskFor(values: readonly string[]): Mask {
  return masking(values, []);
}

/** As `maskFor`, and what opens MAOS itself to a session. */
export function sessionMask(values: readonly string[]): Mask {
  return masking(values, [tokens]);
}

function masking(values: readonly string[], shapes: readonly Shape[]): Mask {
  const needles = [...new Set(values.flatMap(waysToWrite))].toSorted((a, b) => b.length - a.length);
  if (needles.length + shapes.length === 0) return noMask;
  const patterns = shapes.map((shape) => shape.pattern);
  if (needles.length > 0) patterns.unshift(new RegExp(needles.map((needle) => RegExp.escape(needle)).join('|'), 'g'));
  const bytes = needles.map((needle) => Buffer.from(needle, 'utf8'));
  const text = (given: string): string => patterns.reduce((shown, pattern) => shown.replaceAll(pattern, stars), given);
  return {
    text,
    data: (data) => maskData(data, text),
    bytes: (buffer, start, end) => maskBytes(buffer, start, end, spans(buffer, bytes, shapes)),
    begun: (buffer) =>
      Math.max(
        ...bytes.map((needle) => begunBy(buffer, needle)),
        ...shapes.map(
          ({ begun, longest }) => begun.exec(buffer.subarray(-longest).toString('latin1'))?.[0].length ?? 0,
        ),
      ),
    reach: Math.max(...bytes.map((needle) => needle.length), ...shapes.map(({ longest }) => longest)),
  };
}

function waysToWrite(value: string): string[] {
  const lines = value.includes('\n') ? value.split(/\r?\n/) : [];
  return [value, value.trim(), ...lines.map((line) => line.trim())]
    .filter((text) => text.length >= shortestMasked)
    .flatMap((text) => {
      const raw = Buffer.from(text, 'utf8');
      const base64 = raw.toString('base64');
      return [
        text,
        JSON.stringify(text).slice(1, -1),
        // What a lone surrogate in a value would make this throw for cannot be in an environment.
        text.isWellFormed() ? encodeURIComponent(text) : text,
        base64,
        base64.replace(/=+$/, ''),
        raw.toString('base64url'),
      ];
    });
}

function maskData<Data>(data: Data, text: (given: string) => string): Data {
  const visit = (value: unknown): unknown => {
    if (typeof value === 'string') return text(value);
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner)]));
  };
  // It has the shape of what came in: only texts were exchanged for texts.
  // oxlint-disable-next-line typescript/consistent-type-assertions
  return visit(data) as Data;
}

function maskBytes(buffer: Buffer, start: number, end: number, found: readonly [number, number][]): Buffer {
  if (found.length === 0) return buffer.subarray(start, end);
  const pieces: Buffer[] = [];
  let at = start;
  for (const [from, to] of found) {
    if (to <= at || from >= end) continue;
    if (from > at) pieces.push(buffer.subarray(at, from));
    if (from >= start) pieces.push(Buffer.from(stars));
    at = Math.min(end, to);
  }
  pieces.push(buffer.subarray(at, end));
  return Buffer.concat(pieces);
}

function begunBy(buffer: Buffer, needle: Buffer): number {
  for (let length = Math.min(needle.length - 1, buffer.length); length > 0; length -= 1)
    if (buffer.subarray(buffer.length - length).equals(needle.subarray(0, length))) return length;
  return 0;
}

/** Where values stand, in order; those that overlap are one. */
function spans(buffer: Buffer, needles: readonly Buffer[], shapes: readonly Shape[]): [number, number][] {
  const all: [number, number][] = [];
  for (const needle of needles)
    for (let at = buffer.indexOf(needle); at !== -1; at = buffer.indexOf(needle, at + needle.length))
      all.push([at, at + needle.length]);
  if (shapes.length > 0) {
    const letters = buffer.toString('latin1');
    for (const { pattern } of shapes)
      for (const found of letters.matchAll(pattern)) all.push([found.index, found.index + found[0].length]);
  }
  const merged: [number, number][] = [];
  for (const [from, to] of all.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from < last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}
