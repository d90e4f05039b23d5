import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { absent, exists, gitDirectory, isFolder } from './folder.ts';
import { resolveCommit, type Git } from './git.ts';
import { resumeLanding, unfinishedLandings } from './land.ts';
import { dropLeftLocks, leftLocks } from './locks.ts';
import { updateRef } from './merge.ts';
import {
  attachWorktree,
  forget,
  listWorktrees,
  lockReasons,
  lockWorktree,
  removeThrowaway,
  repairWorktrees,
  type Worktree,
} from './worktree.ts';

/** A workspace as the log knows it. */
export interface KnownWorkspace {
  readonly id: string;
  readonly path: string;
  readonly branch: string;
  /** `failed`: it could not be made. `removed`: its removal is complete according to the log. */
  readonly state: 'live' | 'failed' | 'removed';
  /** The last commit that the log has of it, to bring a lost branch back. */
  readonly head: string | null;
}

/** One disagreement of log and git. */
export interface Finding {
  readonly kind:
    | 'folder_missing'
    | 'disconnected'
    | 'branch_missing'
    | 'branch_switched'
    | 'half_made'
    | 'unlocked'
    | 'not_removed'
    | 'unknown_worktree'
    | 'unknown_folder'
    | 'stale_check'
    | 'landing_interrupted'
    | 'left_lock';
  /** The workspace, or null when the log knows none. */
  readonly id: string | null;
  readonly path: string;
  readonly message: string;
  /** What the repair does, or what a person should do when there is none. */
  readonly fix: string;
  /** Sets it right without losing anything, or null when a person has to decide. Idempotent. */
  readonly repair: (() => Promise<void>) | null;
}

interface Scene {
  readonly git: Git;
  readonly repository: string;
  readonly listed: readonly Worktree[];
}

/**
 * Compares the workspaces of the log with the worktrees of git and with the folders that MAOS made for this
 * repository. Looks only; each finding carries its repair. Repairing everything and looking again ends.
 */
export async function diagnose(
  git: Git,
  request: { repository: string; folder: string; known: readonly KnownWorkspace[]; checksRunning: boolean },
): Promise<Finding[]> {
  const { repository, folder, known } = request;
  const scene: Scene = { git, repository, listed: await listWorktrees(git, repository) };
  const perWorkspace = await Promise.all(
    known.map((workspace) =>
      workspace.state === 'live' ? examineLive(scene, workspace) : examineGone(scene, workspace),
    ),
  );
  return [
    ...perWorkspace.filter((finding) => finding !== null),
    ...(await examineUnknown(scene, folder, known, request.checksRunning)),
    ...(await examineLandings(scene)),
    ...(await examineLocks(scene)),
  ];
}

async function examineLive(scene: Scene, workspace: KnownWorkspace): Promise<Finding | null> {
  const { git, repository, listed } = scene;
  const { id, path, branch } = workspace;
  const entry = listed.find((worktree) => worktree.path === path);
  const tip = await resolveCommit(git, repository, `refs/heads/${branch}`);
  const about = { id, path };
  if (!(await isFolder(path))) return missingFolder(scene, workspace, tip);
  if (entry === undefined || !(await isConnected(path))) {
    return {
      ...about,
      kind: 'disconnected',
      message: `${path} and its repository do not know each other: one of them was moved, or git's record was pruned.`,
      fix: '`git worktree repair` connects them again.',
      repair: async () => void (await repairWorktrees(git, repository, [path])),
    };
  }
  if (entry.locked === lockReasons.filling) {
    return {
      ...about,
      kind: 'half_made',
      message: `${path} was being filled when MAOS stopped.`,
      fix: 'Making it is completed.',
      repair: async () => void (await attachWorktree(git, { repository, path, branch })),
    };
  }
  if (tip === null) return missingBranch(scene, workspace);
  if (entry.branch !== branch) {
    return {
      ...about,
      kind: 'branch_switched',
      message: `${path} is on ${entry.branch ?? 'a detached HEAD'}, but its workspace belongs to "${branch}".`,
      fix: `Look at the commits there; \`git -C ${path} switch ${branch}\` goes back.`,
      repair: null,
    };
  }
  if (entry.locked !== null) return null;
  return {
    ...about,
    kind: 'unlocked',
    message: `Git does not know that ${path} is in use: another tool could remove it.`,
    fix: 'It is locked again.',
    repair: () => lockWorktree(path),
  };
}

