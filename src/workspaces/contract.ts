import * as z from 'zod';
import { once } from '../kernel/once.ts';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';
import { evidence, merge, mergeState } from './merge.ts';

const workspaceId = z.string().min(1).max(120).describe('The workspace: its id or a unique beginning of it.');

/**
 * requested: its worktree is being made. ready: it can be worked in. failed: the worktree could not be made.
 * trashed: its folder is in the trash. removed: only its rescue ref, if it needed one, remains.
 */
export const workspaceState = z.enum(['requested', 'ready', 'failed', 'trashed', 'removed']);

/** A place to work: a git worktree with a branch of its own, made from a recorded commit. */
export const workspace = once(() =>
  z.strictObject({
    id: z.string(),
    project: z.string(),
    key: z.string().describe('What it was made for; the same key never gets a second one.'),
    path: z.string(),
    branch: z.string(),
    base: z.string().describe('The commit it was made from.'),
    state: workspaceState,
    since: z.int(),
    reason: z.string().nullable(),
    holder: z.string().nullable().describe('Who works in it now; a held workspace is never removed.'),
    absent: z.array(z.string()).describe('The user’s uncommitted changes that are not in it.'),
    ports: z.strictObject({ from: z.int(), count: z.int() }),
    env: z.record(z.string(), z.string()).describe('What tells programs in it where they are.'),
    rescue: z.string().nullable().describe('The ref that keeps what it held when it was removed.'),
    trash: z.string().nullable(),
    createdAt: z.int(),
  }),
);
export type Workspace = z.output<ReturnType<typeof workspace>>;

export type Evidence = z.output<typeof evidence>;
export type Merge = z.output<ReturnType<typeof merge>>;

const reservation = {
  project: z.string(),
  key: z.string().min(1).max(200),
  path: z.string(),
  branch: z.string(),
  base: z.string(),
  ports: z.strictObject({ from: z.int(), count: z.int() }),
};

/** The stream of each is the workspace's id. */
export const workspaceEvents = {
  requested: event('workspace.requested', () => z.strictObject({ ...reservation, holder: z.string().nullable() })),
  ready: event('workspace.ready', () => z.strictObject({ absent: z.array(z.string()) })),
  failed: event('workspace.failed', () => z.strictObject({ reason: z.string() })),
  held: event('workspace.held', () => z.strictObject({ holder: z.string() })),
  released: event('workspace.released', () => z.strictObject({ holder: z.string() })),
  trashed: event('workspace.trashed', () =>
    z.strictObject({ trash: z.string().nullable(), rescue: z.string().nullable(), reason: z.string() }),
  ),
  restored: event('workspace.restored', () => z.strictObject({ path: z.string(), branch: z.string() })),
  purged: event('workspace.purged', () => z.strictObject({})),
};

/** The stream of each is the merge's id. */
export const mergeEvents = {
  queued: event('merge.queued', () =>
    z.strictObject({
      project: z.string(),
      branch: z.string(),
      commit: z.string(),
      task: z.string(),
      title: z.string(),
      checks: z.array(z.string()),
      env: z.record(z.string(), z.string()),
      timeoutMs: z.int(),
      checked: z.boolean().describe('The commit itself has passed its checks already.'),
    }),
  ),
  landed: event('merge.landed', () =>
    z.strictObject({ commit: z.string(), onto: z.string(), evidence: z.array(evidence) }),
  ),
  conflicted: event('merge.conflicted', () => z.strictObject({ files: z.array(z.string()), onto: z.string() })),
  rejected: event('merge.rejected', () => z.strictObject({ onto: z.string(), evidence: z.array(evidence) })),
  withdrawn: event('merge.withdrawn', () => z.strictObject({ reason: z.string() })),
};

/** Why MAOS itself removes a workspace. */
export const removalReasons = { landed: 'its work has landed', interrupted: 'its removal was interrupted' } as const;

const byId = z.strictObject({ workspace: workspaceId });

/** Which files differ and, unless only the list was asked for, the patch. */
const difference = once(() =>
  z.strictObject({
    files: z.array(z.strictObject({ path: z.string(), added: z.int(), deleted: z.int() })),
    text: z.string(),
  }),
);

