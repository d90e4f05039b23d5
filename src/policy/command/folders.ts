import { isAbsolute, resolve } from 'node:path';
import type { Word } from './word.ts';

/** More folders than these are not told apart. */
const most = 8;

/** Folders in which a command may run; null among them: or any other. */
export type FolderList = readonly (string | null)[];

/** The folders that a command may run in, as `cd` moves through a text. */
export class Folders {
  #now: FolderList;
  /** Where it still stands if the last `cd` failed. */
  #failed: FolderList = [];
  readonly #home: string | null;

  constructor(start: FolderList, home: string | null) {
    this.#now = start;
    this.#home = home;
  }

  get now(): FolderList {
    return this.#now;
  }

  set now(folders: FolderList) {
    this.#now = folders;
    this.#failed = [];
  }

  /** After `cd`, as far as its argument can be known. In a loop or a function nobody knows how often it is done. */
  move(words: readonly Word[], repeated: boolean): void {
    const target = words.slice(1).find(({ text }) => !/^-[LPe@]*$/.test(text) || text === '-');
    const plain = target === undefined || (target.known && !target.glob && target.text !== '-');
    this.#failed = both(this.#failed, this.#now);
    const moved = plain ? movedTo(this.#now, target?.text ?? this.#home) : [null];
    this.#now = repeated ? both(moved, [null]) : moved;
  }

  /** It may be anywhere after this. */
  lose(): void {
    this.#now = both(this.#now, [null]);
  }

  /** What comes next runs whether or not the last `cd` worked. */
  either(): void {
    if (this.#failed.length === 0) return;
    this.#now = both(this.#now, this.#failed);
    this.#failed = [];
  }
}

/** Where a path leads from each folder. */
export function movedTo(folders: FolderList, path: string | null): FolderList {
  if (path === null) return [null];
  if (isAbsolute(path)) return [path];
  return folders.map((folder) => (folder === null ? null : resolve(folder, path)));
}

/** In one of some folders, or in one of others. */
export function both(some: FolderList, others: FolderList): FolderList {
  const all = [...new Set([...some, ...others])];
  return all.length > most ? [...all.slice(0, most - 1), null] : all;
}