function missingFolder(scene: Scene, workspace: KnownWorkspace, tip: string | null): Finding {
  const { git, repository } = scene;
  const { id, path, branch } = workspace;
  return {
    id,
    path,
    kind: 'folder_missing',
    message: `${path} has vanished${tip === null ? `, and so has its branch "${branch}"` : ''}.`,
    fix:
      tip === null
        ? 'Remove the workspace with `maos rm`; `maos trash` shows what was rescued.'
        : 'The folder is made again from its branch; what was not committed there is gone with the folder.',
    repair: tip === null ? null : async () => void (await attachWorktree(git, { repository, path, branch })),
  };
}

function missingBranch(scene: Scene, workspace: KnownWorkspace): Finding {
  const { git, repository } = scene;
  const { id, path, branch, head } = workspace;
  return {
    id,
    path,
    kind: 'branch_missing',
    message: `The branch "${branch}" of ${path} has vanished.`,
    fix:
      head === null
        ? `Find its last commit with \`git -C ${path} reflog\`.`
        : `It is made again at ${head.slice(0, 12)}.`,
    repair:
      head === null
        ? null
        : async () =>
            void (await updateRef(git, {
              at: repository,
              ref: `refs/heads/${branch}`,
              new: head,
              old: null,
              reason: 'maos: doctor',
            })),
  };
}

async function isConnected(path: string): Promise<boolean> {
  return (await exists(join(path, '.git'))) && (await exists(await gitDirectory(path)));
}

/** Of what was removed, or could not be made, nothing should be there. */
async function examineGone(scene: Scene, workspace: KnownWorkspace): Promise<Finding | null> {
  const { git, repository, listed } = scene;
  const { id, path, state } = workspace;
  const there = await exists(path);
  if (!there && !listed.some((worktree) => worktree.path === path)) return null;
  if (state === 'failed') {
    return {
      id,
      path,
      kind: 'half_made',
      message: `${path} could not be made, and a part of it is left.`,
      fix: `\`maos workspace remove ${id}\` clears it away.`,
      repair: null,
    };
  }
  return {
    id,
    path,
    kind: 'not_removed',
    message: there
      ? `${path} was removed according to the log, but is there.`
      : `Git still lists ${path}, which was removed.`,
    fix: there ? 'Look at what it holds, and move or delete it by hand.' : 'Git forgets it.',
    repair: there ? null : () => git.serially(repository, () => forget(git, repository, path)),
  };
}

async function examineUnknown(
  scene: Scene,
  folder: string,
  known: readonly KnownWorkspace[],
  checksRunning: boolean,
): Promise<Finding[]> {
  const { git, repository, listed } = scene;
  const paths = new Set(known.map((workspace) => workspace.path));
  const findings: Finding[] = [];
  for (const worktree of listed.filter((entry) => entry.path.startsWith(`${folder}/`) && !paths.has(entry.path))) {
    const { path } = worktree;
    const check = worktree.locked === lockReasons.throwaway;
    if (check && checksRunning) continue;
    findings.push({
      id: null,
      path,
      kind: check ? 'stale_check' : 'unknown_worktree',
      message: check ? `${path} is left over from a check.` : `${path} is a worktree that the log does not know.`,
      fix: check ? 'It is removed.' : `Keep its work, then run \`git worktree remove --force --force ${path}\`.`,
      repair: check ? () => removeThrowaway(git, repository, path) : null,
    });
  }
  for (const name of (await readdir(folder).catch(absent)) ?? []) {
    const path = join(folder, name);
    if (paths.has(path) || listed.some((entry) => entry.path === path || entry.path.startsWith(`${path}/`))) continue;
    if (!(await exists(join(path, '.git')))) continue;
    findings.push({
      id: null,
      path,
      kind: 'unknown_folder',
      message: `${path} looks like a worktree, but neither the log nor git knows it.`,
      fix: 'Look at what it holds, and move or delete it by hand.',
      repair: null,
    });
  }
  return findings;
}

async function examineLandings(scene: Scene): Promise<Finding[]> {
  const { git, repository } = scene;
  return (await unfinishedLandings(repository)).map((entry) => ({
    id: null,
    path: entry.checkouts[0] ?? repository,
    kind: 'landing_interrupted' as const,
    message: `Landing ${entry.commit.slice(0, 12)} on "${entry.branch}" was interrupted.`,
    fix: 'It is completed, unless a file was edited since.',
    repair: async () => void (await resumeLanding(git, repository, entry.branch)),
  }));
}

async function examineLocks(scene: Scene): Promise<Finding[]> {
  const { git, repository } = scene;
  return (await leftLocks(git, repository)).map(({ path, own }) => ({
    id: null,
    path,
    kind: 'left_lock' as const,
    message: `A git that was killed has left ${path}: nothing can change what it locks.`,
    fix: own ? 'It is removed.' : 'When no git command of yours is at work there, delete the file.',
    repair: own ? async () => void (await dropLeftLocks(git, repository)) : null,
  }));
}
