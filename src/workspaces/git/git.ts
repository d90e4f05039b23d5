import { rm } from 'node:fs/promises';
import { AppError, conflict } from '../../kernel/error.ts';
import type { Exec, ExecResult } from '../../kernel/exec.ts';
import { KeyedMutex } from '../../kernel/mutex.ts';
import { commonDirectory, isLeftLock } from './folder.ts';

/** Who stands as author or committer of a commit. */
export interface Identity {
  readonly name: string;
  readonly email: string;
}

export interface GitCall {
  /** Another index file than that of the worktree. */
  readonly index?: string;
  readonly input?: string;
  readonly author?: Identity;
  readonly timeout?: number;
}

/** Runs git with an environment in which nothing outside the repository can surprise MAOS. */
export interface Git {
  /** Runs git in the folder `at` and returns its stdout; an exit code other than 0 is an AppError. */
  run(at: string, args: readonly string[], call?: GitCall): Promise<string>;
  /** Runs git in the folder `at`; the caller judges the exit code. */
  attempt(at: string, args: readonly string[], call?: GitCall): Promise<ExecResult>;
  /** One task at a time per repository (any folder of it, or of its worktrees, names it). Not re-entrant. */
  serially<T>(at: string, task: () => Promise<T>): Promise<T>;
  /** The user's name and address as this repository knows them, or MAOS's own. */
  identity(at: string): Promise<Identity>;
  /** Whether a git process that was told about the folder `at` is still alive, for example one that outlived a killed server. */
  busy(at: string): Promise<boolean>;
}

const maos: Identity = { name: 'MAOS', email: 'maos@localhost' };

/**
 * All that git gets of the server's environment. A repository may name programs that git starts (filters, merge
 * drivers), and agents write in repositories: what these programs see must hold no secret.
 */
const kept = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'TZ',
  'TMPDIR',
  'XDG_CONFIG_HOME',
  // How a user says that git is to be run; every other GIT_ variable would point git elsewhere.
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_EXEC_PATH',
  'GIT_SSH',
  'GIT_SSH_COMMAND',
]);

// Hooks, signing, file system monitors and background maintenance belong to the user's own commands.
const settings = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.quotePath=false',
  'core.filesRefLockTimeout=5000',
  'core.packedRefsTimeout=10000',
  'commit.gpgSign=false',
  'tag.gpgSign=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'submodule.recurse=false',
  'rerere.enabled=false',
  'merge.conflictStyle=diff3',
  'checkout.workers=0',
  'color.ui=false',
].flatMap((setting) => ['-c', setting]);

/** Binds git to an `Exec` and to the base environment (PATH, HOME …) of the server. */
export function createGit(exec: Exec, env: Readonly<Record<string, string>>): Git {
  const mutex = new KeyedMutex();
  const base: Record<string, string> = {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => kept.has(name) || /^(LC|SSH)_/.test(name))),
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_EDITOR: 'true',
    GIT_SEQUENCE_EDITOR: 'true',
    GIT_PAGER: 'cat',
    LC_ALL: 'C',
  };
  const identity = async (at: string): Promise<Identity> => {
    const found = new Map<string, string>();
    const config = await attempt(at, ['config', '-z', '--get-regexp', '^user\\.(name|email)$']);
    for (const entry of fields(config.stdout)) {
      const [key = '', ...value] = entry.split('\n');
      found.set(key.toLowerCase(), value.join('\n'));
    }
    const name = env['GIT_AUTHOR_NAME'] ?? found.get('user.name');
    const email = env['GIT_AUTHOR_EMAIL'] ?? found.get('user.email');
    // Half an identity is none: git would complete it with the name of the machine.
    return name !== undefined && name !== '' && email !== undefined && email !== '' ? { name, email } : maos;
  };
  const busy: Git['busy'] = async (at) => {
    const list = await exec('ps', ['-A', '-ww', '-o', 'args='], { cwd: '/', env: base });
    return list.stdout.split('\n').some((line) => line.startsWith('git ') && `${line} `.includes(` ${at} `));
  };
  /** A lock that a killed git has left is in the way for ever: it is taken away once. */
  const attempt: Git['attempt'] = async (at, args, call) => {
    const result = await once(at, args, call);
    const lock = result.code === 0 ? undefined : /Unable to create '(.+\.lock)': File exists/.exec(result.stderr)?.[1];
    if (lock === undefined || !(await isLeftLock(lock)) || (await busy(at))) return result;
    await rm(lock, { force: true });
    return once(at, args, call);
  };
  const once: Git['attempt'] = (at, args, call = {}) =>
    exec('git', ['-C', at, ...settings, ...args], {
      cwd: '/',
      timeout: call.timeout ?? 600_000,
      env: {
        ...base,
        ...(call.index === undefined ? {} : { GIT_INDEX_FILE: call.index }),
        ...(call.author === undefined ? {} : identityVariables(call.author)),
      },
      ...(call.input === undefined ? {} : { input: call.input }),
    });
  return {
    attempt,
    identity,
    async run(at, args, call) {
      const result = await attempt(at, args, call);
      if (result.code !== 0) throw gitFailure(args, result);
      return result.stdout;
    },
    async serially(at, task) {
      return mutex.run(await commonDirectory(at), task);
    },
    busy,
  };
}

