import { conflict } from '../kernel/error.ts';
import { command, type Handler, type Reader } from '../kernel/handler.ts';
import { batch, create, plan } from './adding.ts';
import { claimHandlers } from './claims.ts';
import { taskEvents, taskOps } from './contract.ts';
import { refuseDriven } from './driven.ts';
import type { Leases } from './leases.ts';
import { moved, refuseEnded } from './model.ts';
import { readHandlers } from './reading.ts';
import { findTask, hasOpenNeed, toTask } from './rows.ts';
import { tick } from './ticking.ts';
import { reasons } from './views.ts';

export interface TaskOptions {
  /** They live in the core thread, beside the commands that grant and end them. */
  readonly leases: Leases;
  /** Refuses for a run that is gone, which only the room of runs can know: its tasks are only history. */
  readonly refuseGone?: (db: Reader, run: string) => void;
}

/** All operations on tasks. */
export function taskHandlers(options: TaskOptions): Handler[] {
  const { leases } = options;
  return [
    command(taskOps.create, create),
    command(taskOps.batch, batch),
    command(taskOps.plan, plan),
    ...readHandlers,
    ...changeHandlers(options),
    ...claimHandlers(leases),
    command(taskOps.tick, (ctx) => tick(ctx, leases)),
  ];
}

/** What whoever is responsible for a task calls. */
function changeHandlers({ leases, refuseGone }: TaskOptions): Handler[] {
  return [
    command(taskOps.update, (ctx, { task: text, ...change }) => {
      const row = findTask(ctx.db, text);
      refuseEnded(row);
      ctx.emit(taskEvents.updated, row.id, change);
      return toTask(findTask(ctx.db, row.id));
    }),
    command(taskOps.assign, (ctx, { task: text, assignee }) => {
      const row = findTask(ctx.db, text);
      refuseEnded(row);
      refuseDriven(ctx, row, 'maos task update --priority says which task of a run comes first.');
      if (row.claimed_by !== null && row.claimed_by !== assignee) {
        throw conflict(`Task ${row.id} is claimed by ${row.claimed_by}.`, {
          fix: 'Wait until it is done or released, or cancel it.',
          details: { task: row.id, claimedBy: row.claimed_by },
        });
      }
      ctx.emit(taskEvents.assigned, row.id, { assignee });
      return { ...toTask(row), assignee, updatedAt: ctx.now };
    }),
    command(taskOps.retry, (ctx, input) => {
      const row = findTask(ctx.db, input.task);
      if (row.run !== null) refuseGone?.(ctx.db, row.run);
      const state = moved(row, row.state === 'cancelled' && hasOpenNeed(ctx.db, row.id) ? 'block' : 'retry');
      if (state === 'blocked') ctx.emit(taskEvents.blocked, row.id, { reason: reasons.blocked });
      else ctx.emit(taskEvents.queued, row.id, { reason: row.state === 'waiting' ? 'resolved' : 'retried' });
      return toTask(findTask(ctx.db, row.id));
    }),
    command(taskOps.cancel, (ctx, { task: text, reason }) => {
      const row = findTask(ctx.db, text);
      const state = moved(row, 'cancel');
      ctx.emit(taskEvents.cancelled, row.id, { reason });
      leases.release(row.id);
      return { ...toTask(row), state, reason, since: ctx.now, updatedAt: ctx.now, claimedBy: null };
    }),
  ];
}
