import type { FolderList } from './folders.ts';
import type { Range, Word } from './word.ts';

/** A file that the shell opens for a command, or a text that it hands it. */
export interface Redirect {
  readonly access: 'read' | 'write';
  readonly target: Word;
  /** A here-document or here-string: what the command reads; null: `target` is a file. */
  text: Word | null;
}

/** What comes through a pipe: the commands before it. */
export interface Feed {
  readonly range: Range;
  readonly before: Feed | null;
}

/** Something is read, but nobody knows what: `before`, and more. */
export function unknownFeed(at: number, before: Feed | null = null): Feed {
  return { range: { from: at, to: at }, before };
}

/** A command as it stands in the text, before programs that start other programs are looked into. */
export interface RawCommand {
  readonly words: readonly Word[];
  readonly assigns: readonly string[];
  readonly redirects: readonly Redirect[];
  readonly feed: Feed | null;
  readonly cwds: FolderList;
  readonly via: readonly string[];
  /** A function that calls itself. */
  readonly recursive: boolean;
}

/** What only the caller knows, and is the same for the whole text. */
export interface Surroundings {
  readonly home: string | null;
  /** Variables that always have the same value. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Deeper nesting and more commands are not followed; the text is then said to be opaque. */
const deepest = 24;
export const mostCommands = 1_000;
/** Characters of texts within texts that are read in all, and that are looked ahead over. */
const mostText = 128 * 1024;

/** Collects what is found in a text, and sees to it that reading ends soon. */
export class Sink {
  readonly commands: RawCommand[] = [];
  /** Why something in the text was not understood. */
  readonly problems = new Set<string>();
  /** Names that the text gives a meaning of its own. */
  readonly functions = new Set<string>();
  /** Characters in texts inside it that hide what is meant. */
  readonly suspicious: Set<string>;
  readonly around: Surroundings;
  depth = 0;
  #text = mostText;
  #ahead = 4 * mostText;

  constructor(around: Surroundings, suspicious: Set<string>) {
    this.around = around;
    this.suspicious = suspicious;
  }

  add(command: RawCommand): void {
    if (this.commands.length < mostCommands) this.commands.push(command);
    else this.problems.add(`it has more than ${mostCommands} commands`);
  }

  /** The last command holds what a block reads: those from `from` on read it, and no longer what is `outside`. */
  feed(from: number, outside: Feed | null): void {
    const last = this.commands.length - 1;
    const feed: Feed = { range: { from: last, to: last + 1 }, before: null };
    for (let index = from; index < last; index += 1) {
      const command = this.commands[index];
      if (command !== undefined && (command.feed === null || command.feed === outside))
        this.commands[index] = { ...command, feed };
    }
  }

  /** Nothing more is taken down, so nothing more need be read. */
  get full(): boolean {
    return this.commands.length >= mostCommands;
  }

  /** Where the two brackets stand that close an arithmetic expression which begins at `from`; null: it is none. */
  arithmeticEnd(text: string, from: number): number | null {
    const bracket = /[()]/g;
    bracket.lastIndex = from;
    let depth = 0;
    for (let match = bracket.exec(text); match !== null; match = bracket.exec(text)) {
      if (match.index - from > this.#ahead) break;
      if (match[0] === '(') depth += 1;
      else if (depth > 0) depth -= 1;
      else {
        this.#ahead -= match.index - from;
        return text.charAt(match.index + 1) === ')' ? match.index : null;
      }
    }
    this.#ahead = Math.max(0, this.#ahead - (text.length - from));
    this.problems.add('a bracket is not closed');
    return null;
  }

  /** Whether another text may be read inside this one. */
  enter(length: number): boolean {
    this.#text -= length;
    if (this.#text < 0) this.problems.add('it is too long');
    if (this.depth >= deepest) this.problems.add('it is nested too deeply');
    if (this.#text < 0 || this.depth >= deepest) return false;
    this.depth += 1;
    return true;
  }

  leave(): void {
    this.depth -= 1;
  }
}
