/**
 * The merge queue: the only thing that lands work on a run's branch.
 *
 * M1  Merges into one branch happen one at a time, in the order in which they were queued.
 * M2  The branch moves only to a commit that passed its checks, by compare-and-swap from the commit it was merged onto.
 * M3  A merge that was interrupted is done again from the start: until the branch has moved, nothing happened.
 */
import { join } from 'node:path';
import type { Call, Reactor, Reader } from '../kernel/handler.ts';
import { KeyedMutex } from '../kernel/mutex.ts';
import { projectOps } from '../projects/contract.ts';
import { allPassed, checkCommit, type CheckTools } from './check.ts';
import { type Evidence, mergeEvents, workspaceOps } from './contract.ts';
import { resolveCommit } from './git/git.ts';
import { landOnBranch } from './git/land.ts';
import { mergeCommit, updateRef } from './git/merge.ts';
import { listWorktrees } from './git/worktree.ts';
import { findMerge, type QueuedMerge } from './views.ts';

export interface MergeQueueOptions extends CheckTools {
  readonly call: Call;
  readonly reader: Reader;
}

/** What becomes of one merge. */
type Verdict =
  | { kind: 'landed'; commit: string; onto: string; evidence: Evidence[] }
  | { kind: 'conflicted'; files: string[]; onto: string }
  | { kind: 'rejected'; onto: string; evidence: Evidence[] }
  | { kind: 'withdrawn'; reason: string };

/** Lands queued merges, one branch at a time. */
export function mergeQueue(options: MergeQueueOptions): Reactor {
  const branches = new KeyedMutex();
  return {
    name: 'merge-queue',
    types: [mergeEvents.queued.type],
    react: async ({ stream }) => {
      const queued = findMerge(options.reader, stream);
      if (queued === undefined || queued.state !== 'queued') return;
      await branches.run(`${queued.project} ${queued.branch}`, async () => {
        const result = await land(options, queued);
        await options.call(workspaceOps.reportMerge, { merge: queued.id, result });
      });
    },
  };
}

async function land(options: MergeQueueOptions, queued: QueuedMerge): Promise<Verdict> {
  const { path: repository } = await options.call(projectOps.get, { project: queued.project });
  for (let tries = 0; tries < 10; tries += 1) {
    const result = await landOnce(options, repository, queued);
    if (result !== 'moved') return result;
  }
  return { kind: 'withdrawn', reason: `${queued.branch} kept moving under the merge queue.` };
}

async function landOnce(
  options: MergeQueueOptions,
  repository: string,
  queued: QueuedMerge,
): Promise<Verdict | 'moved'> {
  const { git } = options;
  const head = await resolveCommit(git, repository, `refs/heads/${queued.branch}`);
  if (head === null) return { kind: 'withdrawn', reason: `The branch ${queued.branch} is gone.` };
  const message = `Merge ${queued.title}\n\nMAOS-Merge: ${queued.id}\n`;
  const merged = await mergeCommit(git, { repository, ours: head, theirs: queued.commit, message });
  if (merged.kind === 'conflict')
    return { kind: 'conflicted', files: merged.files.map((file) => file.path), onto: head };
  if (merged.kind === 'up_to_date') return { kind: 'landed', commit: head, onto: head, evidence: [] };
  const proved = queued.checked && merged.commit === queued.commit;
  const { checks: commands, env, timeoutMs } = queued;
  const tools = { ...options, root: join(options.root, queued.project) };
  const evidence = proved
    ? []
    : await checkCommit(tools, { repository, commit: merged.commit, commands, env, timeoutMs });
  if (!allPassed(evidence)) return { kind: 'rejected', onto: head, evidence };
  return move(options, repository, queued, { head, commit: merged.commit, evidence });
}

/** Moves the branch. If a person has checked it out, that checkout follows, unless it has changes of its own. */
async function move(
  { git, reader }: MergeQueueOptions,
  repository: string,
  { id, branch, title }: QueuedMerge,
  step: { head: string; commit: string; evidence: Evidence[] },
): Promise<Verdict | 'moved'> {
  const { head, commit, evidence } = step;
  const landed = { kind: 'landed', commit, onto: head, evidence } as const;
  // Checks take their time, and meanwhile the merge may have been withdrawn.
  const stays = (): boolean => findMerge(reader, id)?.state === 'queued';
  const left = { kind: 'withdrawn', reason: 'It was withdrawn while it was checked.' } as const;
  const open = (await listWorktrees(git, repository)).some((worktree) => worktree.branch === branch);
  if (!stays()) return left;
  if (!open) {
    const ref = `refs/heads/${branch}`;
    const update = await updateRef(git, { at: repository, ref, new: commit, old: head, reason: `maos: ${title}` });
    return update.kind === 'updated' ? landed : 'moved';
  }
  const landing = await landOnBranch(git, { repository, branch, commit, message: `Merge ${title}` });
  if (landing.kind === 'landed' || landing.kind === 'up_to_date') return landed;
  return {
    kind: 'withdrawn',
    reason: `${branch} is checked out with changes of its own (${landing.kind}); commit or stash them.`,
  };
}
