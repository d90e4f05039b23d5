import type { BudgetTerms } from '../budgets/contract.ts';
import { invalid } from '../kernel/error.ts';
import { agentOf, maxFan, runtimeOf, sharedWorkspace } from './check.ts';
import { durationMs } from './duration.ts';
import { instancesOf } from './fan.ts';
import { topologicalOrder } from './graph.ts';
import { listItems } from './outputs.ts';
import type { Item, Plan, PlanBudget, PlanEnv, PlanTask } from './plan.ts';
import type { PlannedTask } from './planned.ts';
import { namesItem } from './references.ts';
import { suggestion } from './suggest.ts';
import { escapeTemplate, fillTemplate, itemText, type Reference, references } from './template.ts';

const hour = 3_600_000;

/**
 * The tasks of a run: inputs given, defaults applied, every `forEach` whose list is known fanned out. In the plan's
 * order, instances in the order of their items. Refuses inputs that are unknown or missing.
 */
export function expandPlan(plan: Plan, given: Readonly<Record<string, string>> = {}): PlannedTask[] {
  const inputs = runInputs(plan, given);
  const taken = new Set(plan.tasks.map(({ id }) => id));
  const made = new Map<string, PlannedTask[]>();
  for (const task of plan.tasks) {
    const planned = plannedTask(plan, task, inputs);
    const items = knownItems(task, inputs);
    made.set(task.id, items === null ? [settled(planned)] : instancesOf(planned, items, taken));
  }
  const stands = standIns(plan, made);
  return plan.tasks.flatMap((task) =>
    (made.get(task.id) ?? []).map((planned) => ({
      ...planned,
      needs: [...new Set(planned.needs.flatMap((need) => stands.get(need) ?? []))],
      values: { ...planned.values, tasks: sources(planned, plan, made) },
    })),
  );
}

/** Which tasks a need stands for: all instances of a fan-out; for an empty one, what the fan-out itself waited for. */
function standIns(plan: Plan, made: ReadonlyMap<string, readonly PlannedTask[]>): Map<string, string[]> {
  const needs = new Map(plan.tasks.map(({ id, needs: list = [] }) => [id, list]));
  const stands = new Map<string, string[]>();
  for (const id of topologicalOrder(plan.tasks.map(({ id: node, needs: list = [] }) => ({ id: node, needs: list })))) {
    const instances = (made.get(id) ?? []).map((task) => task.id);
    stands.set(id, instances.length > 0 ? instances : (needs.get(id) ?? []).flatMap((need) => stands.get(need) ?? []));
  }
  return stands;
}

/** Where the values of the named tasks come from. */
function sources(
  planned: PlannedTask,
  plan: Plan,
  made: ReadonlyMap<string, readonly PlannedTask[]>,
): PlannedTask['values']['tasks'] {
  const fans = new Set(plan.tasks.flatMap(({ id, forEach }) => (forEach === undefined ? [] : [id])));
  return Object.fromEntries(
    Object.keys(planned.values.tasks).map((id) => {
      const instances = made.get(id) ?? [];
      // A fan-out that still waits for its list has no instance yet; expandDynamic adds them.
      return [id, { fan: fans.has(id), ids: instances.filter((task) => task.forEach === null).map((task) => task.id) }];
    }),
  );
}

/** The run's inputs: what was given, else the default. */
function runInputs(plan: Plan, given: Readonly<Record<string, string>>): Record<string, string> {
  const declared = plan.inputs ?? {};
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(declared, name)) continue;
    throw invalid(`The plan "${plan.name}" has no input "${name}".`, {
      fix: suggestion(name, Object.keys(declared), 'Leave --input out: this plan has no inputs.'),
    });
  }
  return Object.fromEntries(
    Object.entries(declared).map(([name, input]) => {
      const value = Object.hasOwn(given, name) ? given[name] : input.default;
      if (value === undefined)
        throw invalid(`The plan "${plan.name}" needs the input "${name}".`, { fix: `Give it with --input ${name}=…` });
      return [name, String(value)];
    }),
  );
}

/** The items of a list that is known before the run, or null when there is no list or it comes from a task. */
function knownItems(task: PlanTask, inputs: Readonly<Record<string, string>>): readonly Item[] | null {
  if (task.forEach === undefined || Array.isArray(task.forEach)) return task.forEach ?? null;
  const [reference] = references(task.forEach);
  if (reference?.kind !== 'input') return null;
  const items = listItems(inputs[reference.name] ?? '');
  if (items.length > maxFan)
    throw invalid(`The input "${reference.name}" lists ${items.length} items; a forEach takes ${maxFan}.`, {
      fix: 'Give fewer items.',
    });
  return items;
}

/** Values for texts that are read before the run starts and belong to no item. */
const fromInputs =
  (inputs: Readonly<Record<string, string>>) =>
  (reference: Reference): string =>
    reference.kind === 'input' ? (inputs[reference.name] ?? '') : itemText(null, null);

/** Fills what is read before the task starts, for a task that is no template of others. */
function settled(task: PlannedTask): PlannedTask {
  if (task.forEach !== null) return task;
  const lookup = fromInputs(task.values.inputs);
  return {
    ...task,
    title: fillTemplate(task.title, lookup),
    expects: task.expects?.map((pattern) => fillTemplate(pattern, lookup)) ?? null,
  };
}

const textMap = (map: Readonly<Record<string, string | number | boolean>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(map).map(([name, value]) => [name, String(value)]));

