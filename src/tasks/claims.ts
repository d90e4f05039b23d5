import { conflict, invalid } from '../kernel/error.ts';
import { command, type CommandContext, type Handler } from '../kernel/handler.ts';
import type { OutputOf, ParsedOf } from '../kernel/operation.ts';
import { matchIds, resolveId } from '../kernel/resolve.ts';
import { type Task, taskEvents, taskOps } from './contract.ts';
import { refuseDriven, refuseRunQueue } from './driven.ts';
import { type Leases, leaseMs } from './leases.ts';
import { checkFence, moved, readyState, restMs } from './model.ts';
import { claimable, findTask, hasOpenNeed, retriesOf, taskIds, toTask } from './rows.ts';
import type { TaskRow } from './views.ts';

type FailInput = ParsedOf<typeof taskOps.fail>;

/** What whoever works on tasks calls: claim, heartbeat, and the five ways a claim ends. */
export function claimHandlers(leases: Leases): Handler[] {
  /** The claimed task, once the caller has shown that the claim is still theirs. */
  const held = (ctx: CommandContext, input: { readonly task: string; readonly fence: number }): TaskRow => {
    const row = findTask(ctx.db, input.task);
    refuseDriven(ctx, row);
    checkFence(row, input.fence);
    return row;
  };
  const end = (row: TaskRow, now: number, change: Partial<Task>): Task => {
    leases.release(row.id);
    return { ...toTask(row), since: now, updatedAt: now, claimedBy: null, ...change };
  };
  return [
    command(taskOps.claim, (ctx, input) => claim(ctx, leases, input)),
    command(taskOps.heartbeat, (ctx, { claims }) => ({
      lost: claims.flatMap(({ task, fence }) => (extend(ctx, leases, task, fence) ? [] : [task])),
    })),
    command(taskOps.complete, (ctx, input) => {
      const row = held(ctx, input);
      const state = moved(row, 'complete');
      const result = input.result ?? null;
      const dependents = dependentsOf(ctx, row.id);
      ctx.emit(taskEvents.completed, row.id, { result });
      for (const id of dependents) free(ctx, id);
      return end(row, ctx.now, { state, reason: null, result, error: null });
    }),
    command(taskOps.fail, (ctx, input) => {
      const row = held(ctx, input);
      return end(row, ctx.now, fail(ctx, row, input));
    }),
    command(taskOps.release, (ctx, input) => {
      const row = held(ctx, input);
      const state = moved(row, 'release');
      release(ctx, row, input.reason);
      return end(row, ctx.now, { state, reason: input.reason });
    }),
    command(taskOps.wait, (ctx, input) => {
      const row = held(ctx, input);
      const state = moved(row, 'wait');
      ctx.emit(taskEvents.waiting, row.id, { for: input.for, reason: input.reason });
      return end(findTask(ctx.db, row.id), ctx.now, { state, reason: `${input.for}: ${input.reason}` });
    }),
    command(taskOps.depend, (ctx, input) => {
      const row = held(ctx, input);
      moved(row, 'depend');
      const needs = input.needs.map((need) => resolveId(ctx.db, taskIds, need));
      for (const need of needs) refuseLoop(ctx, row.id, need);
      ctx.emit(taskEvents.depended, row.id, { fence: row.fence, needs });
      leases.release(row.id);
      free(ctx, row.id);
      return toTask(findTask(ctx.db, row.id));
    }),
  ];
}

/** A task must not come to wait for itself, over however many others. */
function refuseLoop(ctx: CommandContext, task: string, need: string): void {
  const sql = `WITH RECURSIVE reach (id) AS (SELECT ?1 UNION SELECT need FROM task_need JOIN reach ON task_need.task = reach.id)
    SELECT 1 FROM reach WHERE id = ?2`;
  if (ctx.db.get(sql, need, task) === undefined) return;
  throw invalid(`Task ${need} waits for ${task} itself.`, { fix: 'Leave it out of the needs.' });
}

