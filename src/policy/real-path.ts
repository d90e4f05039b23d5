import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** More links that lead nowhere, and more folders that are not there, are not gone through. */
const steps = 64;

/** Where a path leads once its links are followed; of what does not exist, as far as it does. */
export function realPath(path: string): string {
  return follow(path, steps);
}

function follow(path: string, left: number): string {
  if (left === 0) return path;
  try {
    // Asking first costs less than an error.
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      const up = dirname(path);
      return up === path ? path : join(follow(up, left - 1), basename(path));
    }
    if (!stat.isSymbolicLink()) return realpathSync.native(path);
  } catch {
    // Nobody may look there: the path is taken as it is written.
    return path;
  }
  try {
    return realpathSync.native(path);
  } catch {
    // It leads to what is not there yet, and would make it.
    return follow(resolve(follow(dirname(path), left - 1), readlinkSync(path)), left - 1);
  }
}
