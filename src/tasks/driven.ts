/** What only MAOS itself does with the tasks of a run: whoever else did it would leave the run waiting for ever. */
import { AppError } from '../kernel/error.ts';
import type { CommandContext } from '../kernel/handler.ts';
import type { TaskRow } from './views.ts';

const endings =
  'maos run accept takes what is in its worktree; maos stop ends the run; maos task cancel ends the task.';

/** What becomes of a task of a run is for the run to say: its result is committed, checked and merged first. */
export function refuseDriven(ctx: CommandContext, { id, run }: Pick<TaskRow, 'id' | 'run'>, fix = endings): void {
  if (run === null || ctx.actor.kind === 'system') return;
  throw new AppError('forbidden', `Task ${id} belongs to a run, which carries it out itself.`, { fix });
}

/** A run's tasks stand alone in its queue, where only it claims. */
export function refuseRunQueue(ctx: CommandContext, queue: string): void {
  if (ctx.actor.kind === 'system') return;
  // The queue of a run is named by its id.
  if (ctx.db.get('SELECT 1 FROM task WHERE run = ?1 AND queue = ?1 LIMIT 1', queue) === undefined) return;
  throw new AppError('forbidden', `The queue ${queue} belongs to a run, which carries out its tasks itself.`, {
    fix: 'Use another queue, or leave it out; a run with other tasks is begun with maos run.',
  });
}

/** A run knows its tasks from its plan: one that is added by somebody else would never be carried out. */
export function refuseJoining(
  ctx: CommandContext,
  task: { readonly run?: string | undefined; readonly queue: string },
): void {
  if (ctx.actor.kind === 'system') return;
  refuseRunQueue(ctx, task.queue);
  if (task.run === undefined) return;
  throw new AppError('forbidden', `A task cannot be added to the run ${task.run}: its plan says which it has.`, {
    fix: 'Leave run out, or start a changed plan with maos run FILE --continues RUN.',
  });
}
