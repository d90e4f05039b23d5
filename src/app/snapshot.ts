import { lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { conflict, errorFrom, invalid } from '../kernel/error.ts';
import type { CoreClient } from '../log/core.ts';
import type { placesIn } from './places.ts';

type Places = Pick<ReturnType<typeof placesIn>, 'snapshots' | 'database'>;

/** What was written, and where. */
export interface Snapshot {
  readonly path: string;
  readonly bytes: number;
  readonly position: number;
}

/**
 * Writes a copy of the whole state to `path`, or to a file that is named after the time. A caller's path is looked at first: nothing
 * that is there is replaced, no folder is made for it, and MAOS's own files keep their names to themselves.
 */
export async function takeSnapshot(
  core: Pick<CoreClient, 'snapshot'>,
  places: Places,
  path: string | undefined,
  now: number,
): Promise<Snapshot> {
  const target = path ?? join(places.snapshots, `${new Date(now).toISOString().replaceAll(':', '-')}.db`);
  if (path === undefined) mkdirSync(places.snapshots, { recursive: true, mode: 0o700 });
  refuseTarget(target, places);
  const result = await core.snapshot(target);
  if (!result.ok) throw errorFrom(result.error);
  return { path: target, bytes: statSync(target).size, position: result.position };
}

function refuseTarget(path: string, places: Places): void {
  const folder = realFolder(path);
  // Beside the database stand its WAL, its lock and its drafts: a file under one of their names would be taken for it.
  if (isWithin(folder, realpathSync(dirname(places.database))) && !isWithin(folder, snapshots(places))) {
    throw invalid(`${path} is among the files that MAOS itself keeps in ${dirname(places.database)}.`, {
      fix: `Name a file in ${places.snapshots}, or outside of ${dirname(places.database)}.`,
    });
  }
  for (const taken of [path, `${path}.partial`]) {
    if (!isThere(join(folder, basename(taken)))) continue;
    throw conflict(`${taken} exists.`, { fix: 'Give the name of a new file.' });
  }
}

/** The folder of a file that is to be made, without links on the way to it. */
function realFolder(path: string): string {
  const folder = dirname(path);
  const fix = { fix: 'Name a file in a folder that exists and that you may write.' };
  if (path.endsWith('/')) throw invalid(`${path} is the name of a folder, not of a file.`, fix);
  try {
    if (statSync(folder).isDirectory()) return realpathSync(folder);
  } catch (error) {
    throw invalid(`${folder} cannot be written to: ${error instanceof Error ? error.message : String(error)}.`, fix);
  }
  throw invalid(`${folder} is not a folder.`, fix);
}

/** The folder of snapshots, which need not be there. */
function snapshots(places: Places): string {
  return join(realpathSync(dirname(places.snapshots)), basename(places.snapshots));
}

function isWithin(folder: string, outer: string): boolean {
  return folder === outer || folder.startsWith(`${outer}/`);
}

/** Links count, wherever they lead. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
