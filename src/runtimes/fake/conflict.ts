import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

/** Which side of a conflict stays. */
export type ConflictPolicy = 'both' | 'ours' | 'theirs';

/** A text with conflict markers, without them. */
export function resolveMarkers(text: string, policy: ConflictPolicy): string {
  let side: 'none' | 'ours' | 'base' | 'theirs' = 'none';
  const kept: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('<<<<<<< ')) side = 'ours';
    else if (line.startsWith('||||||| ') && side === 'ours') side = 'base';
    else if (line === '=======' && side !== 'none') side = 'theirs';
    else if (line.startsWith('>>>>>>> ') && side === 'theirs') side = 'none';
    else if (side === 'none' || side === policy || (policy === 'both' && side !== 'base')) kept.push(line);
  }
  return kept.join('\n');
}

/** Resolves every conflicted file of the repository in the working directory; returns their names. */
export function resolveConflicts(policy: ConflictPolicy): string[] {
  let listed: string;
  try {
    listed = execFileSync('git', ['diff', '--name-only', '--diff-filter=U', '-z'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    // Not a repository: nothing can be in conflict.
    return [];
  }
  const paths = listed.split('\0').filter((path) => path !== '');
  for (const path of paths) {
    writeFileSync(path, resolveMarkers(readFileSync(path, 'utf8'), policy));
    execFileSync('git', ['add', '--', path]);
  }
  return paths;
}
