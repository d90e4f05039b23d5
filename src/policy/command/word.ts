/** One word of a command, as the program would get it. */
export interface Word {
  /** What only a running shell would know stands in it as `$NAME` or `${…}`. */
  readonly text: string;
  /** Nothing in it depends on a running shell. */
  readonly known: boolean;
  /** It holds `*`, `?` or `[` that a shell replaces by the names of files. */
  readonly glob: boolean;
  /** It was written without quotes and escapes: only then is `if` a keyword. */
  readonly bare: boolean;
  /** The commands whose output is part of it (`$(curl …)`, `<(curl …)`): which of all that were read, from and to. */
  readonly sources: readonly Range[];
  /** It stands for files below the folder that it names. */
  readonly below?: true;
}

/** A stretch of the list of commands; `to` is the first that is no longer in it. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export const unknownText = '${?}';

/** A word of which nothing is known. */
export const unknownWord: Word = { text: unknownText, known: false, glob: false, bare: false, sources: [] };

export function plainWord(text: string): Word {
  return { text, known: true, glob: false, bare: true, sources: [] };
}

/** Words as one text, as `eval` and `ssh` put them together. */
export function joined(words: readonly Word[]): Word {
  return {
    text: words.map(({ text }) => text).join(' '),
    known: words.every(({ known, below }) => known && below !== true),
    glob: false,
    bare: false,
    sources: [],
  };
}

/** Nothing that is known is left in it: all of it is put together when it runs. */
export function whollyUnknown({ text, known }: Word): boolean {
  return !known && /^(?:\s|\$\{\?\}|\$\w+|\$[@*#?$!-])*$/.test(text);
}

/**
 * While a word is read, a quoted or escaped character that would mean something to the shell is kept at this distance, in the
 * private use area, so that what follows can tell it from an unquoted one.
 */
const away = 0xe000;
const special = new Set('{},*?[]~');

export function shelter(character: string): string {
  return special.has(character) ? String.fromCharCode(away + character.charCodeAt(0)) : character;
}

const sheltered = /[\ue000-\ue07f]/g;

export function unshelter(text: string): string {
  return text.replaceAll(sheltered, (character) => {
    const back = String.fromCharCode(character.charCodeAt(0) - away);
    return special.has(back) ? back : character;
  });
}

export function hasGlob(raw: string): boolean {
  if (/[*?]/.test(raw)) return true;
  const open = raw.indexOf('[');
  return open !== -1 && raw.indexOf(']', open + 2) !== -1;
}

/** More alternatives than this, or braces nested deeper, are not written out. */
const mostAlternatives = 128;
const mostBraces = 16;

/** `a{b,c}` → `ab`, `ac`; null: too many to write out. */
export function expandBraces(raw: string): string[] | null {
  if (!raw.includes('{') || !/,|\.\./.test(raw)) return [raw];
  if (raw.split('{', mostBraces + 2).length > mostBraces + 1) return null;
  const budget = { left: mostAlternatives };
  const texts = alternatives(raw, budget);
  return budget.left < 0 ? null : texts;
}

function alternatives(raw: string, budget: { left: number }): string[] {
  let open = raw.indexOf('{');
  while (open !== -1) {
    // `${…}` is an expansion of which the shell has its own idea.
    const parts = raw.charAt(open - 1) === '$' ? null : splitGroup(raw, open);
    if (parts !== null) {
      const before = raw.slice(0, open);
      const tails = alternatives(raw.slice(parts.end), budget);
      const found: string[] = [];
      for (const part of parts.items.flatMap((item) => alternatives(item, budget))) {
        for (const tail of tails) {
          budget.left -= 1;
          if (budget.left < 0) return found;
          found.push(`${before}${part}${tail}`);
        }
      }
      return found;
    }
    open = raw.indexOf('{', open + 1);
  }
  return [raw];
}

/** The items of the group that opens here, or null when it is no group. */
function splitGroup(raw: string, open: number): { items: string[]; end: number } | null {
  const items: string[] = [];
  let depth = 0;
  let start = open + 1;
  for (let at = open; at < raw.length; at += 1) {
    const character = raw.charAt(at);
    if (character === '{') depth += 1;
    else if (character === ',' && depth === 1) {
      items.push(raw.slice(start, at));
      start = at + 1;
    } else if (character === '}') {
      depth -= 1;
      if (depth > 0) continue;
      items.push(raw.slice(start, at));
      if (items.length > 1) return { items, end: at + 1 };
      const range = sequence(items[0] ?? '');
      return range === null ? null : { items: range, end: at + 1 };
    }
  }
  return null;
}

function sequence(text: string): string[] | null {
  const numbers = /^(-?\d{1,6})\.\.(-?\d{1,6})$/.exec(text);
  const letters = /^([A-Za-z])\.\.([A-Za-z])$/.exec(text);
  const from = numbers === null ? (letters?.[1] ?? '').charCodeAt(0) : Number(numbers[1]);
  const to = numbers === null ? (letters?.[2] ?? '').charCodeAt(0) : Number(numbers[2]);
  if (Number.isNaN(from) || Number.isNaN(to)) return null;
  const count = Math.min(Math.abs(to - from) + 1, mostAlternatives + 1);
  const step = to < from ? -1 : 1;
  return Array.from({ length: count }, (_, index) =>
    numbers === null ? String.fromCharCode(from + step * index) : String(from + step * index),
  );
}