function identityVariables(identity: Identity): Record<string, string> {
  return {
    GIT_AUTHOR_NAME: identity.name,
    GIT_AUTHOR_EMAIL: identity.email,
    GIT_COMMITTER_NAME: identity.name,
    GIT_COMMITTER_EMAIL: identity.email,
  };
}

/** The fields of NUL-separated output. */
export function fields(output: string): string[] {
  const parts = output.split('\0');
  if (parts.at(-1) === '') parts.pop();
  return parts;
}

type Known = readonly [pattern: RegExp, code: 'unavailable' | 'conflict' | 'invalid', fix: string];

// Only what passes by itself, or as soon as the machine is well again, is `unavailable`: that is tried again for ever.
const fixes: readonly Known[] = [
  [
    /\.lock': File exists|could not lock config file .*: File exists|Another git process seems to be running/,
    'unavailable',
    'Another git command is at work in this repository; try again when it has ended.',
  ],
  [/No space left on device|Disk quota exceeded/, 'unavailable', 'Free some disk space, then try again.'],
  [
    /Cannot allocate memory|Out of memory|Resource temporarily unavailable|Too many open files|Input\/output error/,
    'unavailable',
    'The machine is short of something; try again when it has recovered.',
  ],
  [
    /cannot change to '|not a git repository/,
    'unavailable',
    'If the repository was moved, say where it is (maos project move), then run `maos doctor --repair`.',
  ],
  [/was ended: /, 'unavailable', 'It took too long, or was stopped; try again.'],
  [
    /dubious ownership/,
    'invalid',
    'Run `git config --global --add safe.directory <path>` if you trust this repository.',
  ],
];

const missing: Known = [/ENOENT/, 'unavailable', 'Install git 2.38 or newer and make sure that it is on PATH.'];
const killed: Known = [/^/, 'unavailable', 'The git command was killed; try again.'];

/** What git said, as an error that names the command and what to do. */
export function gitFailure(args: readonly string[], result: ExecResult): AppError {
  const { code, stderr } = result;
  const details = { args, exitCode: code, stderr };
  const [, wanted, inTheWay] = /cannot lock ref '(.+?)': '(.+?)' exists; cannot create/.exec(stderr) ?? [];
  if (wanted !== undefined && inTheWay !== undefined) {
    const [name, other] = [wanted, inTheWay].map((ref) => ref.replace(/^refs\/heads\//, ''));
    return conflict(
      `The branch "${name}" cannot be made: there is a branch "${other}", and git keeps one or the other.`,
      {
        fix: `Rename it (git branch -m ${other} NEW-NAME), then try again.`,
        details,
      },
    );
  }
  // A program that was not found says 127; 129 and above is the signal that ended it (128 is git's own "fatal").
  const known =
    (code === 127 ? missing : undefined) ??
    fixes.find(([pattern]) => pattern.test(stderr)) ??
    (code > 128 && code < 160 && code !== 129 ? killed : undefined);
  const said = stderr.trim().split('\n').slice(-3).join(' ') || `exit code ${code}`;
  return new AppError(known?.[1] ?? 'conflict', `git ${args[0] ?? ''} failed: ${said}`, {
    fix: known?.[2] ?? 'Run `maos doctor`; it compares what MAOS knows with the state of the repository.',
    details,
  });
}

/** The commit that a revision names, or null when there is none. Throws when git could not look. */
export async function resolveCommit(git: Git, at: string, revision: string): Promise<string | null> {
  const args = ['rev-parse', '--quiet', '--verify', '--end-of-options', `${revision}^{commit}`];
  const result = await git.attempt(at, args);
  if (result.code === 0) return result.stdout.trim();
  // 1: no such revision. Anything else, taken for "there is none", would make a branch of work look lost.
  if (result.code === 1) return null;
  throw gitFailure(args, result);
}

/** Whether everything in `ancestor` is contained in `descendant`. */
export async function isAncestor(git: Git, at: string, ancestor: string, descendant: string): Promise<boolean> {
  const args = ['merge-base', '--is-ancestor', ancestor, descendant];
  const result = await git.attempt(at, args);
  if (result.code > 1) throw gitFailure(args, result);
  return result.code === 0;
}

/** Waits until no git process of a killed server works in `at` any more. */
export async function settle(git: Git, at: string): Promise<void> {
  // Each look at the process table takes some milliseconds, which is all the waiting that is needed here.
  for (let looks = 0; looks < 500; looks += 1) {
    if (!(await git.busy(at))) return;
  }
  throw new AppError('unavailable', `A git process is still at work in ${at}.`, {
    fix: 'Try again when it has ended.',
  });
}
