import { foundUnder } from './command/found.ts';
import { operandsOf } from './command/operands.ts';
import { readOptions } from './command/options.ts';
import { readSed, sedScripts } from './command/sed.ts';
import type { SimpleCommand } from './command/unwrap.ts';
import { plainWord, type Word } from './command/word.ts';
import type { Access } from './contract.ts';

/** A file that a command names. */
export interface PathUse {
  readonly word: Word;
  readonly access: Access;
  /** And all that lies below it. */
  readonly deep: boolean;
}

type Add = (access: Access, words: readonly (Word | undefined)[]) => void;

const list = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

const deletes = list('rm rmdir unlink shred srm wipe rimraf del-cli trash trash-put');
const writes = list(`
  touch mkdir tee truncate fallocate chmod chown chgrp chattr setfacl xattr nano vi vim nvim emacs code ed ex mkfifo mknod sponge patch
  black isort rustfmt script mktemp
`);
const copies = list('cp install ln rsync scp ditto');
/** The last of their operands is written. */
const lastWritten = list('uniq split csplit ffmpeg convert magick');
/** The first operand is a pattern or a program, not a file. */
const searches = list('grep egrep fgrep rg ag ack sed gsed awk gawk mawk jq yq perl');
/** The first operand says what to do. */
const verbs = list(
  'npm npx pnpm yarn bun cargo go docker podman kubectl helm terraform tofu make gh hg svn bundle poetry uv dotnet mvn gradle apt systemctl',
);
const pathless = list(
  'echo printf true false test [ [[ export local declare unset set shift read kill pkill killall sleep seq date type which command whoami id uname cd pushd popd trap exit return alias',
);

/** Options whose value is written: a file, or a folder in which it works. */
const outputs: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    curl: '-o -D -c --dump-header --cookie-jar --trace --trace-ascii --stderr --libcurl --hsts --alt-svc --etag-save',
    wget: '-O -P -a -o --directory-prefix --append-output --save-cookies --warc-file',
    unzip: '-d',
    gpg: '-o',
    openssl: '-out',
    sort: '-o',
    shuf: '-o',
    iconv: '-o',
    pandoc: '-o',
    patch: '-d --directory -o -r',
    cpio: '-D --directory',
    aria2c: '-d --dir',
    '7z': '-o',
    gcc: '-o',
    'g++': '-o',
    cc: '-o',
    clang: '-o',
    'clang++': '-o',
    ld: '-o',
    rustc: '-o',
    go: '-o -C',
    esbuild: '--outfile',
    rollup: '-o -d',
    docker: '-o',
    pg_dump: '-f',
    mysqldump: '-r',
    strace: '-o',
    time: '-o',
    make: '-C --directory',
    ninja: '-C',
    cmake: '-B --build',
    npm: '--prefix -C --pack-destination',
    pnpm: '-C --dir',
    yarn: '--cwd',
    bun: '--cwd',
    cargo: '-C --manifest-path --root',
    uv: '--directory --project',
    poetry: '-C --directory',
    terraform: '-chdir -out',
    tofu: '-chdir -out',
    gradle: '-p --project-dir',
    mvn: '-f --file',
    composer: '-d --working-dir',
    gh: '-D --dir',
    rsync: '--backup-dir --partial-dir --temp-dir',
    find: '-fprint -fprint0 -fprintf -fls',
  }).map(([program, names]) => [program, names.split(' ')]),
);
/** Names that options for what is written have in most programs. */
const output =
  /^--?(?:out|outfile|outdir|out-dir|out-file|output|output-(?:dir|directory|file|path|document)|target-dir|dest|dest-dir|destination|log-file)$/i;

/** What goes into folders, and with which of its letters it does; empty: always. */
const divers: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ tar: '', bsdtar: '', '7z': '', rg: '', ag: '', ack: '', mv: '', ln: '' },
    ...{ rsync: 'raR', cp: 'rRa', scp: 'r', zip: 'r', grep: 'rR', egrep: 'rR', fgrep: 'rR', diff: 'r' },
  }),
);

const isOption = ({ text, known }: Word): boolean => known && text.startsWith('-') && text !== '-';

function wordsOf(args: readonly Word[]): Word[] {
  const end = args.findIndex(({ text }) => text === '--');
  const before = end === -1 ? args : args.slice(0, end);
  return [...before.filter((word) => !isOption(word)), ...(end === -1 ? [] : args.slice(end + 1))];
}

function dives(program: string, args: readonly Word[]): boolean {
  const letters = divers.get(program);
  if (letters === undefined) return false;
  return (
    letters === '' ||
    args.some(({ text }) =>
      text.startsWith('--')
        ? /^--(?:recursive|archive|dereference-recursive)$/.test(text)
        : text.startsWith('-') && Array.from(text).some((letter) => letters.includes(letter)),
    )
  );
}