/** The variables of all together, later ones over earlier ones: those with a value, and those that only have a name. */
function variables(...maps: (PlanEnv | undefined)[]): Pick<PlannedTask['agent'], 'env' | 'passEnv'> {
  const together: PlanEnv = Object.assign({}, ...maps);
  const env: Record<string, string> = {};
  const passEnv: PlannedTask['agent']['passEnv'] = {};
  for (const [name, value] of Object.entries(together))
    if (typeof value === 'object') passEnv[name] = 'from' in value ? value.from : value;
    else env[name] = String(value);
  return { env, passEnv };
}

/** One task with defaults and agent applied; its needs and sources still name tasks of the plan. */
function plannedTask(plan: Plan, task: PlanTask, inputs: Readonly<Record<string, string>>): PlannedTask {
  const { defaults = {} } = plan;
  const agentName = agentOf(plan, task);
  const agent = agentName === null ? undefined : plan.agents?.[agentName];
  const prompted = task.prompt !== undefined;
  const timeout = task.timeout ?? agent?.limits?.timeout ?? defaults.timeout;
  const planned: PlannedTask = {
    id: task.id,
    title: titleOf(task),
    prompt: task.prompt ?? null,
    command: typeof task.command === 'string' ? ['sh', '-c', task.command] : (task.command?.map(String) ?? null),
    needs: [...(task.needs ?? [])],
    runtime: runtimeOf(plan, task),
    agent: {
      name: agentName,
      model: prompted ? (task.model ?? agent?.model ?? defaults.model ?? null) : null,
      args: (agent?.args ?? []).map((argument) => fillTemplate(String(argument), fromInputs(inputs))),
      options: agent?.options ?? {},
      ...variables(defaults.env, agent?.env, task.env),
      limits: { usd: agent?.limits?.usd ?? null, tokens: agent?.limits?.tokens ?? null },
    },
    checks: [...(task.checks ?? defaults.checks ?? [])],
    retries: retriesOf(task.retries ?? defaults.retries ?? 0),
    timeoutMs: timeout === undefined ? hour : durationMs(timeout),
    expects: task.expects ?? null,
    allowEmpty: task.allowEmpty ?? (!prompted || task.expects?.length === 0),
    outputs: [...(task.outputs ?? [])],
    inputs: textMap(task.inputs),
    priority: task.priority ?? defaults.priority ?? 50,
    budget: prompted && task.budget !== undefined ? termsOf(task.budget) : null,
    workspace: sharedWorkspace(task),
    onConflict: conflictOf(task.onConflict ?? defaults.onConflict ?? 'return'),
    forEach: forEachOf(task),
    fan: null,
    values: { inputs: {}, item: null, tasks: {} },
  };
  return { ...planned, values: namedValues(planned, inputs) };
}

/** A budget of a plan with its defaults; without one, nothing is limited. */
export function termsOf(given: PlanBudget | undefined): BudgetTerms {
  return {
    usd: given?.usd ?? null,
    tokens: given?.tokens ?? null,
    period: given?.period ?? 'total',
    atLimit: given?.atLimit ?? 'stop',
    share: given?.share ?? null,
  };
}

/** A fan-out whose title does not name the item gets it added, so that its instances can be told apart. */
function titleOf(task: PlanTask): string {
  const title = task.title ?? escapeTemplate(task.id);
  return task.forEach === undefined || namesItem(title) ? title : `${title} (\${{ item }})`;
}

function retriesOf(retries: NonNullable<PlanTask['retries']>): PlannedTask['retries'] {
  const {
    max,
    backoff = '1s',
    factor = 2,
    maxBackoff = '1m',
  } = typeof retries === 'number' ? { max: retries } : retries;
  const backoffMs = durationMs(backoff);
  return { max, backoffMs, factor, maxBackoffMs: Math.max(backoffMs, durationMs(maxBackoff)) };
}

function conflictOf(onConflict: NonNullable<PlanTask['onConflict']>): PlannedTask['onConflict'] {
  return typeof onConflict === 'string'
    ? { kind: onConflict }
    : { kind: 'command', command: ['sh', '-c', onConflict.command] };
}

function forEachOf(task: PlanTask): PlannedTask['forEach'] {
  if (typeof task.forEach !== 'string') return null;
  const [reference] = references(task.forEach);
  return reference?.kind === 'output' ? { task: reference.task, output: reference.name } : null;
}

/** The inputs and tasks that the texts of a task name. `inputs.x` is the run's unless the task has its own `x`. */
function namedValues(task: PlannedTask, inputs: Readonly<Record<string, string>>): PlannedTask['values'] {
  const outer = [task.title, ...(task.expects ?? []), ...Object.values(task.inputs)];
  const conflict = task.onConflict.kind === 'command' ? task.onConflict.command : [];
  const inner = [
    task.prompt ?? '',
    ...(task.command ?? []),
    ...task.checks,
    ...Object.values(task.agent.env),
    ...conflict,
  ];
  const all = [
    ...outer.flatMap(references),
    ...inner
      .flatMap(references)
      .filter((reference) => reference.kind !== 'input' || !Object.hasOwn(task.inputs, reference.name)),
  ];
  const named = new Set(all.flatMap((reference) => (reference.kind === 'input' ? [reference.name] : [])));
  const tasks = new Set(all.flatMap((reference) => ('task' in reference ? [reference.task] : [])));
  if (task.forEach !== null) tasks.add(task.forEach.task);
  return {
    inputs: Object.fromEntries(Object.entries(inputs).filter(([name]) => named.has(name))),
    item: null,
    tasks: Object.fromEntries([...tasks].map((id) => [id, { fan: false, ids: [] }])),
  };
}
