import { both, type FolderList, Folders } from './folders.ts';
import { RedirectReader } from './redirects.ts';
import { type Feed, type Redirect, type Sink, unknownFeed } from './sink.ts';
import type { Range, Word } from './word.ts';
import { type Commands, type Cursor, WordReader } from './words.ts';

/** What is open: a bracket, a branch, a loop. */
interface Block {
  readonly kind: 'paren' | 'brace' | 'if' | 'loop' | 'case' | 'function';
  /** The first command in it. */
  readonly from: number;
  readonly folders: FolderList;
  /** What comes through a pipe into the whole. */
  feed: Feed | null;
  /** Of a function. */
  readonly name: string | null;
  /** Of `case`: a pattern comes next, not a command. */
  pattern: boolean;
}

const opening: Readonly<Record<string, Block['kind']>> = {
  if: 'if',
  while: 'loop',
  until: 'loop',
  '{': 'brace',
};
const closing: Readonly<Record<string, Block['kind']>> = { fi: 'if', done: 'loop', '}': 'brace', esac: 'case' };
const passing = new Set(['then', 'else', 'elif', 'do', '!']);
/** Operators of `[[ … ]]` that stand between two words. */
const comparing = /^(?:=|==|!=|=~|<|>|-eq|-ne|-lt|-le|-gt|-ge|-nt|-ot|-ef|\]\]|\]|&&|\|\|)$/;
const blank = /(?:[ \t]|\\\n)+/y;
const operator = /;;&|;;|;&|;|&&|\|\||\|&|\||&/y;
/** Blocks inside one another beyond these are not followed. */
const deepestBlock = 200;
const movers = new Set(['cd', 'pushd', 'popd', 'chdir']);

/**
 * Reads a shell's text as the list of commands that it may run, in the order of the text. It follows no branch and no
 * variable: whatever stands there may run. One pass, no backing up; what it recurses into is bounded by the sink.
 */
export class ScriptReader {
  readonly #cursor: Cursor;
  readonly #sink: Sink;
  readonly #words: WordReader;
  readonly #via: readonly string[];
  readonly #folders: Folders;
  readonly #blocks: Block[] = [];
  /** What comes through the pipe into the next command. */
  #feed: Feed | null = null;
  /** The commands of the last element of a pipeline. */
  #last: Range | null = null;
  #lastFeed: Feed | null = null;
  readonly #redirects: RedirectReader;
  /** What commands read that no pipe leads to: what surrounds the text, or what `exec <` opened. */
  #base: Feed | null;
  /** Functions are called from anywhere. */
  readonly #moves: boolean;
  /** `cd` may lead elsewhere than it says. */
  readonly #elsewhere: boolean;

  constructor(cursor: Cursor, sink: Sink, via: readonly string[], cwds: FolderList, base: Feed | null = null) {
    this.#cursor = cursor;
    this.#base = base;
    this.#feed = base;
    this.#sink = sink;
    this.#via = via;
    this.#folders = new Folders(cwds, sink.around.home);
    this.#elsewhere = cursor.text.includes('CDPATH');
    this.#moves = /\b(?:cd|pushd|popd|chdir)\b/.test(cursor.text);
    const nested = this.#nested();
    this.#words = new WordReader(cursor, sink, nested);
    this.#redirects = new RedirectReader(cursor, sink, this.#words, nested);
  }

  /** Reads up to the closing bracket, or to the end of the text. Returns which commands it found. */
  read(bracket: boolean): Range {
    const from = this.#sink.commands.length;
    while (this.#step(bracket));
    return { from, to: this.#sink.commands.length };
  }

  #nested(): Commands {
    const inside = (cursor: Cursor, via: string, bracket: boolean): Range => {
      const from = this.#sink.commands.length;
      if (!this.#sink.enter(bracket ? 0 : cursor.text.length)) {
        cursor.at = cursor.text.length;
        return { from, to: from };
      }
      // What is written into `>(…)` is what comes out of the command in which it stands.
      const base = via === '>(…)' ? unknownFeed(from, this.#feed) : null;
      const range = new ScriptReader(cursor, this.#sink, [...this.#via, via], this.#folders.now, base).read(bracket);
      this.#sink.leave();
      return range;
    };
    return {
      upToBracket: (cursor, via) => inside(cursor, via, true),
      of: (text, via) => inside({ text, at: 0 }, via, false),
    };
  }

  #peek(): string {
    return this.#cursor.text.charAt(this.#cursor.at);
  }

  #looksAt(text: string): boolean {
    return this.#cursor.text.startsWith(text, this.#cursor.at);
  }

  #blank(): void {
    const first = this.#peek();
    if (first === ' ' || first === '\t' || first === '\\') this.#skip(blank);
  }

