/** The files of a repository and of the ledger, as installing and taking back need them. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { invalid } from '../../kernel/error.ts';
import { sha256 } from '../../kernel/hash.ts';
import { replaceFile } from '../../kernel/replace.ts';
import type { FileRecord } from './change.ts';

const path = z.array(z.string());
const entry = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('member'), path, value: z.unknown() }),
  z.strictObject({ kind: z.literal('item'), path, value: z.unknown() }),
  z.strictObject({ kind: z.literal('block'), name: z.string(), text: z.string() }),
  z.strictObject({ kind: z.literal('whole'), text: z.string() }),
]);
const ledger = z.strictObject({
  root: z.string(),
  files: z.array(
    z.strictObject({
      file: z.string(),
      created: z.boolean(),
      folders: z.array(z.string()),
      puts: z.array(z.strictObject({ entry, made: z.array(path) })),
      insertions: z.array(z.strictObject({ at: z.int(), text: z.string() })),
      after: z.string(),
    }),
  ),
});

/** The top folder of the repository around a folder. */
export function repositoryAround(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at;
    if (at === dirname(at)) {
      throw invalid(`${folder} is in no git repository.`, { fix: 'Go to a repository, or make one: git init' });
    }
  }
}

/** Where it stands what was put into a repository: with MAOS, not in the repository, whose files others write too. */
const ledgerFile = (home: string, root: string): string => join(home, 'installed', `${sha256(root)}.json`);

/** What was put into a repository. */
export function readLedger(home: string, root: string): readonly FileRecord[] {
  const file = ledgerFile(home, root);
  if (!existsSync(file)) return [];
  const parsed = ledger.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data.files;
  throw invalid(`${file} is not what MAOS writes there.`, { fix: 'Remove it, and what is left of MAOS by hand.' });
}

/** Written before the files are: after a crash it names at least all that was put. */
export function writeLedger(home: string, root: string, files: readonly FileRecord[]): void {
  const file = ledgerFile(home, root);
  if (files.length === 0) rmSync(file, { force: true });
  else {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    replaceFile(file, `${JSON.stringify({ root, files }, undefined, 2)}\n`);
  }
}

/** Each folder between the repository and a file, the outermost first. */
function foldersTo(file: string): string[] {
  const parts = file.split('/').slice(0, -1);
  return parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
}

const sight = (at: string): Stats | undefined => lstatSync(at, { throwIfNoEntry: false });

/** The text of a file (null: there is none), or why it is not one that may be written. */
export function readTarget(root: string, file: string): { readonly text: string | null } | { readonly why: string } {
  for (const folder of foldersTo(file)) {
    const seen = sight(join(root, folder));
    // A link leads out of the repository, or to a file that others use too.
    if (seen?.isSymbolicLink() === true) return { why: `${folder} is a link` };
    if (seen !== undefined && !seen.isDirectory()) return { why: `${folder} is not a folder` };
  }
  const seen = sight(join(root, file));
  if (seen === undefined) return { text: null };
  if (seen.isSymbolicLink()) return { why: 'it is a link' };
  if (!seen.isFile()) return { why: 'it is not a file' };
  const bytes = readFileSync(join(root, file));
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { text } : { why: 'it is not UTF-8' };
}

/** The folders that a file will need. */
export function missingFolders(root: string, file: string): string[] {
  return foldersTo(file).filter((folder) => sight(join(root, folder)) === undefined);
}

/** Gives a file its text, with the mode that it has; null removes it, and the folders made for it that are empty. */
export function writeTarget(root: string, file: string, text: string | null, folders: readonly string[]): void {
  const at = join(root, file);
  if (text === null) {
    rmSync(at, { force: true });
    for (const folder of folders.toReversed()) removeEmpty(join(root, folder));
    return;
  }
  mkdirSync(dirname(at), { recursive: true });
  // Under a name that nobody can have prepared: a repository may hold a link where a draft would be written.
  const draft = `${at}.${randomUUID()}`;
  const handle = openSync(draft, 'wx', 0o666);
  try {
    writeSync(handle, text);
    if (existsSync(at)) fchmodSync(handle, statSync(at).mode & 0o7777);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, at);
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}
