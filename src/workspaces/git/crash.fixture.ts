import { exec, type Exec } from '../../kernel/exec.ts';
import { createGit, type Git } from './git.ts';
import { landOnBranch } from './land.ts';
import { removeWorktree, restoreTrash } from './remove.ts';
import { addWorktree } from './worktree.ts';

/** For tests: where an operation dies. `during`: its git command has been started, and goes on alone. */
export interface Crash {
  readonly at: number;
  readonly when: 'before' | 'during' | 'after';
}

/** An `Exec` that calls `die` at the chosen git command; `die` does not come back. */
export function crashing(crash: Crash, die: () => Promise<never>): Exec {
  let count = 0;
  return async (file, args, options) => {
    if (file !== 'git') return exec(file, args, options);
    count += 1;
    if (count !== crash.at) return exec(file, args, options);
    if (crash.when === 'before') return die();
    const running = exec(file, args, options);
    if (crash.when === 'after') await running;
    return die();
  };
}

/** Runs `task` until it dies at the given point; false when it ended before. What it awaited last never settles. */
export async function runUntilCrash(
  env: Readonly<Record<string, string>>,
  crash: Crash,
  task: (git: Git) => Promise<unknown>,
): Promise<boolean> {
  const death = Promise.withResolvers<boolean>();
  const die = (): Promise<never> => {
    death.resolve(true);
    return new Promise(() => undefined);
  };
  return Promise.race([death.promise, task(createGit(crashing(crash, die), env)).then(() => false)]);
}

// As a program: `node crash.fixture.ts '{ operation, request, env, crash }'` really is killed with SIGKILL at that point.
if (process.argv[1] === import.meta.filename) {
  const { operation, request, env, crash } = JSON.parse(process.argv[2] ?? '');
  const die = (): Promise<never> => {
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => undefined);
  };
  const git = createGit(crash === null ? exec : crashing(crash, die), env);
  if (operation === 'addWorktree') await addWorktree(git, request);
  else if (operation === 'landOnBranch') await landOnBranch(git, request);
  else if (operation === 'removeWorktree') await removeWorktree(git, request);
  else await restoreTrash(git, request);
}
