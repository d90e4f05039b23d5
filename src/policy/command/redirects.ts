import type { Redirect, Sink } from './sink.ts';
import { unknownText, type Word } from './word.ts';
import { type Commands, type Cursor, WordReader } from './words.ts';

const blank = /(?:[ \t]|\\\n)+/y;
const redirection = /(?:\d+|\{\w+\})?(<<<|<<-|<<|<&|<>|>>|>&|>\||<(?!\()|>(?!\())|&>>|&>/y;

/** Reads redirections, and the here-documents whose text comes in the next lines. */
export class RedirectReader {
  readonly #cursor: Cursor;
  readonly #sink: Sink;
  readonly #words: WordReader;
  readonly #commands: Commands;
  #documents: { redirect: Redirect; end: string; tabs: boolean; quoted: boolean }[] = [];

  constructor(cursor: Cursor, sink: Sink, words: WordReader, commands: Commands) {
    this.#cursor = cursor;
    this.#sink = sink;
    this.#words = words;
    this.#commands = commands;
  }

  /** Here-documents were announced, and their text has not come yet. */
  get waiting(): boolean {
    return this.#documents.length > 0;
  }

  /** `2>file`, `<<END`, `&>file`, … ; null: none begins here. */
  read(): Redirect | null {
    if (!/[<>&{\d]/.test(this.#cursor.text.charAt(this.#cursor.at))) return null;
    redirection.lastIndex = this.#cursor.at;
    const match = redirection.exec(this.#cursor.text);
    if (match === null) return null;
    this.#cursor.at += match[0].length;
    blank.lastIndex = this.#cursor.at;
    this.#cursor.at += blank.exec(this.#cursor.text)?.[0].length ?? 0;
    const kind = match[1] ?? '>';
    const begin = this.#cursor.at;
    const [target] = this.#words.read() ?? [];
    if (target === undefined) return null;
    if (kind === '<<' || kind === '<<-') return this.#document(target, kind === '<<-', begin);
    if (kind === '<<<') return { access: 'read', target, text: target };
    // A number or a dash after `>&` is a file that is open already; what would be read from it nobody knows.
    if ((kind === '>&' || kind === '<&') && /^(?:\d+-?|-)$/.test(target.text)) {
      const read = kind === '<&' && !target.text.endsWith('-');
      return { access: 'read', target, text: { ...target, text: read ? unknownText : '', known: !read } };
    }
    return { access: kind.startsWith('<') && kind !== '<>' ? 'read' : 'write', target, text: null };
  }

  #document(target: Word, tabs: boolean, begin: number): Redirect {
    const redirect: Redirect = { access: 'read', target, text: { ...target, text: '' } };
    const quoted = /["'\\]/.test(this.#cursor.text.slice(begin, this.#cursor.at));
    this.#documents.push({ redirect, end: target.text, tabs, quoted });
    return redirect;
  }

  /** Reads the texts that wait, from the beginning of a line on. */
  documents(): void {
    const waiting = this.#documents;
    this.#documents = [];
    for (const { redirect, end, tabs, quoted } of waiting) {
      const lines: string[] = [];
      for (;;) {
        if (this.#cursor.at >= this.#cursor.text.length) {
          this.#sink.problems.add('a here-document is not closed');
          break;
        }
        const next = this.#cursor.text.indexOf('\n', this.#cursor.at);
        const stop = next === -1 ? this.#cursor.text.length : next;
        const line = this.#cursor.text.slice(this.#cursor.at, stop);
        this.#cursor.at = Math.min(this.#cursor.text.length, stop + 1);
        const bare = tabs ? line.replace(/^\t+/, '') : line;
        if (bare === end) break;
        lines.push(bare);
      }
      redirect.text = this.#body(`${lines.join('\n')}\n`, quoted);
    }
  }

  #body(text: string, quoted: boolean): Word {
    if (quoted || !/[$`\\]/.test(text)) return { text, known: true, glob: false, bare: false, sources: [] };
    return new WordReader({ text, at: 0 }, this.#sink, this.#commands).expanded();
  }
}
