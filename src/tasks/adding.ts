import { AppError, conflict, invalid } from '../kernel/error.ts';
import type { CommandContext } from '../kernel/handler.ts';
import type { OutputOf, ParsedOf } from '../kernel/operation.ts';
import { resolveId } from '../kernel/resolve.ts';
import { type Task, taskEvents, type taskOps } from './contract.ts';
import { refuseJoining } from './driven.ts';
import { readyState } from './model.ts';
import { taskIds } from './rows.ts';
import { reasons } from './views.ts';

type NewTask = ParsedOf<typeof taskOps.create>;
type Batch = ParsedOf<typeof taskOps.batch>;

export function create(ctx: CommandContext, input: NewTask): Task {
  refuseJoining(ctx, input);
  return add(ctx, ctx.newId('task'), input, needsOf(ctx, input.needs));
}

export function batch(ctx: CommandContext, input: Batch): OutputOf<typeof taskOps.batch> {
  for (const task of input.tasks) refuseJoining(ctx, task);
  return plan(ctx, input);
}

/** As `batch`, for the run that the tasks belong to. */
export function plan(ctx: CommandContext, { tasks }: Batch): OutputOf<typeof taskOps.plan> {
  const planned = tasks.map((item) => ({ ...item, id: ctx.newId('task') }));
  const byRef = new Map(planned.flatMap((item) => (item.ref === undefined ? [] : [[item.ref, item] as const])));
  refuseSameRefs(planned);
  refuseCycle(planned);
  for (const [index, { ref: _ref, id, ...item }] of planned.entries()) {
    const inside = item.needs.filter((need) => byRef.has(need));
    const outside = item.needs.filter((need) => !byRef.has(need));
    for (const need of outside) refuseUnknown(ctx, need, `tasks.${index}.needs`);
    const needs = needsOf(ctx, outside);
    const ids = [...inside.flatMap((need) => byRef.get(need)?.id ?? []), ...needs.ids];
    add(ctx, id, item, { ids: [...new Set(ids)], open: needs.open || inside.length > 0 });
  }
  return { tasks: planned.map(({ id, ref }) => ({ ref: ref ?? null, id })) };
}

interface Needs {
  readonly ids: string[];
  readonly open: boolean;
}

/** The tasks that texts mean, each once, and whether one of them is not done. */
function needsOf(ctx: CommandContext, texts: readonly string[]): Needs {
  const ids = new Set<string>();
  let open = false;
  for (const text of texts) {
    const id = resolveId(ctx.db, taskIds, text);
    ids.add(id);
    open ||= ctx.db.get("SELECT 1 FROM task WHERE id = ? AND state = 'done'", id) === undefined;
  }
  return { ids: [...ids], open };
}

function add(ctx: CommandContext, id: string, input: NewTask, needs: Needs): Task {
  const { now } = ctx;
  const { title, description, kind, queue, priority, payload, labels, retries } = input;
  const parent = input.parent === undefined ? null : resolveId(ctx.db, taskIds, input.parent);
  const { project = null, run = null, assignee = null, notBefore = null } = input;
  const state = readyState(needs.open, notBefore, now);
  const same = { title, description, kind, queue, project, parent, run, assignee, needs: needs.ids, priority };
  const data = { ...same, payload, notBefore, retries, labels, state };
  ctx.emit(taskEvents.created, id, data);
  return {
    ...data,
    id,
    since: now,
    reason: state === 'queued' ? null : reasons[state],
    attempt: 0,
    claimedBy: null,
    fence: 0,
    result: null,
    error: null,
    createdAt: now,
    updatedAt: now,
  };
}

type Planned = Batch['tasks'][number];

function refuseSameRefs(tasks: readonly Planned[]): void {
  const seen = new Set<string>();
  for (const [index, { ref }] of tasks.entries()) {
    if (ref === undefined) continue;
    if (seen.has(ref)) {
      throw invalid(`Two tasks of the batch have the ref "${ref}".`, {
        fix: 'Give each task a ref of its own.',
        issues: [{ path: `tasks.${index}.ref`, message: 'is used twice' }],
      });
    }
    seen.add(ref);
  }
}

/** Refuses needs that lead back to where they began, and names them. */
function refuseCycle(tasks: readonly Planned[]): void {
  const cycle = findCycle(new Map(tasks.flatMap(({ ref, needs }) => (ref === undefined ? [] : [[ref, needs]]))));
  if (cycle === undefined) return;
  throw conflict(`The needs form a cycle (each needs the next): ${cycle.join(' → ')}.`, {
    fix: 'Remove one of these needs.',
    details: { cycle },
  });
}

/** A cycle in a graph, its first node repeated at its end; undefined when there is none. Keeps its own stack: plans can be deep. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>();
  for (const start of graph.keys()) {
    const path = [start];
    const open = [[...(graph.get(start) ?? [])]];
    while (path.length > 0 && !finished.has(start)) {
      const next = open.at(-1)?.pop();
      if (next === undefined) {
        finished.add(path.pop() ?? start);
        open.pop();
      } else if (path.includes(next)) {
        return [...path.slice(path.indexOf(next)), next];
      } else if (graph.has(next) && !finished.has(next)) {
        path.push(next);
        open.push([...(graph.get(next) ?? [])]);
      }
    }
  }
  return undefined;
}

/**
 * A need of a batch is a ref or a whole id. The beginning of an id is not enough here: a misspelt ref is short, and would
 * be taken for whatever task it happens to begin.
 */
function refuseUnknown(ctx: CommandContext, need: string, path: string): void {
  if (ctx.db.get('SELECT 1 FROM task WHERE id = ?', need) !== undefined) return;
  const message = `"${need}" is neither the ref of a task in the batch nor the id of a task.`;
  throw new AppError('not_found', `${path}: ${message}`, {
    fix: 'Use the ref of a task in the batch, or the whole id of a task that exists (maos task list).',
    issues: [{ path, message }],
  });
}
