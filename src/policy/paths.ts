import { isAbsolute, resolve } from 'node:path';
import { type FolderList, movedTo } from './command/folders.ts';
import type { SimpleCommand } from './command/unwrap.ts';
import { unknownWord } from './command/word.ts';
import type { Access } from './contract.ts';
import { type PathUse, usesOf } from './uses.ts';

/** A file that an action touches, as far as that can be known. */
export interface Place {
  /** null: nobody knows which. */
  readonly path: string | null;
  readonly glob: boolean;
  readonly access: Access;
  /** And all that lies below it. */
  readonly deep: boolean;
}

/** Files beyond these are not told apart: the command is then taken to touch any. */
const mostPlaces = 200;

/** Every place that a command touches, one for each folder in which it may stand. */
export function placesOf(command: SimpleCommand, home: string): Place[] {
  const uses = usesOf(command);
  const bounded: PathUse[] =
    uses.length > mostPlaces
      ? [...uses.slice(0, mostPlaces), { word: unknownWord, access: 'delete', deep: false }]
      : uses;
  return bounded.flatMap((use) => placesAt(use, command.cwds, home));
}

const expansion = /\$\{\?\}|\$\w+|\$[@*#?$!-]/g;

function placesAt({ word, access, deep }: PathUse, cwds: FolderList, home: string): Place[] {
  const { text, known, glob } = word;
  // A command without a shell hands `~` on as it is, and some programs know it.
  const whole =
    text === '~' || text.startsWith('~/') ? `${home}${text.slice(1)}` : text.replace(/^file:\/\/(?=\/)/i, '');
  if (!known) {
    const nobody: Place = { path: null, glob, access, deep };
    // It may be anywhere; if it is where it begins, it is like a wildcard.
    const user = /^~[\w-]+/.exec(whole)?.[0];
    const from = user === undefined ? whole : resolve(home, '..', user.slice(1)) + whole.slice(user.length);
    const like = from.startsWith('/') ? resolve(from.replaceAll(expansion, '*')) : null;
    return like === null ? [nobody] : [nobody, { path: like, glob: true, access, deep }];
  }
  if (text === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(whole)) return [];
  return movedTo(cwds, isAbsolute(whole) ? resolve(whole) : whole).flatMap((path): Place[] => {
    const place: Place = { path, glob, access, deep };
    if (path === null || access !== 'delete' || !/(?:^|\/)\.?\*+$/.test(whole)) return [place];
    // Who deletes all that is in a folder deletes the folder.
    return [place, { ...place, path: path.replace(/(?:\/\.?\*+)+$/, '') || '/' }];
  });
}
