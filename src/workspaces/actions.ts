import { join } from 'node:path';
import { AppError, conflict, invalid, notFound } from '../kernel/error.ts';
import { action, type ActionContext, type Handler } from '../kernel/handler.ts';
import { branchActions } from './branches.ts';
import { allPassed, checkCommit, type CheckTools } from './check.ts';
import { type Workspace, workspaceOps } from './contract.ts';
import { absentChanges } from './git/absent.ts';
import { commitAll, type Departure, isMerging } from './git/commit.ts';
import { fastForward, finishConflict, startConflict } from './git/conflict.ts';
import { isFolder } from './git/folder.ts';
import { type Git, resolveCommit } from './git/git.ts';
import { includeFiles } from './git/include.ts';
import { purgeTrash, readTrash, removalPlan, removeWorktree, restoreTrash } from './git/remove.ts';
import { changedFiles, checkExpectations, diffText, worktreeStatus } from './git/status.ts';
import { mendTorn } from './git/torn.ts';
import { addWorktree } from './git/worktree.ts';
import { repositoryOf } from './repository.ts';
import { refuseHeld } from './service.ts';
import { workspaceFor } from './views.ts';

/** What actions on workspaces need from outside. */
export interface WorkspaceTools extends CheckTools {
  readonly trash: string;
}

/** A workspace with its folder. One whose folder was deleted by hand is refused, with what to do. */
async function present(ctx: ActionContext, workspace: string): Promise<Workspace> {
  const found = await ctx.call(workspaceOps.get, { workspace });
  if (await isFolder(found.path)) return found;
  throw conflict(`The worktree ${found.path} is gone: it was deleted by hand.`, {
    fix: 'maos doctor --repair makes it again from its branch; maos task retry begins the task anew.',
  });
}

function create({ git, root }: WorkspaceTools): Handler {
  return action(workspaceOps.create, async (ctx, input) => {
    const known = workspaceFor(ctx.db, input.key);
    if (known?.state === 'ready') return known;
    const repository = await repositoryOf(ctx, input.project);
    const base = await resolveCommit(git, repository, input.base);
    if (base === null)
      throw invalid(`There is no commit "${input.base}" in ${repository}.`, {
        fix: 'Give a branch or a commit of it.',
      });
    const reserved = await ctx.call(workspaceOps.reserve, { ...input, base, root });
    if (reserved.state === 'ready') return reserved;
    if (reserved.state !== 'requested' && reserved.state !== 'failed') {
      throw conflict(`Workspace ${reserved.id} (${input.key}) is ${reserved.state}.`, {
        fix: 'maos workspace restore brings it back.',
      });
    }
    try {
      return await make(ctx, git, repository, reserved);
    } catch (error) {
      // What passes by itself leaves it requested: whoever asked asks again.
      if (!(error instanceof AppError && error.code === 'unavailable')) await giveUp(ctx, reserved.id, error);
      throw error;
    }
  });
}

async function make(ctx: ActionContext, git: Git, repository: string, reserved: Workspace): Promise<Workspace> {
  const { id, path, branch, base } = reserved;
  await addWorktree(git, { repository, path, branch, base });
  await includeFiles(git, repository, path);
  const absent = (await absentChanges(git, repository, base)).map((change) => change.path);
  return ctx.call(workspaceOps.report, { workspace: id, result: { kind: 'ready', absent } });
}

async function giveUp(ctx: ActionContext, workspace: string, error: unknown): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error);
  await ctx.call(workspaceOps.fail, { workspace, reason });
}

function departed(departure: Departure): string {
  switch (departure.kind) {
    case 'branch_switched':
      return `Its worktree is on ${departure.actual ?? 'no branch'} instead of ${departure.expected}: the agent switched away.`;
    case 'history_rewritten':
      return `The commit it began at (${departure.base.slice(0, 12)}) is no longer in its history: the agent rewrote it.`;
    case 'unmerged':
      return `A merge was left half done: ${departure.files.join(', ')}.`;
  }
}