  #step(bracket: boolean): boolean {
    this.#blank();
    const top = this.#blocks.at(-1);
    if (this.#sink.full || this.#blocks.length > deepestBlock) {
      this.#sink.problems.add(this.#sink.full ? 'it has too many commands' : 'it is nested too deeply');
      this.#cursor.at = this.#cursor.text.length;
      return false;
    }
    if (this.#cursor.at >= this.#cursor.text.length) {
      if (bracket) this.#sink.problems.add('a bracket is not closed');
      if (this.#redirects.waiting) this.#redirects.documents();
      return false;
    }
    const character = this.#peek();
    if (character === '\n') this.#newline();
    else if (character === '#') this.#comment();
    else if (top?.kind === 'case' && top.pattern) this.#pattern(top);
    else if (character === ')') return this.#close(bracket);
    else if (character === '(') this.#open();
    else if (';&|'.includes(character) && !this.#looksAt('&>')) this.#operator(top);
    else this.#command();
    return true;
  }

  #comment(): void {
    const end = this.#cursor.text.indexOf('\n', this.#cursor.at);
    this.#cursor.at = end === -1 ? this.#cursor.text.length : end;
  }

  #newline(): void {
    this.#cursor.at += 1;
    if (this.#redirects.waiting) this.#redirects.documents();
    // A pipe may go on in the next line.
    if (this.#feed === null) this.#separate();
  }

  #separate(): void {
    this.#folders.either();
    this.#feed = this.#blocks.at(-1)?.feed ?? this.#base;
    this.#last = null;
  }

  #operator(top: Block | undefined): void {
    operator.lastIndex = this.#cursor.at;
    const found = operator.exec(this.#cursor.text)?.[0] ?? ';';
    this.#cursor.at += found.length;
    if (found === '|' || found === '|&') {
      const range = this.#last ?? { from: this.#sink.commands.length, to: this.#sink.commands.length };
      this.#feed = { range, before: this.#lastFeed };
      this.#last = null;
      return;
    }
    if (found === '&&') {
      this.#feed = top?.feed ?? this.#base;
      this.#last = null;
      return;
    }
    this.#separate();
    if (top?.kind === 'case' && found.length > 1 && found.startsWith(';')) top.pattern = true;
  }

