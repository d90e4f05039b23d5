import { fields, type Git } from './git.ts';

/** A change in the user's checkout that an agent starting from the base does not see. */
export interface AbsentChange {
  readonly path: string;
  /** `untracked` paths that end in `/` are whole folders. `conflicted`: a merge of the user is not finished. */
  readonly kind: 'modified' | 'deleted' | 'added' | 'untracked' | 'conflicted';
  readonly staged: boolean;
}

/** The user's uncommitted changes that are not in `base`. */
export async function absentChanges(git: Git, checkout: string, base: string): Promise<AbsentChange[]> {
  const status = await git.run(checkout, [
    'status',
    '--porcelain=v2',
    '-z',
    '--untracked-files=normal',
    '--no-renames',
  ]);
  const changes = fields(status).flatMap(parseChange);
  if (changes.length === 0) return [];
  // The base may be ahead of the user's HEAD and contain a change already.
  const differs = new Set(
    fields(await git.run(checkout, ['diff', '--name-only', '-z', '--no-renames', '--no-ext-diff', base])),
  );
  const result: AbsentChange[] = [];
  for (const change of changes) {
    const there =
      change.kind === 'untracked' ? !(await sameInBase(git, checkout, base, change.path)) : differs.has(change.path);
    if (there) result.push(change);
  }
  return result;
}

/** The list as a paragraph for an agent's prompt, or null when nothing is absent. */
export function absentNote(changes: readonly AbsentChange[], base: string, limit = 40): string | null {
  if (changes.length === 0) return null;
  const lines = changes
    .slice(0, limit)
    .map((change) => `- ${change.path} (${change.kind}${change.staged ? ', staged' : ''})`);
  if (changes.length > limit) lines.push(`- and ${changes.length - limit} more`);
  return [
    `You start from commit ${base.slice(0, 12)}. The user has uncommitted changes in these files, and you do NOT see them here:`,
    ...lines,
    'Do not conclude anything about this unfinished work from the files that you see.',
  ].join('\n');
}

function parseChange(entry: string): AbsentChange[] {
  const [type, states = '', ...rest] = entry.split(' ');
  if (type === '?') return [{ path: entry.slice(2), kind: 'untracked', staged: false }];
  if (type === 'u') return [{ path: rest.slice(8).join(' '), kind: 'conflicted', staged: false }];
  if (type !== '1') return [];
  const kind = states.includes('D') ? 'deleted' : states.startsWith('A') ? 'added' : 'modified';
  return [{ path: rest.slice(6).join(' '), kind, staged: !states.startsWith('.') }];
}

async function sameInBase(git: Git, checkout: string, base: string, path: string): Promise<boolean> {
  if (path.endsWith('/')) return false;
  const blob = await git.attempt(checkout, ['rev-parse', '--quiet', '--verify', '--end-of-options', `${base}:${path}`]);
  if (blob.code !== 0) return false;
  return (await git.run(checkout, ['hash-object', '--', path])) === blob.stdout;
}