function commit({ git }: WorkspaceTools): Handler {
  return action(workspaceOps.commit, async (ctx, { workspace, since, onto, message, expects }) => {
    const { path, branch } = await present(ctx, workspace);
    const none = { commit: null, files: 0, added: 0, deleted: 0 };
    const other = onto ?? ((await isMerging(path)) ? await resolveCommit(git, path, 'MERGE_HEAD') : null);
    const request = { worktree: path, branch, base: since, message };
    const result = other === null ? await commitAll(git, request) : await finishConflict(git, { ...request, other });
    if (result.kind === 'unresolved') {
      return { ...none, problem: `Conflicts are not resolved: ${result.files.map((file) => file.path).join(', ')}.` };
    }
    if (result.kind === 'abandoned') return { ...none, problem: 'The merge it was to resolve was abandoned.' };
    if (result.kind !== 'result') return { ...none, problem: departed(result) };
    const changes =
      onto === null || result.commit === null ? result.changes : await changedFiles(git, path, onto, result.commit);
    const measured = {
      commit: result.commit,
      files: changes.files.length,
      added: changes.insertions,
      deleted: changes.deletions,
    };
    if (result.embedded.length > 0) {
      return {
        ...measured,
        problem: `It made repositories inside its worktree, which git cannot commit: ${result.embedded.join(', ')}.`,
      };
    }
    return {
      ...measured,
      problem: await unexpected(
        path,
        since,
        result.commit,
        expects,
        changes.files.map((file) => file.path),
      ),
    };
  });

  async function unexpected(
    path: string,
    from: string,
    to: string | null,
    expects: string[] | null,
    changed: string[],
  ): Promise<string | null> {
    if (expects === null || to === null) return null;
    const outside =
      expects.length === 0 ? changed : (await checkExpectations(git, path, { from, to }, expects)).unexpected;
    return outside.length === 0
      ? null
      : `It changed files that it was not expected to: ${outside.slice(0, 20).join(', ')}.`;
  }
}

function update({ git }: WorkspaceTools): Handler {
  return action(workspaceOps.update, async (ctx, { workspace, branch }) => {
    const { path } = await present(ctx, workspace);
    await mendTorn(git, path);
    const [head = '', wanted = ''] = (
      await git.run(path, ['rev-parse', '--revs-only', 'HEAD', `refs/heads/${branch}`])
    ).split('\n');
    if (head === '' || wanted === '') throw notFound('branch', branch, 'maos doctor explains what is missing.');
    if (head === wanted) return { head, conflicts: [] };
    if ((await git.attempt(path, ['merge-base', '--is-ancestor', wanted, 'HEAD'])).code === 0)
      return { head, conflicts: [] };
    if (await fastForward(git, path, head, wanted)) return { head: wanted, conflicts: [] };
    const started = await startConflict(git, { worktree: path, other: wanted, message: `Merge ${branch}` });
    if (started.kind === 'merged') return { head: started.commit, conflicts: [] };
    return { head, conflicts: started.kind === 'dirty' ? [...started.files] : started.files.map((file) => file.path) };
  });
}

function startResolving({ git }: WorkspaceTools): Handler {
  return action(workspaceOps.conflict, async (ctx, { workspace, onto }) => {
    const { path } = await present(ctx, workspace);
    const started = await startConflict(git, { worktree: path, other: onto, message: 'Merge the work of other tasks' });
    if (started.kind === 'dirty') {
      throw conflict(`The workspace has uncommitted changes: ${started.files.join(', ')}.`, {
        fix: 'Commit or remove them there.',
      });
    }
    return { files: started.kind === 'merged' ? [] : started.files.map((file) => file.path) };
  });
}

function check(tools: WorkspaceTools): Handler {
  return action(workspaceOps.check, async (ctx, { project, ...request }) => {
    const repository = await repositoryOf(ctx, project);
    const evidence = await checkCommit({ ...tools, root: join(tools.root, project) }, { ...request, repository });
    return { passed: allPassed(evidence), evidence };
  });
}

function diff({ git }: WorkspaceTools): Handler {
  return action(workspaceOps.diff, async (ctx, input) => {
    const { path, base, state } = await ctx.call(workspaceOps.get, { workspace: input.workspace });
    if (state !== 'ready')
      throw conflict(`The workspace is ${state}; it has no folder to compare.`, {
        fix: 'maos workspace restore brings it back.',
      });
    const status = await worktreeStatus(git, path, base);
    const { text } = input.stat ? { text: '' } : await diffText(git, path, base, null);
    return {
      files: status.files.map(({ path: file, insertions, deletions }) => ({
        path: file,
        added: insertions,
        deleted: deletions,
      })),
      text,
    };
  });
}

