import type { Sink } from './sink.ts';
import { expandBraces, hasGlob, type Range, shelter, unknownText, unshelter, type Word } from './word.ts';

/** Where reading stands in a text. */
export interface Cursor {
  readonly text: string;
  at: number;
}

/** Reads commands: those from the cursor on up to the bracket that closes, or those of another text. */
export interface Commands {
  upToBracket(cursor: Cursor, via: string): Range;
  of(text: string, via: string): Range;
}

const name = /[A-Za-z_]\w*|[0-9@*#?$!-]/y;
const simple = /\$\{([A-Za-z_]\w*)\}/y;
const ends = new Set(' \t\n;&|<>()');
const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  v: '\v',
};

/** A word while it is read. */
interface Draft {
  raw: string;
  known: boolean;
  bare: boolean;
  readonly sources: Range[];
}

/** Reads words: quotes, escapes and expansions. */
export class WordReader {
  readonly #cursor: Cursor;
  readonly #sink: Sink;
  readonly #commands: Commands;
  /** Names that are given a meaning somewhere in the text. */
  readonly #changed = new Map<string, boolean>();

  constructor(cursor: Cursor, sink: Sink, commands: Commands) {
    this.#cursor = cursor;
    this.#sink = sink;
    this.#commands = commands;
  }

  /** The word that begins at the cursor; several when braces stand for several; null: there is none. */
  read(): Word[] | null {
    const draft: Draft = { raw: '', known: true, bare: true, sources: [] };
    const start = this.#cursor.at;
    const { text } = this.#cursor;
    while (this.#cursor.at < text.length) {
      const character = text.charAt(this.#cursor.at);
      if ((character === '<' || character === '>') && text.charAt(this.#cursor.at + 1) === '(') {
        this.#cursor.at += 2;
        this.#unknown(draft, [this.#commands.upToBracket(this.#cursor, `${character}(…)`)]);
      } else if (ends.has(character)) break;
      else this.#part(draft, character);
    }
    return this.#cursor.at === start ? null : this.#finish(draft);
  }

  /** The text of a here-document, in which only expansions mean something. */
  expanded(): Word {
    const draft: Draft = { raw: '', known: true, bare: false, sources: [] };
    while (this.#cursor.at < this.#cursor.text.length) this.#inDouble(draft);
    return { text: unshelter(draft.raw), known: draft.known, glob: false, bare: false, sources: draft.sources };
  }

  /** Looks for commands in a stretch of text that is neither words nor commands: an arithmetic expression. */
  sweep(end: number): Range[] {
    const draft: Draft = { raw: '', known: true, bare: true, sources: [] };
    while (this.#cursor.at < end) {
      const character = this.#cursor.text.charAt(this.#cursor.at);
      if (character === '$' || character === '`') this.#part(draft, character);
      else this.#cursor.at += 1;
    }
    return draft.sources;
  }

  #finish(draft: Draft): Word[] {
    const { bare, sources } = draft;
    const texts = expandBraces(draft.raw);
    if (texts === null) {
      return [{ text: unknownText, known: false, glob: false, bare, sources }];
    }
    return texts.map((raw) => {
      const { text, known } = this.#tilde(raw);
      return { text: unshelter(text), known: known && draft.known, glob: hasGlob(raw), bare, sources };
    });
  }

  #tilde(raw: string): { text: string; known: boolean } {
    if (!raw.startsWith('~')) return { text: raw, known: true };
    const { home } = this.#sink.around;
    const own = raw === '~' || raw.startsWith('~/');
    if (own && home !== null && !this.#isChanged('HOME')) return { text: `${home}${raw.slice(1)}`, known: true };
    return { text: raw, known: false };
  }

  #part(draft: Draft, character: string): void {
    const { text } = this.#cursor;
    if (character === '\\') {
      const next = text.charAt(this.#cursor.at + 1);
      this.#cursor.at += 2;
      if (next === '\n') return;
      draft.raw += shelter(next);
      draft.bare = false;
    } else if (character === "'") {
      draft.raw += this.#single();
      draft.bare = false;
    } else if (character === '"') {
      draft.bare = false;
      this.#double(draft);
    } else if (character === '$') this.#expansion(draft, false);
    else if (character === '`') this.#backticks(draft);
    else {
      draft.raw += character;
      this.#cursor.at += 1;
    }
  }

  #single(): string {
    const { text, at } = this.#cursor;
    const end = text.indexOf("'", at + 1);
    if (end === -1) this.#sink.problems.add('a quote is not closed');
    const inside = text.slice(at + 1, end === -1 ? text.length : end);
    this.#cursor.at = end === -1 ? text.length : end + 1;
    return shelterAll(inside);
  }

  #double(draft: Draft): void {
    this.#cursor.at += 1;
    while (this.#cursor.at < this.#cursor.text.length) {
      if (this.#cursor.text.charAt(this.#cursor.at) === '"') {
        this.#cursor.at += 1;
        return;
      }
      this.#inDouble(draft);
    }
    this.#sink.problems.add('a quote is not closed');
  }

