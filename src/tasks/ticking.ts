import type { CommandContext } from '../kernel/handler.ts';
import type { OutputOf } from '../kernel/operation.ts';
import { taskEvents, type taskOps } from './contract.ts';
import { release } from './claims.ts';
import { type Claim, type Leases, leaseMs } from './leases.ts';
import { claimedTasks, dueTasks, nextDue } from './rows.ts';

/** How much one tick does at most, so that it does not hold up the commands behind it; `nextAt` says that more is due. */
const chunk = 500;

/** Promotes what is due and releases what nobody answers for. Emits nothing, and so writes nothing, when nothing is. */
export function tick(ctx: CommandContext, leases: Leases): OutputOf<typeof taskOps.tick> {
  const due = ctx.db.all<{ id: string }>(dueTasks, ctx.now, chunk);
  for (const { id } of due) ctx.emit(taskEvents.queued, id, { reason: 'due' });
  leases.reconcile(ctx.db.all<Claim>(claimedTasks), ctx.now + leaseMs);
  const expired = leases.expired(ctx.now).slice(0, chunk);
  for (const { task, fence } of expired) {
    release(ctx, { id: task, fence }, `no heartbeat for ${leaseMs / 1_000} seconds`);
    leases.release(task);
  }
  const times = [leases.nextAt(), ctx.db.get<{ not_before: number }>(nextDue)?.not_before ?? null];
  const next = times.filter((time) => time !== null);
  return { promoted: due.length, released: expired.length, nextAt: next.length === 0 ? null : Math.min(...next) };
}
