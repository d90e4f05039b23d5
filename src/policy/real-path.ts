import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';

/** More links that lead nowhere, and more folders that are not there, are not gone through. */
const steps = 64;

/** Where a path leads once its links are followed; of what does not exist, as far as it does. `from`: a folder that leads nowhere else. */
export function realPath(path: string, from?: string): string {
  return from !== undefined && isStraight(path, from) ? path : follow(path, steps);
}

/** Whether no link stands between a folder and a path below it. Looking at each part costs less than having the whole path followed. */
function isStraight(path: string, from: string): boolean {
  if (!path.startsWith(from + sep)) return false;
  try {
    for (let at = path.indexOf(sep, from.length + 1); ; at = path.indexOf(sep, at + 1)) {
      const stat = lstatSync(at === -1 ? path : path.slice(0, at), { throwIfNoEntry: false });
      if (stat?.isSymbolicLink() === true) return false;
      // Below what is no folder there is nothing.
      if (at === -1 || stat === undefined || !stat.isDirectory()) return true;
    }
  } catch {
    return false;
  }
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
