import { realpathSync, statSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { conflict, invalid } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';
import type { StoredRecord } from '../log/port.ts';
import { headOf, pages, type Search } from './search.ts';

/** How an export is written. */
export const exportFormats = ['jsonl', 'csv'] as const;
export type ExportFormat = (typeof exportFormats)[number];

const columns = [
  'position',
  'at',
  'time',
  'actor',
  'stream',
  'type',
  'version',
  'data',
  'cause',
  'trace',
  'previous',
  'hash',
] as const;
const pageSize = 1_000;

/** The log as lines of text, page by page; for CSV with a line of names first. Ends with what is the head when it begins. */
export async function* exportText(
  db: Reader,
  search: Search,
  format: ExportFormat,
  fits: (record: StoredRecord) => boolean = () => true,
): AsyncGenerator<{ readonly text: string; readonly records: number }> {
  const line = format === 'csv' ? csvLine : jsonLine;
  if (format === 'csv') yield { text: `${columns.join(',')}\r\n`, records: 0 };
  for await (const page of pages(db, search, { after: 0, head: headOf(db), limit: pageSize })) {
    const records = page.filter(fits);
    yield { text: records.map(line).join(''), records: records.length };
  }
}

const timeOf = (at: number): string => new Date(at).toISOString();

/** The data as it is stored, byte for byte: the hash is over its text. */
function jsonLine({ data, ...record }: StoredRecord): string {
  return `${JSON.stringify({ ...record, time: timeOf(record.at) }).slice(0, -1)},"data":${data}}\n`;
}

function csvLine(record: StoredRecord): string {
  const values = { ...record, time: timeOf(record.at) };
  return `${columns.map((name) => csvCell(values[name])).join(',')}\r\n`;
}

/**
 * One cell (RFC 4180). A spreadsheet carries out what begins as a formula does, so a text that begins so gets an apostrophe before
 * it, which spreadsheets do not show.
 */
export function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const guarded = /^[\s]*[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n']/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

export interface Exported {
  readonly path: string;
  readonly records: number;
  readonly bytes: number;
}

/** Writes an export to a new file, for its owner alone; what fails in the middle leaves nothing. */
export async function exportToFile(
  db: Reader,
  home: string,
  { path, format, ...search }: Search & { readonly path: string; readonly format: ExportFormat },
  { signal, fits }: { readonly signal: AbortSignal; readonly fits: (record: StoredRecord) => boolean },
): Promise<Exported> {
  refusePlace(path, home);
  const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw conflict(`${path} exists.`, { fix: 'Give the name of a new file.' });
    throw invalid(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}.`, {
      fix: 'Name a file in a folder that you may write.',
    });
  });
  let [records, bytes] = [0, 0];
  try {
    for await (const page of exportText(db, search, format, fits)) {
      if (signal.aborted) throw conflict('The caller has gone.');
      await file.writeFile(page.text);
      records += page.records;
      bytes += Buffer.byteLength(page.text);
    }
    await file.sync();
  } catch (error) {
    await unlink(path);
    throw error;
  } finally {
    await file.close();
  }
  return { path, records, bytes };
}

/** MAOS's own files keep their names to themselves, and no folder is made. */
function refusePlace(path: string, home: string): void {
  const folder = dirname(path);
  let real: string;
  try {
    real = realpathSync(folder);
  } catch (error) {
    throw invalid(`${folder} cannot be written to: ${error instanceof Error ? error.message : String(error)}.`, {
      fix: 'Name a file in a folder that exists.',
    });
  }
  if (!statSync(real).isDirectory()) throw invalid(`${folder} is not a folder.`, { fix: 'Name a file in a folder.' });
  const own = realpathSync(home);
  if (join(real, basename(path)).startsWith(own + sep) || real === own) {
    throw invalid(`${path} is among the files that MAOS itself keeps.`, { fix: `Name a file outside of ${home}.` });
  }
}