  /** One step inside double quotes. */
  #inDouble(draft: Draft): void {
    const { text, at } = this.#cursor;
    const character = text.charAt(at);
    if (character === '$') return this.#expansion(draft, true);
    if (character === '`') return this.#backticks(draft);
    if (character !== '\\') {
      draft.raw += shelter(character);
      this.#cursor.at += 1;
      return;
    }
    const next = text.charAt(at + 1);
    this.#cursor.at += 2;
    if (next === '\n') return;
    draft.raw += '$`"\\'.includes(next) && next !== '' ? next : `\\${shelter(next)}`;
  }

  #unknown(draft: Draft, sources: readonly Range[], text = unknownText): void {
    draft.raw += text;
    draft.known = false;
    draft.bare = false;
    draft.sources.push(...sources);
  }

  #backticks(draft: Draft): void {
    const { text, at } = this.#cursor;
    let end = at + 1;
    while (end < text.length && text.charAt(end) !== '`') end += text.charAt(end) === '\\' ? 2 : 1;
    if (end >= text.length) this.#sink.problems.add('a backtick is not closed');
    const inside = text.slice(at + 1, end).replaceAll(/\\([\\`$])/g, '$1');
    this.#cursor.at = Math.min(text.length, end + 1);
    this.#unknown(draft, [this.#commands.of(inside, '`…`')]);
  }

  #expansion(draft: Draft, quoted: boolean): void {
    const { text, at } = this.#cursor;
    const next = text.charAt(at + 1);
    if (next === '(') return this.#parentheses(draft);
    if (next === '{') return this.#braces(draft, quoted);
    if (next === "'" && !quoted) {
      this.#cursor.at += 2;
      draft.raw += shelterAll(this.#ansi());
      draft.bare = false;
      return;
    }
    if (next === '"' && !quoted) {
      this.#cursor.at += 1;
      draft.bare = false;
      return this.#double(draft);
    }
    name.lastIndex = at + 1;
    const found = name.exec(text)?.[0];
    this.#cursor.at += 1 + (found?.length ?? 0);
    if (found === undefined) draft.raw += '$';
    else this.#variable(draft, found, quoted);
  }

  /** Whether the text names a variable without a dollar sign, as whatever sets it does. */
  #isChanged(variable: string): boolean {
    const known = this.#changed.get(variable);
    if (known !== undefined) return known;
    const changed = new RegExp(`(?<![$\\w{])${variable}\\b`).test(this.#cursor.text);
    this.#changed.set(variable, changed);
    return changed;
  }

  #variable(draft: Draft, name: string, quoted: boolean): void {
    const { home, variables = {} } = this.#sink.around;
    const value =
      name === 'HOME' ? home : name === 'PWD' ? '.' : Object.hasOwn(variables, name) ? variables[name] : null;
    // Without quotes, a value falls apart at its blanks, and its wildcards count.
    const whole = value !== null && value !== undefined && (quoted || /^[^\s*?[\]]+$/.test(value));
    if (!whole || this.#isChanged(name)) return this.#unknown(draft, [], `$${name}`);
    draft.raw += shelterAll(value);
    draft.bare = false;
  }

  /** `$(…)` or `$((…))`. */
  #parentheses(draft: Draft): void {
    const { text, at } = this.#cursor;
    const end = text.charAt(at + 2) === '(' ? this.#sink.arithmeticEnd(text, at + 3) : null;
    if (end !== null) {
      this.#cursor.at = at + 3;
      const sources = this.#nested(() => this.sweep(end));
      this.#cursor.at = end + 2;
      return this.#unknown(draft, sources);
    }
    this.#cursor.at += 2;
    this.#unknown(draft, [this.#commands.upToBracket(this.#cursor, '$(…)')]);
  }

  /** Expansions inside expansions recurse, so their depth is bounded like that of commands. */
  #nested(read: () => Range[]): Range[] {
    if (!this.#sink.enter(0)) {
      this.#cursor.at = this.#cursor.text.length;
      return [];
    }
    const found = read();
    this.#sink.leave();
    return found;
  }

  /** `${…}`: what it stands for is unknown, what it runs is not. */
  #braces(draft: Draft, quoted: boolean): void {
    simple.lastIndex = this.#cursor.at;
    const named = simple.exec(this.#cursor.text)?.[1];
    if (named !== undefined) {
      this.#cursor.at += named.length + 3;
      return this.#variable(draft, named, quoted);
    }
    this.#cursor.at += 2;
    const inner: Draft = { raw: '', known: true, bare: true, sources: [] };
    this.#unknown(
      draft,
      this.#nested(() => {
        for (;;) {
          const character = this.#cursor.text.charAt(this.#cursor.at);
          if (character === '') {
            this.#sink.problems.add('"${" is not closed');
            return inner.sources;
          }
          if (character === '}') break;
          // Between double quotes a single one is a character like any other.
          if (quoted && character === "'") this.#cursor.at += 1;
          else if (quoted && character === '$') this.#expansion(inner, true);
          else this.#part(inner, character);
        }
        this.#cursor.at += 1;
        return inner.sources;
      }),
    );
  }

  /** `$'…'`, from after its quote on. */
  #ansi(): string {
    const { text } = this.#cursor;
    let found = '';
    for (;;) {
      const character = text.charAt(this.#cursor.at);
      this.#cursor.at += 1;
      if (character === "'") return found;
      if (character === '') {
        this.#sink.problems.add('a quote is not closed');
        return found;
      }
      found += character === '\\' ? this.#escape() : character;
    }
  }

  #escape(): string {
    const code = /x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)/y;
    code.lastIndex = this.#cursor.at;
    const match = code.exec(this.#cursor.text);
    if (match === null) {
      const letter = this.#cursor.text.charAt(this.#cursor.at);
      if (letter === "'") this.#sink.problems.add("not every shell ends $'…' at the same quote");
      this.#cursor.at += 1;
      return escapes[letter] ?? letter;
    }
    this.#cursor.at += match[0].length;
    const [, hex, short, long, octal, control] = match;
    if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) & 31);
    const point = octal === undefined ? Number.parseInt(hex ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8);
    return point <= 0x10ffff ? String.fromCodePoint(point) : '';
  }
}

function shelterAll(text: string): string {
  return /[{},*?[\]~]/.test(text) ? Array.from(text).map(shelter).join('') : text;
}