  #open(): void {
    if (this.#looksAt('((')) {
      const end = this.#sink.arithmeticEnd(this.#cursor.text, this.#cursor.at + 2);
      if (end !== null) {
        const inside = this.#cursor.text.slice(this.#cursor.at + 2, end);
        // `((a; b))` are two subshells to a shell without arithmetic.
        if (/[\w)]\s+(?:-[A-Za-z]|[/~.$"'A-Za-z])|[;|&]\s*[A-Za-z./]+\s/.test(inside))
          this.#sink.problems.add('two brackets may stand for arithmetic or for commands');
        this.#cursor.at += 2;
        this.#words.sweep(end);
        this.#cursor.at = end + 2;
        return;
      }
    }
    this.#cursor.at += 1;
    this.#push('paren');
  }

  #push(kind: Block['kind'], name: string | null = null): void {
    // A function reads what whoever calls it reads.
    const feed = kind === 'function' ? unknownFeed(this.#sink.commands.length, this.#feed) : this.#feed;
    if (kind === 'function') this.#feed = feed;
    if (name !== null) this.#sink.functions.add(name);
    this.#blocks.push({
      kind,
      from: this.#sink.commands.length,
      folders: this.#folders.now,
      feed,
      name,
      pattern: kind === 'case',
    });
  }

  /** Closes a block and what is still open inside it; false: none of this kind is open. */
  #pop(kind: Block['kind']): boolean {
    const index = this.#blocks.findLastIndex((block) => block.kind === kind);
    const [block] = index === -1 ? [] : this.#blocks.splice(index);
    if (block === undefined) return false;
    // What a subshell does to its folder ends with it.
    if (kind === 'paren') this.#folders.now = block.folders;
    const around = this.#blocks.at(-1);
    if (around?.kind === 'function') this.#blocks.pop();
    this.#trailing(block);
    return true;
  }

  /** Redirections of a whole block. */
  #trailing(block: Block): void {
    const redirects: Redirect[] = [];
    for (;;) {
      this.#blank();
      const found = this.#redirects.read();
      if (found === null) break;
      redirects.push(found);
    }
    this.#feed = block.feed;
    if (redirects.length > 0) {
      this.#emit([], [], redirects);
      if (redirects.some(({ access }) => access === 'read')) this.#sink.feed(block.from, block.feed);
    }
    this.#last = { from: block.from, to: this.#sink.commands.length };
    this.#lastFeed = block.feed;
    this.#feed = null;
  }

  #close(bracket: boolean): boolean {
    this.#cursor.at += 1;
    if (this.#pop('paren')) return true;
    if (bracket) {
      if (this.#redirects.waiting) this.#sink.problems.add('a here-document is not closed');
      return false;
    }
    this.#sink.problems.add('a bracket was never opened');
    return true;
  }

  /** A pattern of `case`, up to its bracket. */
  #pattern(block: Block): void {
    if (this.#peek() === '(') this.#cursor.at += 1;
    for (;;) {
      this.#blank();
      const character = this.#peek();
      if (character === ')' || character === '') {
        this.#cursor.at += 1;
        block.pattern = false;
        return;
      }
      const words = this.#words.read();
      if (words === null) this.#cursor.at += 1;
      else if (words[0]?.bare === true && words[0].text === 'esac') {
        this.#pop('case');
        return;
      }
    }
  }

  /** A command from its first word on, keywords included. */
  #command(): void {
    const words: Word[] = [];
    const assigns: string[] = [];
    const redirects: Redirect[] = [];
    const start = this.#cursor.at;
    for (;;) {
      this.#blank();
      const redirect = this.#redirects.read();
      if (redirect !== null) {
        redirects.push(redirect);
        continue;
      }
      if (words.length > 0 && this.#peek() === '(') {
        if (this.#function(words)) return;
        break;
      }
      if (this.#peek() === '#') break;
      const found = this.#words.read();
      if (found === null) break;
      const [word] = found;
      if (word === undefined) continue;
      if (words.length === 0 && redirects.length === 0 && assigns.length === 0 && word.bare && this.#keyword(word.text))
        return;
      if (words.length === 0 && /^[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=/.test(word.text)) {
        this.#assign(word, assigns, words);
      } else words.push(...found);
    }
    // Nothing may stand still, whatever the text is.
    if (this.#cursor.at === start) this.#cursor.at += 1;
    if (words.length > 0 || redirects.length > 0 || assigns.length > 0) this.#emit(words, assigns, redirects);
  }

  /** `NAME=value`; a list in brackets is read for what it runs. */
  #assign(word: Word, assigns: string[], words: readonly Word[]): void {
    assigns.push(word.text.slice(0, 10_000));
    if (!word.text.endsWith('=') || this.#peek() !== '(' || words.length > 0) return;
    this.#cursor.at += 1;
    for (;;) {
      this.#blank();
      const character = this.#peek();
      if (character === ')' || character === '') break;
      if (this.#words.read() === null) this.#cursor.at += 1;
    }
    this.#cursor.at += 1;
  }

  #emit(words: readonly Word[], assigns: readonly string[], redirects: readonly Redirect[]): void {
    const from = this.#sink.commands.length;
    const inside = this.#blocks.some(({ kind }) => kind === 'function');
    const cwds = inside && this.#moves ? both(this.#folders.now, [null]) : this.#folders.now;
    const feed = this.#feed;
    const [first, second] = words;
    const recursive = first !== undefined && this.#blocks.some((block) => block.name === first.text);
    this.#sink.add({ words, assigns, redirects, feed, cwds, via: this.#via, recursive });
    const name = first?.text === 'command' || first?.text === 'builtin' ? second?.text : first?.text;
    const repeated = this.#blocks.some(({ kind }) => kind === 'loop' || kind === 'function');
    if (name === 'popd' || this.#elsewhere) this.#folders.lose();
    else if (name !== undefined && movers.has(name))
      this.#folders.move(first?.text === name ? words : words.slice(1), repeated);
    else if (name === 'eval' && words.some(({ text, known }) => !known || /\b(?:cd|pushd|popd)\b/.test(text)))
      this.#folders.lose();
    this.#last = { from, to: this.#sink.commands.length };
    this.#lastFeed = feed;
    this.#feed = null;
    if (name === 'exec' && words.length === 1 && redirects.some(({ access }) => access === 'read')) {
      this.#base = { range: this.#last, before: null };
      for (const block of this.#blocks) block.feed = this.#base;
    }
  }

  /** Whether the first word is one of the grammar's; then it is dealt with. */
  #keyword(text: string): boolean {
    const opens = opening[text];
    if (opens !== undefined) {
      this.#push(opens);
      return true;
    }
    const closes = closing[text];
    if (closes !== undefined) return this.#pop(closes);
    if (text === 'for' || text === 'select') this.#loop();
    else if (text === 'case') this.#case();
    else if (text === 'function') this.#named();
    else if (text === '[[') this.#condition();
    else if (text === 'time') this.#skip(/[ \t]+-p(?=\s)/y);
    else if (text === 'coproc') this.#skip(/[ \t]+\w+(?=[ \t]*[({])/y);
    else return passing.has(text);
    return true;
  }

  #skip(what: RegExp): void {
    what.lastIndex = this.#cursor.at;
    this.#cursor.at += what.exec(this.#cursor.text)?.[0].length ?? 0;
  }

  /** `for NAME in …`; what comes after it is read as commands. */
  #loop(): void {
    this.#push('loop');
    this.#blank();
    if (this.#looksAt('((')) return this.#open();
    this.#words.read();
    this.#blank();
    if (!/^in\b/.test(this.#cursor.text.slice(this.#cursor.at, this.#cursor.at + 3))) return;
    while (this.#words.read() !== null) this.#blank();
  }

  #case(): void {
    for (let count = 0; ;) {
      this.#blank();
      if (count > 0 && this.#peek() === '\n') {
        this.#cursor.at += 1;
        continue;
      }
      const words = this.#words.read();
      if (words === null) return;
      count += 1;
      if (count > 1 && words[0]?.text === 'in') break;
    }
    this.#push('case');
  }

  /** `function NAME`, with or without brackets. */
  #named(): void {
    this.#blank();
    const [name] = this.#words.read() ?? [];
    this.#blank();
    this.#skip(/\([ \t]*\)/y);
    this.#push('function', name?.text ?? null);
  }

  /** `NAME ()`: the bracket after a first word. */
  #function(words: readonly Word[]): boolean {
    const brackets = /\([ \t]*\)/y;
    brackets.lastIndex = this.#cursor.at;
    const found = brackets.exec(this.#cursor.text)?.[0];
    const [name] = words;
    if (found === undefined || words.length > 1 || name === undefined) {
      // No shell takes this; what stands in the bracket is read all the same.
      this.#sink.problems.add('a bracket stands where none can be');
      return false;
    }
    this.#cursor.at += found.length;
    this.#push('function', name.text);
    return true;
  }

  /**
   * `[[ … ]]`: its operators are not those of a shell. A shell that does not know it takes it for a program; what would then be
   * another command ends it, or is taken down as one.
   */
  #condition(): void {
    let words: Word[] = [];
    const flush = (): void => {
      if (words.length > 1 && !comparing.test(words[1]?.text ?? '') && /^[\w./]/.test(words[0]?.text ?? ''))
        this.#emit(words, [], []);
      words = [];
    };
    for (let first = true; ;) {
      this.#blank();
      const character = this.#peek();
      if (character === '' || character === ';' || character === '\n') return flush();
      if (this.#looksAt('&&') || this.#looksAt('||')) {
        if (!first) flush();
        first = false;
        words = [];
        this.#cursor.at += 2;
        if (this.#peek() === '\n') this.#cursor.at += 1;
      } else if (character === '|' || character === '&') return flush();
      else {
        const found = this.#words.read();
        if (found === null) this.#cursor.at += 1;
        else if (found[0]?.text === ']]') return first ? undefined : flush();
        else words.push(...found);
      }
    }
  }
}