/** Each file that stands in a command, and what is done to it. */
export function usesOf(command: SimpleCommand): PathUse[] {
  const { program, argv, redirects } = command;
  const uses: PathUse[] = [];
  let deep = false;
  const add: Add = (access, words) => {
    for (const word of words)
      if (word !== undefined) uses.push({ word, access, deep: access === 'read' && (deep || word.below === true) });
  };
  for (const { access, target, text } of redirects) if (text === null) add(access, [target]);
  if (program === null || program === '' || pathless.has(program)) return uses;
  const args = argv.slice(1);
  deep = dives(program, args);
  const words = wordsOf(args);
  if (deletes.has(program)) add('delete', words);
  else if (program === 'git') gitUses(command, add);
  else if (program === 'tar' || program === 'bsdtar') tarUses(args, add);
  else if (program === 'mv' || copies.has(program)) copyUses(program, args, words, add);
  else if (program === 'dd') {
    for (const word of words) {
      if (word.text.startsWith('of=')) add('write', [cut(word, 3)]);
      else if (word.text.startsWith('if=')) add('read', [cut(word, 3)]);
    }
  } else if (program === 'find') findUses(args, add);
  else if (searches.has(program)) searchUses(program, args, words, add);
  else if (writes.has(program) || args.some(({ text }) => /^--(?:write|fix|in-?place)$/.test(text)))
    add('write', words);
  else if (program === 'gofmt' && args.some(({ text }) => text === '-w')) add('write', words);
  else if (lastWritten.has(program) && words.length > 1) add('write', words.slice(-1));
  else if (verbs.has(program)) {
    const copied =
      words.length > 2 && /^(?:cp|clone|co|checkout)$/.test(words.at(program === 'gh' ? 1 : 0)?.text ?? '');
    add('read', copied ? words.slice(1, -1) : words.slice(1));
    if (copied) add('write', words.slice(-1));
  } else add('read', words);
  values(program, args, add);
  return uses;
}

/** `mv`, `cp` and their like: the last operand is written, or the folder of `-t`. */
function copyUses(program: string, args: readonly Word[], words: readonly Word[], add: Add): void {
  const { folder } = readOptions(
    {
      short: 'SmgoT',
      folder: program === 'rsync' || program === 'scp' ? [] : ['-t', '--target-directory'],
      operands: 1_000,
    },
    args,
  );
  const moves = program === 'mv' || args.some(({ text }) => /^--remove-(?:source|sent)-files$/.test(text));
  const made = program === 'install' && args.some(({ text }) => /^-[a-zA-Z]*d|^--directory$/.test(text));
  const sources = folder !== null ? words.filter((word) => word !== folder) : made ? [] : words.slice(0, -1);
  const targets = folder !== null ? [folder] : made ? words : words.slice(-1);
  add(moves ? 'delete' : 'read', sources);
  add('write', targets);
  if (program === 'rsync' && args.some(({ text }) => text.startsWith('--del'))) add('delete', targets);
}

