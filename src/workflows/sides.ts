import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** More than this of a conflict is read in the files themselves. */
const most = 12_000;

/** The lines between conflict markers, each part with the line where it begins. */
function parts(text: string): string[] {
  const found: string[] = [];
  let open: { readonly at: number; readonly lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('<<<<<<< ')) open = { at: index + 1, lines: [] };
    open?.lines.push(line);
    if (open === undefined || !line.startsWith('>>>>>>> ')) continue;
    found.push(`from line ${open.at}:\n${open.lines.join('\n')}`);
    open = undefined;
  }
  return found;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // One side may have deleted it.
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}

/** Both sides of every conflict, and what they have in common, as they stand in the files of a worktree. */
export async function conflictSides(worktree: string, files: readonly string[]): Promise<string> {
  const told: string[] = [];
  let length = 0;
  for (const file of files) {
    for (const part of parts(await textOf(join(worktree, file)))) {
      length += part.length;
      if (length > most) return [...told, 'The other conflicts stand in the files.'].join('\n\n');
      told.push(`${file}, ${part}`);
    }
  }
  return told.join('\n\n');
}
