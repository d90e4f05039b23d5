import { agentOps } from '../agents/contract.ts';
import { type Budget, budgetOps } from '../budgets/contract.ts';
import { standingAt } from '../budgets/ledger.ts';
import { AppError, conflict, notFound } from '../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../kernel/handler.ts';
import type { ParsedOf } from '../kernel/operation.ts';
import { taskOps } from '../tasks/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { runEvents, runOps } from './contract.ts';
import { excerpt } from './excerpt.ts';
import { planKeys } from './key.ts';
import { affordsAnother, crewOf, runOver, shortOf, thawedRuns, thawedTasks } from './money.ts';
import { type PlannedTask, usesMoney } from './planned.ts';
import {
  finishedWithKey,
  findRun,
  findStep,
  getRun,
  getRunDetail,
  listRuns,
  refuseTaken,
  resolvePresentRun,
  resolveRun,
  runBranch,
  runningRuns,
  stateCounts,
  stepAttempt,
  type StepState,
  stepsOf,
} from './rows.ts';

const reserve = command(runOps.reserve, (ctx) => ({ run: ctx.newId('run') }));

const record = command(runOps.record, (ctx, { run: id, tasks, ...input }) => {
  const known = findRun(ctx.db, id);
  if (known !== undefined) return { name: known };
  refuseTaken(ctx.db, input.name);
  ctx.emit(runEvents.created, id, { ...input, branch: runBranch(input.name) });
  const keys = planKeys(tasks, input.base);
  const made = ctx.call(taskOps.plan, {
    tasks: tasks.map((planned) => newTask(planned, id, input.project, planned.needs)),
  });
  const owner = { run: id, project: input.project } as const;
  const budgets: Recorded[] = [{ ...owner, ...input.budget, kind: 'run', subject: id, name: input.name }];
  for (const [name, terms] of Object.entries(input.crew))
    budgets.push({ ...owner, ...terms, kind: 'agent', subject: crewOf(id, name), name: `${input.name}/${name}` });
  for (const [index, planned] of tasks.entries()) {
    const task = made.tasks[index];
    if (task === undefined) throw new Error('task.plan returned fewer tasks than it was given.');
    const key = keys[planned.id] ?? '';
    const reuse = input.continues === null ? null : finishedWithKey(ctx.db, input.continues, key);
    ctx.emit(runEvents.step, task.id, { run: id, planned, key, reuse, ready: planned.needs.length === 0 });
    budgets.push(...taskBudget(planned, task.id, input.name, owner));
  }
  ctx.call(budgetOps.record, { budgets });
  return { name: input.name };
});

type Recorded = ParsedOf<typeof budgetOps.record>['budgets'][number];

/** The budget of a task, where its plan gives it one. */
function taskBudget(
  { id, budget }: PlannedTask,
  task: string,
  run: string,
  owner: Pick<Budget, 'run' | 'project'>,
): Recorded[] {
  return budget === null ? [] : [{ ...owner, ...budget, kind: 'task', subject: task, name: `${run}/${id}` }];
}

const dispatch = command(runOps.dispatch, (ctx, { limit }) => {
  const claimed: string[] = [];
  for (const task of thawedTasks(ctx.db, ctx.now)) ctx.call(taskOps.retry, { task });
  for (const run of thawedRuns(ctx.db, ctx.now)) ctx.emit(runEvents.resumed, run, { tasks: [] });
  for (const { id, concurrency } of runningRuns(ctx.db)) {
    const counts = stateCounts(ctx.db, id);
    const open = (counts['queued'] ?? 0) + (counts['claimed'] ?? 0) + (counts['delayed'] ?? 0);
    if (open === 0) settle(ctx, id, counts);
    if ((counts['queued'] ?? 0) === 0) continue;
    const over = runOver(ctx.db, id, ctx.now);
    if (over !== undefined) {
      if ((counts['claimed'] ?? 0) === 0) ctx.emit(runEvents.waiting, id, { reason: usedUp(ctx, over.id) });
      continue;
    }
    let free = Math.min(concurrency - (counts['claimed'] ?? 0), limit - claimed.length);
    for (; free > 0; free -= 1) {
      const kinds = affordsAnother(ctx.db, id, ctx.now) ? {} : { kinds: [unpaid] };
      const { task } = ctx.call(taskOps.claim, { worker: 'runner', queue: id, ...kinds });
      if (task === null) break;
      claimed.push(task.id);
    }
  }
  return { claimed };
});

/** Kinds of tasks: those of agents need money. */
const paid = 'prompt';
const unpaid = 'step';

