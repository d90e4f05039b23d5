import { constants } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { invalid } from '../kernel/error.ts';

const maxBytes = 1_000_000;
const refusedCodes = new Set(['ELOOP', 'ENXIO', 'EISDIR']);

const notRegular = () =>
  invalid('$MAOS_OUTPUT is not a regular file any more.', {
    fix: 'Write to the file that $MAOS_OUTPUT names; do not put a link or a pipe in its place.',
  });

/** Opens without waiting and without following a link: what a task put there must not hold up the server. */
async function openFile(path: string) {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (error.code === 'ENOENT') return null;
    throw refusedCodes.has(String(error.code)) ? notRegular() : error;
  }
}

/** In a task's folder of output files, which are named by their attempts, the newest: what the last one that wrote anything has written. */
export async function latestFile(folder: string): Promise<string | null> {
  await mkdir(folder, { recursive: true });
  const [newest] = (await readdir(folder)).toSorted((a, b) => Number(b) - Number(a));
  return newest === undefined ? null : join(folder, newest);
}

/** The text that a task has left in its output file; empty when it wrote none. */
export async function readOutputFile(path: string): Promise<string> {
  const file = await openFile(path);
  if (file === null) return '';
  try {
    if (!(await file.stat()).isFile()) throw notRegular();
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      length += bytesRead;
      if (bytesRead === 0) break;
    }
    if (length > maxBytes)
      throw invalid('The output file is larger than 1 MB.', {
        fix: 'Put the data in a file of the repository and hand on its path.',
      });
    return buffer.toString('utf8', 0, length);
  } finally {
    await file.close();
  }
}
