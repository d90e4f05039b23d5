import { invalid } from '../kernel/error.ts';
import { canonicalJson, sha256 } from '../kernel/hash.ts';
import { topologicalOrder } from './graph.ts';
import type { PlannedTask } from './planned.ts';
import { readTemplate, referenceText } from './template.ts';

/** Changes when the meaning of a key changes, so that results of an older meaning are not taken over. */
const version = 1;

/**
 * The content key of a task: two tasks with the same key would do the same work, so a finished one need not run again.
 * It covers what decides the result (prompt or command, values, checks, files expected, runtime, model, arguments,
 * environment, shared workspace, the keys of all needs, the run's base commit) and nothing else: not id, title,
 * priority, retries, timeout, spending limit or conflict policy, and not the order of tasks, needs or fields.
 * `needKeys` has the key of every need. Compute it when the needs are done: a need that is still to be fanned out
 * has another key before than after.
 */
export function taskKey(task: PlannedTask, needKeys: Readonly<Record<string, string>>, base: string): string {
  const keyOf = (id: string): string => {
    const key = Object.hasOwn(needKeys, id) ? needKeys[id] : undefined;
    if (key === undefined)
      throw invalid(`The key of "${id}" is needed for the key of "${task.id}".`, {
        fix: 'Compute the keys of all needs first.',
      });
    return key;
  };
  const text = (template: string): unknown => neutral(template, task, keyOf);
  const texts = (map: Readonly<Record<string, string>>): unknown =>
    Object.fromEntries(Object.entries(map).map(([name, value]) => [name, text(value)]));
  return sha256(
    canonicalJson({
      version,
      base,
      prompt: task.prompt === null ? null : text(task.prompt),
      command: task.command?.map(text) ?? null,
      needs: task.needs.map(keyOf).toSorted(),
      runtime: task.runtime,
      model: task.agent.model,
      args: task.agent.args,
      options: task.agent.options,
      env: texts(task.agent.env),
      // Their values are not known, and keys of plans without any stay what they were.
      ...(Object.keys(task.agent.passEnv).length === 0 ? {} : { passEnv: task.agent.passEnv }),
      checks: task.checks.map(text),
      expects: task.expects?.toSorted() ?? null,
      allowEmpty: task.allowEmpty,
      outputs: task.outputs.toSorted(),
      inputs: texts(task.inputs),
      workspace: task.workspace,
      forEach:
        task.forEach === null
          ? null
          : { from: sourceKeys(task, task.forEach.task, keyOf), output: task.forEach.output },
      given: task.values.inputs,
      item: task.values.item,
    }),
  );
}

function sourceKeys(task: PlannedTask, id: string, keyOf: (id: string) => string): string[] {
  return (task.values.tasks[id]?.ids ?? []).map(keyOf);
}

/** A template with references to tasks written as the keys of these tasks, so that renaming a task changes no key. */
function neutral(template: string, task: PlannedTask, keyOf: (id: string) => string): unknown {
  return readTemplate(template).map((part) => {
    if (part.kind !== 'reference') return part.kind === 'text' ? part.text : part.raw;
    if (!('task' in part.reference)) return { reference: referenceText(part.reference) };
    const output = part.reference.kind === 'output' ? part.reference.name : null;
    return { reference: sourceKeys(task, part.reference.task, keyOf), output };
  });
}

/**
 * The keys of all tasks of a run, by id. Tasks that say exactly the same (three attempts at one prompt, say) are told
 * apart by a count, so that one's result is not taken for another's; the count follows the ids, not the order of the file.
 */
export function planKeys(tasks: readonly PlannedTask[], base: string): Record<string, string> {
  const sorted = tasks.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const byId = new Map(sorted.map((task) => [task.id, task]));
  const keys: Record<string, string> = {};
  const seen = new Map<string, number>();
  for (const id of topologicalOrder(sorted)) {
    const task = byId.get(id);
    if (task === undefined) continue;
    const key = taskKey(task, keys, base);
    const twin = seen.get(key) ?? 0;
    seen.set(key, twin + 1);
    keys[id] = twin === 0 ? key : sha256(`${key} ${twin}`);
  }
  return keys;
}
