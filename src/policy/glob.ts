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
  const wild = all.filter((pattern) => /[*?]/.test(pattern)).map(wildGlob);
  const [only, second] = wild;
  if (only === undefined) return (small) => exact.has(small);
  if (second === undefined && exact.size === 0) return only;
  return (small) => exact.has(small) || wild.some((glob) => glob(small));
}

/** One pattern with wildcards; most have them only at their ends. */
function wildGlob(pattern: string): Glob {
  const [, before = '', plain, after = ''] = /^(\**)([^*?]*)(\**)$/.exec(pattern) ?? [];
  if (plain === undefined) {
    const start = pattern.slice(0, pattern.search(/[*?]/));
    return (small) => small.startsWith(start) && fits(pattern, small);
  }
  if (before === '') return (small) => small.startsWith(plain);
  return after === '' && plain !== '' ? (small) => small.endsWith(plain) : (small) => small.includes(plain);
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

/** A path, cut at its slashes. */
export interface PathText {
  /** In small letters. */
  readonly small: string;
  readonly segments: readonly string[];
  /** Its own wildcards stand for files that a shell would put there. */
  readonly glob: boolean;
  /** All that lies below it is meant as well. */
  readonly deep: boolean;
  /** It is read: then a last `*` alone stands for every file of its folder. */
  readonly read: boolean;
}

export function pathText(
  path: string,
  { glob, deep, access }: { glob: boolean; deep: boolean; access: string },
): PathText {
  const small = path.toLowerCase();
  return { small, segments: segmentsOf(small), glob, deep, read: access === 'read' };
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

export type PathGlob = (path: PathText) => boolean;

/** `**` any folders; a pattern that does not begin at the root begins anywhere, and `dir/**` is also `dir`. */
export function pathGlob(globs: readonly string[]): PathGlob {
  const patterns = globs.flatMap((glob) => expandBraces(glob) ?? [glob]).map(pathPattern);
  return (path) => patterns.some((one) => mayFit(one, path) && fitsPath(one.segments, path));
}

/** A part of a pattern, between two slashes. */
interface Segment {
  readonly text: string;
  readonly patterned: boolean;
}

interface PathPattern {
  readonly segments: readonly Segment[];
  readonly rooted: boolean;
  /** What stands before its first wildcard; when it begins anywhere, behind `**`. */
  readonly literal: string;
}

function pathPattern(pattern: string): PathPattern {
  const whole = (/^\/|^\$\{/.test(pattern) ? pattern : `**/${pattern}`).toLowerCase();
  const segments = segmentsOf(whole).map((text) => ({ text, patterned: /[*?]/.test(text) }));
  const rooted = segments[0]?.text !== '**';
  const named = rooted ? segments : segments.slice(1);
  const end = named.findIndex(({ patterned }) => patterned);
  const literals = named.slice(0, end === -1 ? named.length : end).map(({ text }) => text);
  // `dir/**` is also `dir`, so nothing is known of the slash behind it.
  return {
    segments,
    rooted,
    literal: literals.length === 0 ? '' : `${whole.startsWith('$') ? '' : '/'}${literals.join('/')}`,
  };
}

/** Settles most of them by one comparison. */
function mayFit({ rooted, literal }: PathPattern, { small, glob, deep }: PathText): boolean {
  if (glob || (deep && rooted && literal.startsWith(small))) return true;
  return rooted ? small.startsWith(literal) : small.includes(literal);
}

function fitsPath(pattern: readonly Segment[], { segments, glob, deep, read }: PathText): boolean {
  const rooted = pattern[0]?.text !== '**';
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
    } else if (
      wanted !== undefined &&
      fitsSegment(wanted, segments[at] ?? '', glob, !(rooted && read) && at === segments.length - 1)
    ) {
      at += 1;
      next += 1;
    } else if (star !== -1) {
      next = star + 1;
      from += 1;
      at = from;
    } else return false;
  }
  while (pattern[next]?.text === '**') next += 1;
  // Of a folder with all that is below, only what is wanted at one place is said to be in it: `id_rsa` may be anywhere.
  return next === pattern.length || (deep && rooted && star === -1);
}

/** With `glob`, whether the segment may stand for a name that is wanted. A last `*` alone is not taken to mean a file that may be anywhere. */
function fitsSegment({ text: wanted, patterned }: Segment, segment: string, glob: boolean, last: boolean): boolean {
  if (wanted === segment || wanted === '*') return true;
  if (!patterned && !glob) return false;
  if (patterned && fits(wanted, segment)) return true;
  if (!glob || !/[*?[]/.test(segment) || (last && /^[*?]+$/.test(segment))) return false;
  // A shell's `*` does not stand for a dot at the beginning.
  if (wanted.startsWith('.') && !segment.startsWith('.')) return false;
  // Two patterns meet unless what stands before their first wildcards differs.
  if (patterned) return meet(literalStart(wanted), literalStart(segment));
  return fits(segment.replaceAll(/\[[^\]]*\]?/g, '?'), wanted);
}

function literalStart(pattern: string): string {
  return pattern.slice(0, pattern.search(/[*?[]/));
}

function meet(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}
