import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import type { Handler, Reactor, Reader } from '../kernel/handler.ts';
import { policyActions } from '../policy/actions.ts';
import { policyEvents } from '../policy/contract.ts';
import { PolicyBook, repositoryAt } from '../policy/book.ts';
import { resolveProject } from '../projects/views.ts';
import { getWorkspace } from '../workspaces/views.ts';
import type { Environment } from './places.ts';

/** The rules of this machine, and the operations that show and change them. */
export interface Rules {
  readonly book: PolicyBook;
  readonly handlers: readonly Handler[];
}

export interface RulesOptions {
  readonly reader: Reader;
  /** MAOS_HOME. */
  readonly home: string;
  readonly environment: Environment;
  readonly now: () => number;
}

/** Refuses a policy file of the home folder that cannot be read, with line and column. */
export async function openRules({ reader, home, environment, now }: RulesOptions): Promise<Rules> {
  const book = await PolicyBook.open({
    home: environment['HOME'] ?? homedir(),
    maosHome: home,
    reader,
    repositoryOf: repositories(reader),
    now,
  });
  return { book, handlers: policyActions({ book, file: join(home, 'policy.yaml') }) };
}

/** Rules that were set anywhere are in the log, and hold from there on; a reload that comes after another one sees what that saw. */
export function ruleFollower(book: PolicyBook): Reactor {
  return { name: 'policy-book', types: [policyEvents.changed.type], react: () => book.reload() };
}

/** So many workspaces are remembered. */
const kept = 10_000;

/** A workspace of MAOS belongs to a project, whose own checkout counts; any other folder to the repository it lies in. */
function repositories(reader: Reader): (workspace: string) => string | null {
  const known = new Map<string, string | null>();
  return (workspace) => {
    const remembered = known.get(workspace);
    if (remembered !== undefined) return remembered;
    const found = projectOf(reader, workspace) ?? repositoryAt(workspace);
    if (known.size >= kept) known.clear();
    known.set(workspace, found);
    return found;
  };
}

function projectOf(reader: Reader, workspace: string): string | null {
  try {
    const { path, project } = getWorkspace(reader, basename(workspace));
    return path === workspace ? resolveProject(reader, project).path : null;
  } catch {
    // No workspace has this id: it is a folder that MAOS did not make.
    return null;
  }
}
