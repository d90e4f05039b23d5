import { budgetOps } from '../budgets/contract.ts';
import { conflict, invalid, notFound } from '../kernel/error.ts';
import { action, type Handler } from '../kernel/handler.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { runOps } from './contract.ts';
import { create } from './create.ts';
import { expandPlan } from './expand.ts';
import { criticalPath } from './graph.ts';
import { readPlan } from './read-plan.ts';
import { reportMarkdown } from './report.ts';
import { findStep, getRunDetail, isRemoved, resolvePresentRun } from './rows.ts';

const check = action(runOps.check, async (ctx, input) => {
  const plan = await readPlan(ctx.call, input.plan, input.file);
  const tasks = expandPlan(plan, input.inputs);
  return {
    name: plan.name,
    tasks: tasks.map(({ id, title, needs, runtime }) => ({ id, title, needs, runtime })),
    critical: [...criticalPath(tasks).path],
  };
});

const merge = action(runOps.merge, async (ctx, input) => {
  const run = getRunDetail(ctx.db, resolvePresentRun(ctx.db, input.run), ctx.now);
  const branch = input.into ?? run.target;
  if (branch === null) {
    throw invalid('No branch was checked out when the run began.', {
      fix: 'Say where to land it: maos merge RUN --into BRANCH.',
    });
  }
  const { commit } = await ctx.call(workspaceOps.inspect, { project: run.project, revision: run.branch });
  const message = `Merge ${run.branch}`;
  const landed = await ctx.call(workspaceOps.land, { project: run.project, branch, commit, message });
  if (landed.kind !== 'already') {
    await ctx.call(runOps.note, { run: run.id, note: { kind: 'merged', branch, from: landed.from, to: landed.to } });
  }
  return { branch, ...landed };
});

const undo = action(runOps.undo, async (ctx, input) => {
  const run = getRunDetail(ctx.db, input.run, ctx.now);
  if (run.merged === null)
    throw conflict(`${run.name} was not landed on a branch of yours.`, { fix: 'maos merge lands it.' });
  const { branch, from, to } = run.merged;
  const { rescue } = await ctx.call(workspaceOps.unland, { project: run.project, branch, from, to });
  await ctx.call(runOps.note, { run: run.id, note: { kind: 'unmerged', branch, from: to, to: from } });
  return { branch, from: to, to: from, rescue };
});

const diff = action(runOps.diff, async (ctx, input) => {
  const run = getRunDetail(ctx.db, resolvePresentRun(ctx.db, input.run), ctx.now);
  if (run.steps.every((step) => step.landed === null)) return { files: [], text: '' };
  const { commit } = await ctx.call(workspaceOps.inspect, { project: run.project, revision: run.branch });
  return ctx.call(workspaceOps.compare, { project: run.project, from: run.base, to: commit, stat: input.stat });
});

const rollback = action(runOps.rollback, async (ctx, input) => {
  const run = getRunDetail(ctx.db, resolvePresentRun(ctx.db, input.run), ctx.now);
  const { project, branch } = run;
  const step = findStep(ctx.db, run.steps.find((one) => one.id === input.task)?.task ?? '');
  if (step === undefined) throw notFound('task of this run', input.task, 'maos run get RUN shows its tasks.');
  if (step.commit === null || step.landed === null) {
    throw conflict(`${step.id} has landed nothing on ${branch}.`, { fix: 'maos run get RUN shows what has landed.' });
  }
  const landed = { base: step.producedBase ?? run.base, commit: step.commit, landed: step.landed };
  const back = await ctx.call(workspaceOps.revert, { project, branch, ...landed });
  if (back.commit === null) {
    throw conflict(`Later work builds on the same lines of ${back.conflicts.join(', ')}.`, {
      fix: 'Take back the later tasks first.',
    });
  }
  const title = `Take back ${step.title}`;
  const { id } = await ctx.call(workspaceOps.queueMerge, {
    project,
    branch,
    commit: back.commit,
    task: step.task,
    title,
    checks: [],
  });
  return { commit: back.commit, merge: id };
});

const remove = action(runOps.remove, async (ctx, input) => {
  const run = getRunDetail(ctx.db, input.run, ctx.now);
  // Whatever has its branch's name by now is not its own.
  if (isRemoved(ctx.db, run.id)) return { run: run.name, workspaces: [], rescued: [] };
  if (run.state === 'running')
    throw conflict(`${run.name} is still going on.`, { fix: `Stop it first: maos stop ${run.name}.` });
  if (run.state === 'waiting')
    throw conflict(`${run.name} waits for a person: ${run.reason ?? ''}`, {
      fix: `Stop it first: maos stop ${run.name}.`,
    });
  const keys = [...run.steps.map((step) => `task:${step.task}:`), `shared:${run.id}:`];
  const workspaces: string[] = [];
  const rescued: string[] = [];
  for (const key of keys) {
    const found = await ctx.call(workspaceOps.list, { key, state: ['requested', 'ready', 'failed'], limit: 1_000 });
    for (const { id, holder } of found.workspaces) {
      // None of its tasks goes on any more, so nobody works in it.
      if (holder !== null && run.steps.some(({ task }) => task === holder))
        await ctx.call(workspaceOps.release, { workspace: id, holder });
      const removed = await ctx.call(workspaceOps.remove, {
        workspace: id,
        reason: `maos rm ${run.name}`,
        ...tokenOf(input.token),
      });
      workspaces.push(id);
      if (removed.rescue !== null) rescued.push(removed.rescue);
    }
  }
  const dropped = await ctx.call(workspaceOps.dropBranch, {
    project: run.project,
    branch: run.branch,
    ...tokenOf(input.token),
  });
  if (dropped.rescue !== null) rescued.push(dropped.rescue);
  await ctx.call(runOps.note, { run: run.id, note: { kind: 'removed' } });
  return { run: run.name, workspaces, rescued };
});

/** A run's removal may need several tokens, joined by commas: the one that names this place is used. */
function tokenOf(tokens: string | undefined): { token?: string } {
  return tokens === undefined ? {} : { token: tokens };
}

/** Operations of runs that look at plans, git and files. */
export const runActions: readonly Handler[] = [
  create,
  check,
  merge,
  undo,
  rollback,
  diff,
  remove,
  action(runOps.report, async (ctx, input) => {
    const run = getRunDetail(ctx.db, input.run, ctx.now);
    const { budgets } = await ctx.call(budgetOps.list, { run: run.id });
    return { markdown: reportMarkdown(run, budgets, ctx.now), file: run.report };
  }),
];
