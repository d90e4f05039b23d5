import { dirname, isAbsolute, resolve } from 'node:path';
import type { SimpleCommand } from './command/unwrap.ts';
import { foundUnder, plainWord, unknownWord, type Word } from './command/word.ts';
import type { Access } from './contract.ts';

/** A file that a command names. */
interface PathUse {
  readonly word: Word;
  readonly access: Access;
}

/** A file that an action touches, as far as that can be known. */
export interface Place {
  /** null: nobody knows which. */
  readonly path: string | null;
  readonly glob: boolean;
  readonly access: Access;
}

const deletes = new Set(['rm', 'rmdir', 'unlink', 'shred', 'srm', 'rimraf', 'del-cli']);
const writes = new Set(
  ['touch mkdir tee truncate chmod chown chgrp chattr setfacl nano vi vim nvim emacs code mkfifo mknod sponge', 'ed']
    .join(' ')
    .split(' '),
);
const copies = new Set(['cp', 'install', 'ln', 'rsync', 'scp', 'ditto']);
/** The first operand is a pattern or a program, not a file. */
const searches = new Set('grep egrep fgrep rg ag ack sed gsed awk gawk mawk jq yq perl'.split(' '));
/** The first operand says what to do. */
const verbs = new Set(
  'git npm npx pnpm yarn bun cargo go docker podman kubectl helm terraform tofu make gh bundle poetry uv dotnet mvn gradle apt systemctl'.split(
    ' ',
  ),
);
const pathless = new Set(
  'echo printf true false test [ [[ export local declare unset set shift read kill pkill killall sleep seq date type which command whoami id uname cd pushd popd trap exit return alias'.split(
    ' ',
  ),
);
/** Options whose value is a file that is written. */
const outputs: Readonly<Record<string, readonly string[]>> = {
  curl: ['-o', '--output', '--output-dir', '-D', '--dump-header', '-c', '--cookie-jar'],
  wget: ['-O', '--output-document', '-P', '--directory-prefix', '-o', '--output-file'],
  tar: ['-C', '--directory'],
  bsdtar: ['-C', '--directory'],
  unzip: ['-d'],
  git: ['-o', '--output'],
  gpg: ['-o', '--output'],
  openssl: ['-out'],
  sort: ['-o', '--output'],
};

const isOption = ({ text, known }: Word): boolean => known && text.startsWith('-') && text !== '-';

function operandsOf(args: readonly Word[]): Word[] {
  const end = args.findIndex(({ text }) => text === '--');
  const before = end === -1 ? args : args.slice(0, end);
  return [...before.filter((word) => !isOption(word)), ...(end === -1 ? [] : args.slice(end + 1))];
}

/** Each file that stands in a command, and what is done to it. */
function usesOf({ program, argv, redirects }: SimpleCommand): PathUse[] {
  const uses: PathUse[] = [];
  const add = (access: Access, words: readonly (Word | undefined)[]): void => {
    for (const word of words) if (word !== undefined) uses.push({ word, access });
  };
  for (const { access, target, text } of redirects) if (text === null) add(access, [target]);
  if (program === null || program === '' || pathless.has(program)) return uses;
  const args = argv.slice(1);
  const operands = operandsOf(args);
  if (deletes.has(program)) add('delete', operands);
  else if (writes.has(program)) add('write', operands);
  else if (program === 'mv') {
    add('delete', operands.slice(0, -1));
    add('write', operands.slice(-1));
  } else if (copies.has(program)) {
    add('read', operands.slice(0, -1));
    add('write', operands.slice(-1));
  } else if (program === 'dd') {
    for (const word of operands) {
      if (word.text.startsWith('of=')) add('write', [cut(word, 3)]);
      else if (word.text.startsWith('if=')) add('read', [cut(word, 3)]);
    }
  } else if (program === 'find') {
    const first = operandsUpToTests(args);
    add('read', first);
    if (args.some(({ text }) => text === '-delete'))
      add('delete', foundUnder(first.length === 0 ? [plainWord('.')] : first, args));
  } else if (searches.has(program)) {
    const inPlace = /^-(?:[a-zA-Z]*i|-in-place)/;
    const edits =
      program !== 'grep' && args.some((word) => isOption(word) && inPlace.test(word.text) && /sed|perl/.test(program));
    const given = args.some(({ text }) => /^-(?:[ef]|-regexp|-file|-expression)/.test(text));
    // The word after `-e` is what is looked for, even if it begins like a path.
    const sought = new Set(args.filter((_, at) => /^-(?:e|-regexp|-expression)$/.test(args[at - 1]?.text ?? '')));
    add(edits ? 'write' : 'read', given ? operands.filter((word) => !sought.has(word)) : operands.slice(1));
  } else add('read', verbs.has(program) ? operands.slice(1) : operands);
  values(program, args, add);
  return uses;
}

/** What stands in options: `--file=x`, `-o x`, `-d @x`. */
function values(
  program: string,
  args: readonly Word[],
  add: (access: Access, words: readonly (Word | undefined)[]) => void,
): void {
  const written = outputs[program] ?? [];
  for (const [index, word] of args.entries()) {
    const { text } = word;
    const equals = text.indexOf('=');
    if (text.startsWith('@')) add('read', [cut(word, 1)]);
    else if (equals > 0 && /^(?:-|[A-Za-z_]+=@?[~/.])/.test(text)) {
      const value = cut(word, equals + 1);
      add(written.includes(text.slice(0, equals)) ? 'write' : 'read', [
        value.text.startsWith('@') ? cut(value, 1) : value,
      ]);
    } else if (written.includes(text)) add('write', [args[index + 1]]);
    else {
      const short = written.find((name) => name.length === 2 && text.length > 2 && text.startsWith(name));
      if (short !== undefined) add('write', [cut(word, 2)]);
    }
  }
}

function operandsUpToTests(args: readonly Word[]): Word[] {
  const at = args.findIndex(({ text }) => /^[-(!]/.test(text) && !/^-[HLPD]$/.test(text));
  return args.slice(0, at === -1 ? args.length : at).filter((word) => !isOption(word));
}

function cut(word: Word, from: number): Word {
  return { ...word, text: word.text.slice(from) };
}

/** Files beyond these are not told apart: the command is then taken to touch any. */
const mostPlaces = 200;

/** Every place that a command touches, one for each folder in which it may stand. */
export function placesOf(command: SimpleCommand, home: string): Place[] {
  const uses = usesOf(command);
  const bounded: PathUse[] =
    uses.length > mostPlaces ? [...uses.slice(0, mostPlaces), { word: unknownWord, access: 'delete' }] : uses;
  return bounded.flatMap(({ word, access }) => placesAt(word, command.cwds, home, access));
}

function placesAt(word: Word, cwds: readonly string[] | null, home: string, access: Access): Place[] {
  const { text, known, glob } = word;
  // A command without a shell hands `~` on as it is, and some programs know it.
  const whole = text === '~' || text.startsWith('~/') ? `${home}${text.slice(1)}` : text;
  if (!known || (cwds === null && !isAbsolute(whole))) return [{ path: null, glob, access }];
  if (text === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return [];
  const paths = isAbsolute(whole) ? [resolve(whole)] : (cwds ?? []).map((cwd) => resolve(cwd, whole));
  const places = paths.map((path): Place => ({ path, glob, access }));
  if (access !== 'delete' || !/(?:^|\/)\.?\*$/.test(whole)) return places;
  // Who deletes all that is in a folder deletes the folder.
  return [...places, ...paths.map((path): Place => ({ path: dirname(path), glob, access }))];
}
