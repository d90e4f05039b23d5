import { type Change, type FileRecord, installed, takenBack } from './change.ts';
import { targets } from './entries.ts';
import { missingFolders, readLedger, readTarget, writeLedger, writeTarget } from './repository.ts';

/** What installing or taking back does to one file of a repository. */
export interface FilePlan {
  readonly file: string;
  readonly before: string | null;
  readonly after: string | null;
  /** What is not done, and why. */
  readonly left: readonly string[];
  readonly record: FileRecord | undefined;
  readonly folders: readonly string[];
}

const leftAlone = (file: string, why: string, record: FileRecord | undefined): FilePlan => ({
  file,
  before: null,
  after: null,
  left: [why],
  record,
  folders: [],
});

function planOf(
  root: string,
  file: string,
  old: FileRecord | undefined,
  change: (text: string | null) => Change,
): FilePlan {
  const read = readTarget(root, file);
  if ('why' in read) return leftAlone(file, read.why, old);
  const { text, record, left } = change(read.text);
  const folders = [...(old?.folders ?? []), ...missingFolders(root, file)];
  return {
    file,
    before: read.text,
    after: text,
    left,
    record: record === undefined ? undefined : { ...record, folders },
    folders,
  };
}

/** What `maos init` does to each file. */
export function planInstall(home: string, root: string, options: { readonly hooks: boolean }): FilePlan[] {
  const old = new Map(readLedger(home, root).map((record) => [record.file, record]));
  const chosen = targets.filter(({ hooks }) => options.hooks || hooks !== true);
  const wanted = chosen.map((target) => {
    const record = old.get(target.file);
    return planOf(root, target.file, record, (text) => installed(target, text, record));
  });
  // What was put elsewhere, by an earlier version or with hooks, is taken back.
  const past = [...old.values()].filter(({ file }) => chosen.every((target) => target.file !== file));
  return [...wanted, ...past.map((record) => planOf(root, record.file, record, (text) => takenBack(text, record)))];
}

/** What `maos uninstall` does to each file. */
export function planUninstall(home: string, root: string): FilePlan[] {
  return readLedger(home, root).map((record) => planOf(root, record.file, record, (text) => takenBack(text, record)));
}

/** Does what was planned. */
export function carryOut(home: string, root: string, plans: readonly FilePlan[], installs: boolean): void {
  const records = plans.flatMap(({ record }) => (record === undefined ? [] : [record]));
  if (installs) writeLedger(home, root, records);
  for (const { file, before, after, folders } of plans) if (before !== after) writeTarget(root, file, after, folders);
  if (!installs) writeLedger(home, root, records);
}