/** Ends a run in which nothing is going on any more, or says that it waits for a person. */
function settle(ctx: CommandContext, run: string, counts: Readonly<Record<string, number>>): void {
  const { done = 0, waiting = 0, failed = 0, cancelled = 0, blocked = 0 } = counts;
  if (waiting > 0) {
    const parked = stepsOf(ctx.db, run).find((step) => step.state === 'waiting');
    ctx.emit(runEvents.waiting, run, {
      reason: `${parked?.id ?? 'A task'} waits for a person: ${parked?.reason ?? ''}`,
    });
  } else if (failed + cancelled + blocked === 0 && done > 0) {
    ctx.emit(runEvents.ended, run, { state: 'succeeded', reason: null });
  } else {
    const names = stepsOf(ctx.db, run).filter((step) => step.state === 'failed' || step.state === 'cancelled');
    const reason = names.map((step) => `${step.id} ${step.state}: ${step.reason ?? ''}`).join('; ');
    ctx.emit(runEvents.ended, run, { state: failed > 0 || cancelled === 0 ? 'failed' : 'cancelled', reason });
  }
}

const stop = command(runOps.stop, (ctx, input) => {
  const id = resolveRun(ctx.db, input.run);
  const { state } = getRun(ctx.db, id);
  if (state !== 'running' && state !== 'waiting') {
    throw conflict(`The run has already ended (${state}).`, { fix: 'maos resume carries on what did not finish.' });
  }
  for (const { task, state: at, merge } of stepsOf(ctx.db, id)) {
    if (['done', 'failed', 'cancelled'].includes(at)) continue;
    ctx.call(taskOps.cancel, { task, reason: input.reason });
    if (merge === null) continue;
    ctx.call(workspaceOps.reportMerge, { merge, result: { kind: 'withdrawn', reason: input.reason } });
  }
  ctx.emit(runEvents.ended, id, { state: 'cancelled', reason: input.reason });
  return getRunDetail(ctx.db, id, ctx.now);
});

const resume = command(runOps.resume, (ctx, input) => {
  const id = resolvePresentRun(ctx.db, input.run);
  const { state, steps } = getRunDetail(ctx.db, id, ctx.now);
  if (state === 'running')
    throw conflict('The run is still going on.', { fix: 'maos status shows it; maos stop ends it.' });
  const again = steps
    .filter((step) => ['failed', 'cancelled', 'waiting'].includes(step.state))
    .map((step) => step.task);
  const open = steps.some((step) => step.state !== 'done' && !again.includes(step.task));
  if (again.length === 0 && !open) {
    throw conflict('Every task of the run is done.', {
      fix: 'Start a changed plan with maos run FILE --continues RUN.',
    });
  }
  for (const task of again) ctx.call(taskOps.retry, { task });
  ctx.emit(runEvents.resumed, id, { tasks: again });
  return getRunDetail(ctx.db, id, ctx.now);
});

const accept = command(runOps.accept, (ctx, input) => {
  const id = resolvePresentRun(ctx.db, input.run);
  const step = stepsOf(ctx.db, id).find((one) => one.id === input.task);
  if (step === undefined) throw notFound('task of this run', input.task, 'maos run get RUN shows its tasks.');
  if ((step.state !== 'waiting' && step.state !== 'failed') || step.workspace === null) {
    throw conflict(`${step.id} is ${step.state}; there is nothing to accept.`, {
      fix: 'Only a task that waits for a person or has failed is accepted.',
    });
  }
  ctx.emit(runEvents.accepted, step.task, { workspace: step.workspace });
  ctx.call(taskOps.retry, { task: step.task });
  return getRunDetail(ctx.db, id, ctx.now);
});

const note = command(runOps.note, (ctx, { run, note: noted }) => {
  switch (noted.kind) {
    case 'reported':
      ctx.emit(runEvents.reported, run, { report: noted.report });
      break;
    case 'merged':
      ctx.emit(runEvents.merged, run, { branch: noted.branch, from: noted.from, to: noted.to });
      break;
    case 'unmerged':
      ctx.emit(runEvents.unmerged, run, { branch: noted.branch, from: noted.from, to: noted.to });
      break;
    case 'removed':
      ctx.emit(runEvents.removed, run, {});
      break;
  }
  return {};
});

type Move = ParsedOf<typeof runOps.advance>['move'];

/** A report of an attempt that is no longer the current one changes nothing: the fence of the claim decides. */
const advance = command(runOps.advance, (ctx, { task, attempt, move }) => {
  const held = ctx.call(taskOps.get, { task });
  if (held.state !== 'claimed' || held.fence !== attempt) return { accepted: false };
  const at = stepAttempt(ctx.db, task);
  if (at === undefined) return { accepted: false };
  if (at.attempt !== attempt && !begins(ctx, task, move)) {
    throw conflict(`Attempt ${attempt} of ${task} was not prepared.`, { fix: 'Report "prepared" first.' });
  }
  if (move.kind === 'work') return { accepted: work(ctx, task, attempt, move) };
  apply(ctx, task, attempt, move);
  return { accepted: true };
});

