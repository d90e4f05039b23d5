import { expandBraces } from './command/word.ts';

/**
 * Wildcards, matched without regular expressions: no pattern takes longer than its length times that of the text. Capital letters
 * are not told apart, because some file systems do not either.
 */
export type Glob = (text: string) => boolean;

/** `*` any letters, `?` one; for what is no path. */
export function textGlob(pattern: string): Glob {
  return anyGlob([pattern]);
}

/** One of several patterns. */
export function anyGlob(patterns: string | readonly string[]): Glob {
  const glob = smallGlob(patterns);
  return (text) => glob(text.toLowerCase());
}

/** The same, for texts that are in small letters already. */
export function smallGlob(patterns: string | readonly string[]): Glob {
  const all = (typeof patterns === 'string' ? [patterns] : patterns).map((pattern) => pattern.toLowerCase());
  const exact = new Set(all.filter((pattern) => !/[*?]/.test(pattern)));
  const wild = all.filter((pattern) => /[*?]/.test(pattern));
  if (wild.length === 0) return (small) => exact.has(small);
  const fitsOne = (small: string): boolean => wild.some((pattern) => begins(pattern, small) && fits(pattern, small));
  return exact.size === 0 ? fitsOne : (small) => exact.has(small) || fitsOne(small);
}

/** A first letter that differs settles most of them. */
function begins(pattern: string, text: string): boolean {
  const first = pattern.charCodeAt(0);
  return first === 42 || first === 63 || first === text.charCodeAt(0);
}

function fits(pattern: string, text: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let from = 0;
  while (at < text.length) {
    const wanted = pattern.charAt(next);
    if (wanted === '*') {
      star = next;
      from = at;
      next += 1;
    } else if (next < pattern.length && (wanted === '?' || wanted === text.charAt(at))) {
      at += 1;
      next += 1;
    } else if (star !== -1) {
      next = star + 1;
      from += 1;
      at = from;
    } else return false;
  }
  while (pattern.charAt(next) === '*') next += 1;
  return next === pattern.length;
}

/** A path, cut at its slashes; `glob`: its own wildcards stand for files that a shell would put there. */
export interface PathText {
  readonly segments: readonly string[];
  readonly glob: boolean;
}

export function pathText(path: string, glob: boolean): PathText {
  return {
    segments: path
      .toLowerCase()
      .split('/')
      .filter((segment) => segment !== ''),
    glob,
  };
}

export type PathGlob = (path: PathText) => boolean;

/** `**` any folders; a pattern that does not begin at the root begins anywhere, and `dir/**` is also `dir`. */
export function pathGlob(pattern: string): PathGlob {
  const patterns = (expandBraces(pattern) ?? [pattern]).map((one) => {
    const rooted = one.startsWith('/') || one.startsWith('${') ? one : `**/${one}`;
    return rooted
      .toLowerCase()
      .split('/')
      .filter((segment) => segment !== '')
      .map((text) => ({ text, patterned: /[*?]/.test(text) }));
  });
  return (path) => patterns.some((one) => fitsPath(one, path));
}

/** A part of a pattern, between two slashes. */
interface Segment {
  readonly text: string;
  readonly patterned: boolean;
}

function fitsPath(pattern: readonly Segment[], { segments, glob }: PathText): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let from = 0;
  while (at < segments.length) {
    const wanted = pattern[next];
    if (wanted?.text === '**') {
      star = next;
      from = at;
      next += 1;
    } else if (wanted !== undefined && fitsSegment(wanted, segments[at] ?? '', glob, at === segments.length - 1)) {
      at += 1;
      next += 1;
    } else if (star !== -1) {
      next = star + 1;
      from += 1;
      at = from;
    } else return false;
  }
  while (pattern[next]?.text === '**') next += 1;
  return next === pattern.length;
}

/** With `glob`, whether the segment may stand for a name that is wanted. A last `*` alone is not taken to mean one file. */
function fitsSegment({ text: wanted, patterned }: Segment, segment: string, glob: boolean, last: boolean): boolean {
  if (wanted === segment || wanted === '*') return true;
  if (!patterned && !glob) return false;
  if (patterned && fits(wanted, segment)) return true;
  if (!glob || !/[*?[]/.test(segment) || (last && /^[*?]+$/.test(segment))) return false;
  // Two patterns meet unless what stands before their first wildcards differs.
  if (patterned) return meet(literalStart(wanted), literalStart(segment));
  // A shell's `*` does not stand for a dot at the beginning.
  if (wanted.startsWith('.') && !segment.startsWith('.')) return false;
  return fits(segment.replaceAll(/\[[^\]]*\]?/g, '?'), wanted);
}

function literalStart(pattern: string): string {
  return pattern.slice(0, pattern.search(/[*?[]/));
}

function meet(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}