function remove({ git, trash }: WorkspaceTools): Handler {
  return action(workspaceOps.remove, async (ctx, input) => {
    const found = await ctx.call(workspaceOps.get, { workspace: input.workspace });
    if (found.state === 'removed') return found;
    if (found.state === 'trashed') return input.purge && found.rescue === null ? purgeOne(ctx, trash, found.id) : found;
    refuseHeld(found);
    const repository = await repositoryOf(ctx, found.project);
    const doomed = { repository, id: found.id, path: found.path, branch: found.branch };
    const plan = await removalPlan(git, doomed);
    const tokens = input.token?.split(',') ?? [];
    // A removal that was interrupted is finished with the token it was begun with.
    const begun = (await isFolder(found.path)) ? undefined : (await readTrash(trash, found.id))?.token;
    const given = plan.safe || tokens.includes(plan.token) || (begun !== undefined && tokens.includes(begun));
    if (!given) throw wouldLose(found, plan);
    const removal = await removeWorktree(git, { ...doomed, trash, token: plan.token });
    if (removal.kind === 'stale') throw wouldLose(found, removal.plan);
    const { rescue } = removal;
    const reported = {
      kind: 'trashed',
      trash: removal.trashed ? join(trash, found.id) : null,
      rescue,
      reason: input.reason,
    } as const;
    const trashed = await ctx.call(workspaceOps.report, { workspace: found.id, result: reported });
    return input.purge && rescue === null ? purgeOne(ctx, trash, found.id) : trashed;
  });
}

async function purgeOne(ctx: ActionContext, trash: string, id: string): Promise<Workspace> {
  await purgeTrash(trash, id);
  return ctx.call(workspaceOps.report, { workspace: id, result: { kind: 'purged' } });
}

function wouldLose(found: Workspace, plan: Awaited<ReturnType<typeof removalPlan>>): Error {
  const { token, commits, uncommitted } = plan;
  const what = [
    ...(commits.length > 0 ? [`${commits.length} commit(s) that no other branch has`] : []),
    ...(uncommitted.length > 0
      ? [`${uncommitted.length} uncommitted file(s): ${uncommitted.slice(0, 10).join(', ')}`]
      : []),
  ].join(' and ');
  return conflict(`Workspace ${found.id} holds ${what}.`, {
    fix: `Repeat with --token ${token} to move it to the trash; a rescue ref keeps its commits and files.`,
    details: { token, commits, uncommitted },
  });
}

function restore({ git, trash }: WorkspaceTools): Handler {
  return action(workspaceOps.restore, async (ctx, input) => {
    const found = await ctx.call(workspaceOps.get, { workspace: input.workspace });
    if (found.state !== 'trashed')
      throw conflict(`The workspace is ${found.state}, not in the trash.`, { fix: 'maos trash lists what is.' });
    const repository = await repositoryOf(ctx, found.project);
    const { path, branch } = await restoreTrash(git, { repository, trash, id: found.id });
    return ctx.call(workspaceOps.report, { workspace: found.id, result: { kind: 'restored', path, branch } });
  });
}

function purge({ trash, now }: WorkspaceTools): Handler {
  return action(workspaceOps.purge, async (ctx, { days }) => {
    const { workspaces } = await ctx.call(workspaceOps.list, { state: ['trashed'], limit: 1_000 });
    const old = workspaces.filter((workspace) => workspace.since <= now() - days * 86_400_000);
    for (const { id } of old) {
      await purgeOne(ctx, trash, id);
    }
    return { purged: old.map((workspace) => workspace.id) };
  });
}

/** Operations of workspaces that act on git and on folders. */
export function workspaceActions(tools: WorkspaceTools): readonly Handler[] {
  const makers = [create, commit, update, startResolving, check, diff, remove, restore, purge];
  return [...makers.map((make) => make(tools)), ...branchActions(tools)];
}