/** What may be the first report of an attempt. The commit of an earlier attempt is not made again. */
function begins(ctx: CommandContext, task: string, move: Move): boolean {
  if (['prepared', 'failed', 'fanned', 'gathered'].includes(move.kind)) return true;
  const { commit, merge, phase } = current(ctx, task);
  if (move.kind === 'landed') return merge !== null;
  if (move.kind === 'merging') return phase === 'merging' && commit !== null;
  return move.kind === 'produced' && (move.reused || (commit !== null && move.commit === commit));
}

function apply(ctx: CommandContext, task: string, attempt: number, move: Exclude<Move, { kind: 'work' }>): void {
  switch (move.kind) {
    case 'prepared':
      ctx.emit(runEvents.prepared, task, { attempt, workspace: move.workspace, base: move.base });
      return;
    case 'produced': {
      const { kind: _kind, ...produced } = move;
      ctx.emit(runEvents.produced, task, { attempt, ...produced });
      return;
    }
    case 'checked':
      ctx.emit(runEvents.checked, task, { attempt, passed: move.passed, evidence: move.evidence });
      return;
    case 'merging':
      ctx.emit(runEvents.merging, task, { attempt, merge: move.merge });
      return;
    case 'conflicted':
      ctx.emit(runEvents.conflicted, task, { attempt, onto: move.onto, files: move.files });
      return;
    case 'landed':
      land(ctx, task, attempt, move.commit);
      return;
    case 'fanned':
      fanOut(ctx, task, attempt, move);
      return;
    case 'gathered':
      land(ctx, task, attempt, null);
      return;
    case 'failed':
      fail(ctx, task, attempt, move);
      return;
    case 'waiting':
      ctx.call(taskOps.wait, { task, fence: attempt, for: move.for, reason: move.reason });
      return;
  }
}

/** Why a budget lets nothing more start; where it says so, the inbox is asked first. */
function usedUp(ctx: CommandContext, budget: string): string {
  return `Budget: ${ctx.call(budgetOps.ask, { budget }).over ?? ''}`;
}

/**
 * Gives the step's agent its next session; the first time, the agent joins the roster. false: everything that is left is promised to
 * other agents, and the step stays as it is until one of them ends.
 */
function work(ctx: CommandContext, task: string, attempt: number, move: Extract<Move, { kind: 'work' }>): boolean {
  const step = current(ctx, task);
  const agent = agentFor(ctx, step, move.argv !== null && step.planned.prompt !== null);
  if (ctx.call(agentOps.get, { agent }).state !== 'idle') {
    throw new AppError('unavailable', `The session of ${task}’s earlier claim has not ended yet.`, {
      fix: 'It is being stopped; the task goes on when it has ended.',
    });
  }
  const { cwd, env, passEnv, prompt, argv, resume: resumes, resolving } = move;
  const { workspace, planned } = step;
  try {
    const request = { prompt, argv, cwd, env, passEnv, resume: resumes, task, workspace };
    const { generation } = ctx.call(agentOps.start, { agent, ...request, timeoutMs: planned.timeoutMs });
    ctx.emit(runEvents.working, task, { attempt, agent, generation, resolving });
    return true;
  } catch (error) {
    const short = shortOf(error);
    if (short === undefined) throw error;
    if (!short.busy) unaffordable(ctx, step, attempt, short.budget);
    return !short.busy;
  }
}

/** A budget was used up before the start: nothing is started, and no work of it is lost. */
function unaffordable(ctx: CommandContext, { task, resolving }: StepState, fence: number, budget: string): void {
  const reason = usedUp(ctx, budget);
  const found = standingAt(ctx.db, budget, ctx.now);
  const own = found?.kind === 'task' || found?.kind === 'agent';
  if (own && found.denied)
    return fail(ctx, task, fence, {
      kind: 'failed',
      class: 'budget',
      message: reason,
      retry: false,
      retryAt: null,
      feedback: null,
    });
  // All of the run waits with it, so it need not be held back by itself.
  if (!own && resolving === null) ctx.call(taskOps.release, { task, fence, reason });
  else ctx.call(taskOps.wait, { task, fence, for: 'budget', reason });
}

