import { isAbsolute, normalize } from 'node:path';
import * as z from 'zod';

/** Longer than any path that a system takes. */
const longest = 4_096;

/**
 * A path that a caller gives. The server stands in a folder of its own, so a path that is not said from the root would
 * mean another place than the caller's; the shell makes relative paths whole before it sends them.
 */
export const absolutePath = z
  .string()
  .min(1)
  .max(longest)
  .refine((path) => isAbsolute(path), 'Is not an absolute path: write it from the root, as /folder/file.')
  .refine((path) => normalize(path) === path, 'Is not the shortest form: leave out ".", ".." and double slashes.')
  .refine((path) => !path.includes('\0') && path.isWellFormed(), 'Holds a character that no path can hold.');
