import { invalid, notFound } from '../kernel/error.ts';
import { maxFan } from './check.ts';
import { listItems, type TaskResult } from './outputs.ts';
import type { Item } from './plan.ts';
import type { PlannedTask } from './planned.ts';
import { fillTemplate, itemText, type Reference, references } from './template.ts';

/** The letters of an item that can stand in an id: of its text, or of its `id` or `name`. */
function slug(item: Item): string {
  const text = typeof item === 'object' ? (item['id'] ?? item['name'] ?? Object.values(item)[0] ?? '') : item;
  return String(text)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 32)
    .replaceAll(/^-|-$/g, '');
}

/** `docs` and the item `src/Parser.ts` give `docs-src-parser-ts`. An id comes from the item, so that it does not change when the list is reordered. */
function instanceId(task: string, item: Item, index: number, taken: Set<string>): string {
  const base = `${task}-${slug(item) || index + 1}`;
  let id = base;
  for (let count = 2; taken.has(id); count += 1) id = `${base}-${count}`;
  taken.add(id);
  return id;
}

/** The instances of a task, one for each item. Adds their ids to `taken`. */
export function instancesOf(task: PlannedTask, items: readonly Item[], taken: Set<string>): PlannedTask[] {
  return items.map((item, index) => {
    const lookup = (reference: Reference): string =>
      reference.kind === 'item'
        ? itemText(item, reference.field)
        : reference.kind === 'input'
          ? (task.values.inputs[reference.name] ?? '')
          : '';
    for (const text of itemTexts(task))
      for (const reference of references(text)) if (reference.kind === 'item') lookup(reference);
    return {
      ...task,
      id: instanceId(task.id, item, index, taken),
      title: fillTemplate(task.title, lookup),
      expects: task.expects?.map((pattern) => fillTemplate(pattern, lookup)) ?? null,
      forEach: null,
      fan: { of: task.id, index },
      values: { ...task.values, item },
    };
  });
}

/** The texts that are filled only at the start: looked at now, so that an item without a needed field is refused before anything runs. */
function itemTexts(task: PlannedTask): string[] {
  const conflict = task.onConflict.kind === 'command' ? task.onConflict.command : [];
  return [
    task.prompt ?? '',
    ...(task.command ?? []),
    ...task.checks,
    ...Object.values(task.agent.env),
    ...Object.values(task.inputs),
    ...conflict,
  ];
}

/** What changes when a list becomes known. */
export interface Fanned {
  /** The new tasks, in the order of the items; they take the place of the task that stood for them. */
  readonly instances: readonly PlannedTask[];
  /** The tasks that waited for it, with their needs and sources now naming the instances. */
  readonly rewired: readonly PlannedTask[];
}

/** The items for a task with a dynamic list, read from the results of the task (or of the fan-out) that its `forEach` names. */
export function dynamicItems(task: PlannedTask, results: Readonly<Record<string, TaskResult>>): Item[] {
  const from = task.forEach;
  if (from === null) throw invalid(`Task "${task.id}" has no list to wait for.`, { fix: 'Start it as it is.' });
  return (task.values.tasks[from.task]?.ids ?? []).flatMap((id) => {
    const outputs = Object.hasOwn(results, id) ? results[id]?.outputs : undefined;
    const list = outputs !== undefined && Object.hasOwn(outputs, from.output) ? outputs[from.output] : undefined;
    if (list === undefined)
      throw invalid(`Task "${id}" ended without its output "${from.output}", which "${task.id}" needs.`, {
        fix: `Let "${id}" write ${from.output}=… to the file in $MAOS_OUTPUT.`,
      });
    return listItems(list);
  });
}

/**
 * Fans out a task whose list is now known. `tasks` is the whole run, to keep ids apart and to find those that wait. With no
 * items there are no instances, and what waited now waits for what the fan-out itself needed. Pure: same input, same ids.
 */
export function expandDynamic(tasks: readonly PlannedTask[], id: string, items: readonly Item[]): Fanned {
  const task = tasks.find((one) => one.id === id);
  if (task === undefined) throw notFound('task', id, 'Name a task of this run.');
  if (task.forEach === null)
    throw invalid(`Task "${id}" has no list to wait for.`, {
      fix: 'Only a task with forEach over an output is fanned out during the run.',
    });
  if (items.length > maxFan)
    throw invalid(`The list for "${id}" has ${items.length} items; a forEach takes ${maxFan}.`, {
      fix: 'Let the task write a shorter list, with several things in each item.',
    });
  const instances = instancesOf(task, items, new Set(tasks.map((one) => one.id)));
  const ids = instances.map((instance) => instance.id);
  const instead = ids.length > 0 ? ids : task.needs;
  const rewired = tasks
    .filter((one) => one.needs.includes(id) || Object.hasOwn(one.values.tasks, id))
    .map((one) => ({
      ...one,
      needs: [...new Set(one.needs.flatMap((need) => (need === id ? instead : [need])))],
      values: Object.hasOwn(one.values.tasks, id)
        ? { ...one.values, tasks: { ...one.values.tasks, [id]: { fan: true, ids } } }
        : one.values,
    }));
  return { instances, rewired };
}