/** Every step has one agent; a command that resolves the conflict of a step with a prompt has one of its own. */
function agentFor(ctx: CommandContext, step: StepState, resolver: boolean): string {
  const run = getRun(ctx.db, step.run);
  const name = `${run.name}/${step.id}${resolver ? '.resolve' : ''}`;
  try {
    return ctx.call(agentOps.get, { agent: name }).id;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
  }
  const { runtime, agent, timeoutMs } = step.planned;
  const { usd, tokens } = resolver ? { usd: null, tokens: null } : agent.limits;
  const hired = ctx.call(agentOps.create, {
    name,
    runtime: resolver ? 'command' : runtime,
    model: resolver ? null : agent.model,
    args: resolver ? [] : agent.args,
    options: resolver ? {} : agent.options,
    limits: {
      timeoutMs: Math.max(100, timeoutMs),
      ...(usd === null ? {} : { budgetUsd: usd }),
      ...(tokens === null ? {} : { budgetTokens: tokens }),
    },
    project: run.project,
  });
  return hired.id;
}

function land(ctx: CommandContext, task: string, attempt: number, commit: string | null): void {
  const step = current(ctx, task);
  ctx.emit(runEvents.landed, task, { attempt, commit });
  ctx.call(taskOps.complete, {
    task,
    fence: attempt,
    result: { commit: step.commit, landed: commit, outputs: step.outputs },
  });
}

/** The task that stands for the list waits for its instances; what needs it goes on waiting for it. */
function fanOut(ctx: CommandContext, task: string, attempt: number, move: Extract<Move, { kind: 'fanned' }>): void {
  const { run, task: standIn } = current(ctx, task);
  if (move.instances.length === 0) return land(ctx, task, attempt, null);
  const { name, base, project, continues } = getRun(ctx.db, run);
  const known = stepsOf(ctx.db, run);
  const rewired = new Map(move.rewired.map((planned) => [planned.id, planned]));
  const all = [...known.map((step) => rewired.get(step.id) ?? step.planned), ...move.instances];
  const keys = planKeys(all, base);
  const needs = new Map(known.map((step) => [step.id, step.task]));
  const made = ctx.call(taskOps.plan, {
    tasks: move.instances.map((planned) =>
      newTask(
        planned,
        run,
        project,
        planned.needs.map((need) => needs.get(need) ?? need),
        standIn,
      ),
    ),
  });
  for (const [index, planned] of move.instances.entries()) {
    const id = made.tasks[index]?.id ?? '';
    const key = keys[planned.id] ?? '';
    const reuse = continues === null ? null : finishedWithKey(ctx.db, continues, key);
    ctx.emit(runEvents.step, id, { run, planned, key, reuse, ready: true });
    ctx.call(budgetOps.record, { budgets: taskBudget(planned, id, name, { run, project }) });
  }
  for (const planned of move.rewired) {
    const waiting = needs.get(planned.id);
    if (waiting !== undefined)
      ctx.emit(runEvents.step, waiting, { run, planned, key: keys[planned.id] ?? '', reuse: null, ready: false });
  }
  ctx.call(taskOps.depend, { task, fence: attempt, needs: made.tasks.map(({ id }) => id) });
}

/** A planned task as the queue takes it. */
function newTask(planned: PlannedTask, run: string, project: string, needs: readonly string[], parent?: string) {
  const { id, title, priority, retries } = planned;
  const from = parent === undefined ? {} : { parent };
  return {
    ref: id,
    title: (planned.forEach === null ? title : id).slice(0, 200),
    kind: usesMoney(planned) ? paid : unpaid,
    queue: run,
    project,
    run,
    needs: [...needs],
    priority,
    retries,
    ...from,
  };
}

function fail(ctx: CommandContext, task: string, attempt: number, move: Extract<Move, { kind: 'failed' }>): void {
  ctx.emit(runEvents.failed, task, { attempt, class: move.class, message: move.message, feedback: move.feedback });
  ctx.call(taskOps.fail, {
    task,
    fence: attempt,
    error: { class: move.class, message: excerpt(move.message, 10_000) },
    retry: move.retry,
    ...parked(ctx, move),
  });
}

/** How long a task rests when a provider's limit is reached and nobody says until when. */
const limitRestMs = 60_000;

/** A task that has to wait for a time that is none of its own making waits for free. */
function parked(ctx: CommandContext, { class: kind, retryAt }: Extract<Move, { kind: 'failed' }>) {
  const until = retryAt ?? (kind === 'rate_limited' ? ctx.now + limitRestMs : null);
  return until === null ? {} : { retryAt: until, free: true };
}

function current(ctx: CommandContext, task: string): StepState {
  const step = findStep(ctx.db, task);
  if (step === undefined) throw new Error(`${task} is not a step of a run.`);
  return step;
}

/** Commands and queries of runs. */
export const runHandlers: readonly Handler[] = [
  reserve,
  record,
  dispatch,
  stop,
  resume,
  accept,
  note,
  advance,
  query(runOps.get, (ctx, input) => getRunDetail(ctx.db, input.run, ctx.now)),
  query(runOps.list, (ctx, input) => ({ runs: listRuns(ctx.db, input) })),
];
