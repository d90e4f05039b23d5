import { isAbsolute, resolve } from 'node:path';
import type { Word } from './word.ts';

/** More folders than these are not told apart. */
const most = 8;

/** The folders that a command may run in, as `cd` moves through a text; null: any. */
export class Folders {
  #now: readonly string[] | null;
  /** Where it still stands if the last `cd` failed. */
  #failed: readonly string[] | null = [];
  readonly #home: string | null;

  constructor(start: readonly string[] | null, home: string | null) {
    this.#now = start;
    this.#home = home;
  }

  get now(): readonly string[] | null {
    return this.#now;
  }

  set now(folders: readonly string[] | null) {
    this.#now = folders;
    this.#failed = [];
  }

  /** After `cd`, as far as its argument can be known. In a loop or a function nobody knows how often it is done. */
  move(words: readonly Word[], repeated: boolean): void {
    const target = words.slice(1).find(({ text }) => !/^-[LPe@]*$/.test(text) || text === '-');
    const text =
      target === undefined ? this.#home : target.known && !target.glob && target.text !== '-' ? target.text : null;
    this.#failed = join(this.#failed, this.#now);
    if (text === null || (repeated && !isAbsolute(text))) this.#now = null;
    else if (isAbsolute(text)) this.#now = [text];
    else this.#now = this.#now === null ? null : this.#now.map((folder) => resolve(folder, text));
  }

  /** Nobody knows where it is after this. */
  lose(): void {
    this.#now = null;
  }

  /** What comes next runs whether or not the last `cd` worked. */
  either(): void {
    if (this.#failed !== null && this.#failed.length === 0) return;
    this.#now = join(this.#now, this.#failed);
    this.#failed = [];
  }
}

function join(some: readonly string[] | null, others: readonly string[] | null): readonly string[] | null {
  if (some === null || others === null) return null;
  const all = [...new Set([...some, ...others])];
  return all.length > most ? null : all;
}
