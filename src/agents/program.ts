import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Where a program is found, the way exec looks for it; undefined when it is not. */
export function findProgram(name: string, searchPath: string | undefined, cwd: string): string | undefined {
  if (name.includes('/')) {
    const path = isAbsolute(name) ? name : resolve(cwd, name);
    return isExecutable(path) ? path : undefined;
  }
  const folders = (searchPath ?? '/usr/bin:/bin').split(delimiter);
  return folders.map((folder) => join(resolve(cwd, folder), name)).find(isExecutable);
}