/** What can be done with workspaces and the merge queue. */
export const workspaceOps = {
  create: operation({
    name: 'workspace.create',
    summary:
      'Makes a worktree on a branch of its own from a commit, with the files of .worktreeinclude and a port range.',
    detail: 'Asked again with the same key it finishes what a crash interrupted and returns the same workspace.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        project: z.string(),
        key: z.string().min(1).max(200).describe('What it is for; the same key never gets a second one.'),
        base: z.string().min(1).describe('Branch or commit to start from.'),
        branch: z.string().min(1).max(200).optional().describe('Default: maos/work/<id>.'),
        holder: z.string().optional(),
      }),
    output: workspace,
    route: 'POST /workspaces',
    refusals: { invalid: 'The base does not exist.', unavailable: 'git could not make the worktree.' },
  }),
  reserve: operation({
    name: 'workspace.reserve',
    summary: 'Gives a workspace its id, folder, branch and ports before anything is made.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        project: z.string(),
        key: z.string(),
        base: z.string(),
        branch: z.string().optional(),
        holder: z.string().optional(),
        root: z.string().describe('The folder that holds all worktrees.'),
      }),
    output: workspace,
    route: 'POST /workspaces/reserve',
    internal: true,
  }),
  report: operation({
    name: 'workspace.report',
    summary: 'Reports what became of a workspace’s folder.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        workspace: workspaceId,
        result: z.discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('ready'), absent: z.array(z.string()) }),
          z.strictObject({
            kind: z.literal('trashed'),
            trash: z.string().nullable(),
            rescue: z.string().nullable(),
            reason: z.string(),
          }),
          z.strictObject({ kind: z.literal('restored'), path: z.string(), branch: z.string() }),
          z.strictObject({ kind: z.literal('purged') }),
        ]),
      }),
    output: workspace,
    route: 'POST /workspaces/:workspace/report',
    internal: true,
  }),
  get: operation({
    name: 'workspace.get',
    summary: 'Shows a workspace.',
    effect: 'read',
    scope: 'workspace:read',
    input: () => byId,
    output: workspace,
    route: 'GET /workspaces/:workspace',
    positional: ['workspace'],
  }),
  list: operation({
    name: 'workspace.list',
    summary: 'Lists workspaces, newest first.',
    effect: 'read',
    scope: 'workspace:read',
    input: () =>
      z.strictObject({
        state: z.array(workspaceState).optional(),
        project: z.string().optional(),
        key: z.string().optional().describe('Keys that begin so.'),
        limit: z.int().min(1).max(1_000).default(100),
      }),
    output: () => z.strictObject({ workspaces: z.array(workspace()) }),
    route: 'GET /workspaces',
  }),
  fail: operation({
    name: 'workspace.fail',
    summary: 'Reports that a workspace could not be made; asked for again, it is tried again.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => z.strictObject({ workspace: workspaceId, reason: z.string() }),
    output: workspace,
    route: 'POST /workspaces/:workspace/fail',
    internal: true,
  }),
  hold: operation({
    name: 'workspace.hold',
    summary: 'Takes a workspace for one worker; while it is held nothing removes it.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => z.strictObject({ workspace: workspaceId, holder: z.string().min(1).max(120) }),
    output: workspace,
    route: 'POST /workspaces/:workspace/hold',
    refusals: { conflict: 'Someone else holds it.' },
  }),
  release: operation({
    name: 'workspace.release',
    summary: 'Gives a workspace back.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => z.strictObject({ workspace: workspaceId, holder: z.string().min(1).max(120) }),
    output: workspace,
    route: 'POST /workspaces/:workspace/release',
  }),
  diff: operation({
    name: 'workspace.diff',
    summary: 'Shows what a workspace changed since its base, uncommitted and untracked files included.',
    effect: 'read',
    scope: 'workspace:read',
    input: () =>
      z.strictObject({
        workspace: workspaceId,
        stat: z.boolean().default(false).describe('Only the list of files.'),
      }),
    output: difference,
    route: 'GET /workspaces/:workspace/diff',
    positional: ['workspace'],
  }),
  remove: operation({
    name: 'workspace.remove',
    summary: 'Moves a workspace to the trash, after keeping what only it holds under a rescue ref.',
    detail: 'Without a token it refuses, telling what would be lost and the token that names exactly that state.',
    effect: 'destroy',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        workspace: workspaceId,
        token: z.string().optional().describe('As the refusal told it; not needed when nothing would be lost.'),
        purge: z.boolean().default(false).describe('Delete the folder at once, if nothing in it is only there.'),
        reason: z.string().max(1_000).default('asked by a person'),
      }),
    output: workspace,
    route: 'DELETE /workspaces/:workspace',
    positional: ['workspace'],
    refusals: { conflict: 'It is held, or something would be lost and the token does not name it.' },
  }),
  restore: operation({
    name: 'workspace.restore',
    summary: 'Brings a workspace back from the trash or from its rescue ref.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => byId,
    output: workspace,
    route: 'POST /workspaces/:workspace/restore',
    positional: ['workspace'],
    refusals: { conflict: 'It is not in the trash and has no rescue ref.' },
  }),
  purge: operation({
    name: 'workspace.purge',
    summary: 'Deletes trashed folders that are older than a number of days; rescue refs stay.',
    effect: 'destroy',
    scope: 'workspace:write',
    input: () => z.strictObject({ days: z.number().min(0).default(7) }),
    output: () => z.strictObject({ purged: z.array(z.string()) }),
    route: 'POST /workspaces/purge',
  }),
  commit: operation({
    name: 'workspace.commit',
    summary: 'Commits all that a workspace holds; what its agent committed itself counts as well.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        workspace: workspaceId,
        since: z.string().describe('The commit that the work began at.'),
        onto: z.string().nullable().default(null).describe('The commit whose conflict was to be resolved.'),
        message: z.string().min(1),
        expects: z.array(z.string()).nullable().default(null).describe('Patterns of files that may change.'),
      }),
    output: () =>
      z.strictObject({
        commit: z.string().nullable().describe('null: nothing changed.'),
        files: z.int(),
        added: z.int(),
        deleted: z.int(),
        problem: z
          .string()
          .nullable()
          .describe('Why this cannot be taken, for example a conflict that is not resolved.'),
      }),
    route: 'POST /workspaces/:workspace/commit',
    internal: true,
  }),
  update: operation({
    name: 'workspace.update',
    summary: 'Brings a shared workspace up to a branch before the next task works in it.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => z.strictObject({ workspace: workspaceId, branch: z.string() }),
    output: () => z.strictObject({ head: z.string(), conflicts: z.array(z.string()) }),
    route: 'POST /workspaces/:workspace/update',
    internal: true,
  }),
  conflict: operation({
    name: 'workspace.conflict',
    summary: 'Puts a merge that does not fit into a workspace, with conflict markers, for its agent to resolve.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => z.strictObject({ workspace: workspaceId, onto: z.string() }),
    output: () => z.strictObject({ files: z.array(z.string()) }),
    route: 'POST /workspaces/:workspace/conflict',
    internal: true,
  }),
  check: operation({
    name: 'check.run',
    summary: 'Runs commands on an exact commit in a throw-away worktree and tells what each said.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        project: z.string(),
        commit: z.string(),
        commands: z.array(z.string()),
        env: z.record(z.string(), z.string()).default({}),
        timeoutMs: z.int().default(600_000),
      }),
    output: () => z.strictObject({ passed: z.boolean(), evidence: z.array(evidence) }),
    route: 'POST /checks',
    internal: true,
  }),
  revert: operation({
    name: 'branch.revert',
    summary: 'Makes a commit that takes back what landed commits changed; moves no branch.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        project: z.string(),
        branch: z.string(),
        base: z.string().describe('Where the work began.'),
        commit: z.string().describe('What it made.'),
        landed: z.string().describe('The commit by which it landed: itself, or a merge.'),
      }),
    output: () => z.strictObject({ commit: z.string().nullable(), conflicts: z.array(z.string()) }),
    route: 'POST /branches/revert',
    internal: true,
  }),
  ensureBranch: operation({
    name: 'branch.ensure',
    summary: 'Makes a branch at a commit unless it is there; tells where it is.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        project: z.string(),
        branch: z.string(),
        commit: z.string(),
        fresh: z.boolean().default(false).describe('The branch must not be there yet, not even at this commit.'),
      }),
    output: () => z.strictObject({ head: z.string() }),
    route: 'POST /branches/ensure',
    internal: true,
    refusals: { conflict: 'It was to be fresh and is there already, or another branch’s name is in its way.' },
  }),
  branches: operation({
    name: 'branch.list',
    summary: 'Lists the branches that begin with a prefix.',
    effect: 'read',
    scope: 'workspace:read',
    input: () => z.strictObject({ project: z.string(), prefix: z.string() }),
    output: () => z.strictObject({ branches: z.array(z.string()) }),
    route: 'GET /branches',
    internal: true,
  }),
  inspect: operation({
    name: 'branch.inspect',
    summary: 'Tells which commit a branch or other revision is, and which branch is checked out.',
    effect: 'read',
    scope: 'workspace:read',
    input: () => z.strictObject({ project: z.string(), revision: z.string() }),
    output: () => z.strictObject({ commit: z.string(), branch: z.string().nullable() }),
    route: 'GET /branches/inspect',
    internal: true,
  }),
  land: operation({
    name: 'branch.land',
    summary: 'Lands a commit on one of the user’s branches; a checkout with uncommitted changes is never touched.',
    effect: 'write',
    scope: 'workspace:write',
    input: () => z.strictObject({ project: z.string(), branch: z.string(), commit: z.string(), message: z.string() }),
    output: () =>
      z.strictObject({ from: z.string(), to: z.string(), kind: z.enum(['merged', 'fast_forward', 'already']) }),
    route: 'POST /branches/land',
    internal: true,
    refusals: { conflict: 'The checkout is dirty, or both sides changed the same lines.' },
  }),
  unland: operation({
    name: 'branch.unland',
    summary: 'Moves a branch back to where it was before a landing, if it has not moved since.',
    effect: 'destroy',
    scope: 'workspace:write',
    input: () => z.strictObject({ project: z.string(), branch: z.string(), from: z.string(), to: z.string() }),
    output: () =>
      z.strictObject({ rescue: z.string().nullable().describe('The ref that keeps what no branch holds now.') }),
    route: 'POST /branches/unland',
    internal: true,
    refusals: { conflict: 'The branch has moved since, or its checkout is dirty.' },
  }),
  compare: operation({
    name: 'branch.compare',
    summary: 'Shows what changed between two commits.',
    effect: 'read',
    scope: 'workspace:read',
    input: () =>
      z.strictObject({ project: z.string(), from: z.string(), to: z.string(), stat: z.boolean().default(false) }),
    output: difference,
    route: 'GET /branches/compare',
    internal: true,
  }),
  dropBranch: operation({
    name: 'branch.drop',
    summary: 'Deletes one of MAOS’s own branches; commits that are nowhere else go to a rescue ref first.',
    effect: 'destroy',
    scope: 'workspace:write',
    input: () => z.strictObject({ project: z.string(), branch: z.string(), token: z.string().optional() }),
    output: () => z.strictObject({ rescue: z.string().nullable() }),
    route: 'POST /branches/drop',
    internal: true,
    refusals: { conflict: 'It is checked out, or commits would be lost and the token does not name them.' },
  }),
  queueMerge: operation({
    name: 'merge.create',
    summary: 'Queues a commit for a run’s branch; the queue alone lands work.',
    detail: 'The same task and commit are queued once.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        project: z.string(),
        branch: z.string(),
        commit: z.string(),
        task: z.string(),
        title: z.string(),
        checks: z.array(z.string()),
        env: z.record(z.string(), z.string()).default({}),
        timeoutMs: z.int().default(600_000),
        checked: z.boolean().default(false),
      }),
    output: merge,
    route: 'POST /merges',
    internal: true,
  }),
  reportMerge: operation({
    name: 'merge.report',
    summary: 'Reports what became of a queued merge.',
    effect: 'write',
    scope: 'workspace:write',
    input: () =>
      z.strictObject({
        merge: z.string(),
        result: z.discriminatedUnion('kind', [
          z.strictObject({
            kind: z.literal('landed'),
            commit: z.string(),
            onto: z.string(),
            evidence: z.array(evidence),
          }),
          z.strictObject({ kind: z.literal('conflicted'), files: z.array(z.string()), onto: z.string() }),
          z.strictObject({ kind: z.literal('rejected'), onto: z.string(), evidence: z.array(evidence) }),
          z.strictObject({ kind: z.literal('withdrawn'), reason: z.string() }),
        ]),
      }),
    output: merge,
    route: 'POST /merges/:merge/report',
    internal: true,
  }),
  merges: operation({
    name: 'merge.list',
    summary: 'Lists merges, newest first.',
    effect: 'read',
    scope: 'workspace:read',
    input: () =>
      z.strictObject({
        state: z.array(mergeState).optional(),
        branch: z.string().optional(),
        task: z.string().optional(),
        limit: z.int().min(1).max(1_000).default(100),
      }),
    output: () => z.strictObject({ merges: z.array(merge()) }),
    route: 'GET /merges',
  }),
} as const;