function findUses(args: readonly Word[], add: Add): void {
  const at = args.findIndex(({ text }) => /^[-(!]/.test(text) && !/^-[HLPD]$/.test(text));
  const roots = args.slice(0, at === -1 ? args.length : at).filter((word) => !isOption(word));
  add('read', roots);
  if (args.some(({ text }) => text === '-delete'))
    add('delete', foundUnder(roots.length === 0 ? [plainWord('.')] : roots, args));
}

function searchUses(program: string, args: readonly Word[], words: readonly Word[], add: Add): void {
  const sed = program === 'sed' || program === 'gsed';
  const edits = args.some(
    (word, at) =>
      isOption(word) &&
      (/^-(?:[a-zA-Z]*i|-in-?place)/.test(word.text)
        ? sed || program === 'perl' || program === 'yq' || args[at + 1]?.text === 'inplace'
        : word.text === '--inplace'),
  );
  const given = args.some(({ text }) => /^-(?:[ef]|-regexp|-file|-expression)/.test(text));
  // The word after `-e` is what is looked for, even if it begins like a path.
  const sought = new Set(args.filter((_, at) => /^-(?:e|-regexp|-expression)$/.test(args[at - 1]?.text ?? '')));
  add(edits ? 'write' : 'read', given ? words.filter((word) => !sought.has(word)) : words.slice(1));
  if (!sed) return;
  for (const script of sedScripts(args))
    for (const { text, access } of readSed(script.text).files) add(access, [{ ...script, text }]);
}

/** `tar czf a.tgz b`, `tar -xf a.tar -C dir`: what is made is written, what is unpacked goes into a folder. */
function tarUses(args: readonly Word[], add: Add): void {
  const [first] = args;
  const old = first !== undefined && /^[a-zA-Z]+$/.test(first.text);
  const clusters = args.flatMap(({ text }, at) => ((old && at === 0) || /^-[a-zA-Z]+$/.test(text) ? text : []));
  const makes =
    clusters.some((text) => /[cruA]/.test(text)) || args.some(({ text }) => /^--(?:create|append|update)$/.test(text));
  const removes = args.some(({ text }) => text === '--remove-files');
  const taken = new Set<Word>();
  const take = (letter: string, word: Word | undefined): void => {
    if (word === undefined) return;
    taken.add(word);
    if (letter === 'f') add(makes ? 'write' : 'read', [word]);
    if (letter === 'C') add(makes ? 'read' : 'write', [word]);
  };
  if (old) Array.from(first.text.replaceAll(/[^fCbTX]/g, '')).forEach((letter, at) => take(letter, args[at + 1]));
  for (const [at, word] of args.entries()) {
    const { text } = word;
    const long = /^--(?<name>file|directory|one-top-level)(?:=|$)/.exec(text)?.groups?.['name'];
    const value = text.includes('=') ? cut(word, text.indexOf('=') + 1) : args[at + 1];
    if (long !== undefined) take(long === 'file' ? 'f' : 'C', value);
    else if (/^-[a-zA-Z]*[fCTXb]$/.test(text)) take(text.slice(-1), args[at + 1]);
    else if (/^-[fC]./.test(text)) take(text.charAt(1), cut(word, 2));
  }
  const packed = wordsOf(args).filter((word, at) => !taken.has(word) && !(old && at === 0));
  if (makes) add(removes ? 'delete' : 'read', packed);
}

/** These change nothing in the folder in which git works, or nothing that anybody misses. */
const looks = list(`
  status diff log show blame annotate grep ls-files ls-tree ls-remote rev-parse rev-list cat-file describe shortlog name-rev merge-base
  for-each-ref show-ref show-branch whatchanged count-objects var help version config remote branch tag check-ignore check-attr cherry
  range-diff diff-tree diff-files diff-index archive format-patch bundle verify-commit verify-tag fsck clone init
`);
const placed = list('init clone mv rm clean restore checkout checkout-index');

/** git writes in its folder, and what it is given may lie elsewhere. */
function gitUses({ program, argv }: SimpleCommand, add: Add): void {
  const [verb, ...operands] = operandsOf(program, argv);
  if (verb === undefined) return;
  const folders = argv.slice(1, verb.at).flatMap(({ text }, at) => {
    const word = argv[at + 1];
    if (word === undefined) return [];
    if (/^(?:-C|--work-tree|--git-dir)$/.test(text)) return argv[at + 2] ?? [];
    const equals = /^(?:--(?:work-tree|git-dir)=|-C)/.exec(text)?.[0].length;
    return equals === undefined ? [] : cut(word, equals);
  });
  const words = operands.flatMap(({ at }) => argv[at] ?? []);
  if (!looks.has(verb.text)) add('write', folders.length === 0 ? [plainWord('.')] : folders);
  else add('read', folders);
  // What stays in its folder is looked at with it.
  const elsewhere = words.slice(verb.text === 'clone' ? 1 : 0).filter(leads);
  if (placed.has(verb.text)) add('write', elsewhere);
  add(
    'read',
    words.flatMap((word) => [word, ...(/^[^/]+:[^/]/.test(word.text) ? [cut(word, word.text.indexOf(':') + 1)] : [])]),
  );
  for (const [at, word] of argv.entries()) {
    const option = /^(?:-o|--output|--output-directory|--directory|--prefix|--separate-git-dir)(?:=|$)/.exec(
      word.text,
    )?.[0];
    if (option !== undefined) add('write', [option.endsWith('=') ? cut(word, option.length) : argv[at + 1]]);
  }
}

/** Whether a path leads out of the folder in which it begins. */
function leads({ text, known }: Word): boolean {
  return !known || /^[/~]|(?:^|\/)\.\.(?:\/|$)/.test(text);
}

/** What stands in options: `--file=x`, `-o x`, `-d @x`. */
function values(program: string, args: readonly Word[], add: Add): void {
  const written = outputs.get(program) ?? [];
  const letters = written.filter((name) => name.length === 2).map((name) => name.charAt(1));
  for (const [index, word] of args.entries()) {
    const { text } = word;
    const equals = text.indexOf('=');
    if (text.startsWith('@')) add('read', [cut(word, 1)]);
    else if (equals > 0 && /^(?:-|[A-Za-z_]+=@?[~/.])/.test(text)) {
      const value = cut(word, equals + 1);
      const name = text.slice(0, equals);
      add(written.includes(name) || output.test(name) ? 'write' : 'read', [
        value.text.startsWith('@') ? cut(value, 1) : value,
      ]);
    } else if (!text.startsWith('-')) continue;
    else if (written.includes(text) || output.test(text)) add('write', [args[index + 1]]);
    else if (letters.length > 0 && !text.startsWith('--')) {
      const at = Array.from(text).findIndex((letter, place) => place > 0 && letters.includes(letter));
      if (at > 0) add('write', [at === text.length - 1 ? args[index + 1] : cut(word, at + 1)]);
    }
  }
}

function cut(word: Word, from: number): Word {
  return { ...word, text: word.text.slice(from) };
}