function claim(
  ctx: CommandContext,
  leases: Leases,
  input: ParsedOf<typeof taskOps.claim>,
): OutputOf<typeof taskOps.claim> {
  const { worker, queue, kinds } = input;
  if (input.task === undefined) refuseRunQueue(ctx, queue);
  const row = input.task === undefined ? claimable(ctx.db, queue, worker, kinds) : named(ctx, input.task, worker);
  if (row === undefined) return { task: null };
  refuseDriven(ctx, row);
  const state = moved(row, 'claim');
  const fence = row.fence + 1;
  const attempt = row.attempt + 1;
  ctx.emit(taskEvents.claimed, row.id, { by: worker, fence, attempt });
  leases.grant(row.id, fence, ctx.now + leaseMs);
  const { now } = ctx;
  return {
    task: { ...toTask(row), state, since: now, updatedAt: now, reason: null, claimedBy: worker, fence, attempt },
  };
}

function named(ctx: CommandContext, text: string, worker: string): TaskRow {
  const row = findTask(ctx.db, text);
  if (row.assignee === null || row.assignee === worker) return row;
  throw conflict(`Task ${row.id} is assigned to ${row.assignee}, not to ${worker}.`, {
    fix: 'Claim another task, or assign this one to the worker (maos task assign).',
    details: { task: row.id, assignee: row.assignee },
  });
}

function extend(ctx: CommandContext, leases: Leases, text: string, fence: number): boolean {
  const [id, ...others] = matchIds(ctx.db, taskIds, text);
  if (id === undefined || others.length > 0) return false;
  const sql = "SELECT id, run FROM task WHERE id = ? AND state = 'claimed' AND fence = ?";
  const row = ctx.db.get<Pick<TaskRow, 'id' | 'run'>>(sql, id, fence);
  if (row === undefined) return false;
  refuseDriven(ctx, row);
  leases.extend(id, fence, ctx.now + leaseMs);
  return true;
}

/** The claim of a task ends without a result, and it can be claimed again. */
export function release(
  ctx: CommandContext,
  claimed: { readonly id: string; readonly fence: number },
  reason: string,
): void {
  ctx.emit(taskEvents.released, claimed.id, { fence: claimed.fence, reason });
  ctx.emit(taskEvents.queued, claimed.id, { reason: 'released' });
}

function fail(ctx: CommandContext, row: TaskRow, { error, retry, retryAt, free }: FailInput): Partial<Task> {
  const reason = `${error.class}: ${error.message}`;
  const retries = retriesOf(row);
  const failures = row.attempt - row.uncounted - (free ? 1 : 0);
  if (!retry || failures > retries.max) {
    const state = moved(row, 'fail');
    ctx.emit(taskEvents.failed, row.id, { error });
    return { state, reason, error };
  }
  const state = moved(row, 'delay');
  const until = retryAt ?? ctx.now + restMs(retries, row.id, row.attempt, failures);
  ctx.emit(taskEvents.delayed, row.id, { until, error, free });
  return { state, reason, error, notBefore: until };
}

function dependentsOf(ctx: CommandContext, need: string): string[] {
  return ctx.db
    .all<{ task: string }>('SELECT task FROM task_need WHERE need = ? ORDER BY task', need)
    .map(({ task }) => task);
}

/** Lets a blocked task go on when none of its needs is open any more. */
function free(ctx: CommandContext, id: string): void {
  if (hasOpenNeed(ctx.db, id)) return;
  const row = findTask(ctx.db, id);
  if (row.state !== 'blocked') return;
  const state = readyState(false, row.not_before, ctx.now);
  if (state === 'delayed' && row.not_before !== null) {
    moved(row, 'postpone');
    ctx.emit(taskEvents.delayed, id, { until: row.not_before, error: null, free: false });
  } else {
    moved(row, 'free');
    ctx.emit(taskEvents.queued, id, { reason: 'needs_met' });
  }
}
