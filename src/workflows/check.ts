import { durationMs } from './duration.ts';
import { duplicateIds, findCycles, topologicalOrder, transitiveNeeds, unknownNeeds } from './graph.ts';
import type { Plan, PlanTask } from './plan.ts';
import { referenceProblems } from './references.ts';
import type { Problem } from './source.ts';
import { suggestion } from './suggest.ts';

/** The runtimes there are, and which take a prompt. */
export type KnownRuntimes = Readonly<Record<string, { readonly prompt: boolean }>>;

/** All that a plan's shape cannot say. Problems of the graph are found first: references make sense only on a sound one. */
export function checkPlan(plan: Plan, runtimes: KnownRuntimes): Problem[] {
  const problems = [
    ...graphProblems(plan),
    ...programProblems(plan, runtimes),
    ...plan.tasks.flatMap((task, index) => taskProblems(plan, task, ['tasks', index])),
  ];
  return problems.length > 0 ? problems : [...sharedWorkspaceProblems(plan), ...referenceProblems(plan)];
}

function nodes(plan: Plan): { id: string; needs: readonly string[] }[] {
  return plan.tasks.map(({ id, needs = [] }) => ({ id, needs }));
}

function graphProblems(plan: Plan): Problem[] {
  const graph = nodes(plan);
  const ids = graph.map(({ id }) => id);
  const duplicates = duplicateIds(graph).map(({ id, index, first }): Problem => {
    return {
      path: ['tasks', index, 'id'],
      message: `The id "${id}" is already used by task ${first + 1} of this plan. Give this task another id.`,
    };
  });
  const unknown = unknownNeeds(graph).map(({ need, node, index }): Problem => {
    const others = ids.filter((id) => id !== ids[node]);
    return {
      path: ['tasks', node, 'needs', index],
      message: `There is no task "${need}". ${suggestion(need, others, 'Remove this need.')}`,
    };
  });
  const cycles = findCycles(graph).map((cycle): Problem => {
    const node = ids.indexOf(cycle[0] ?? '');
    const need = graph[node]?.needs.indexOf(cycle[1] ?? '') ?? 0;
    const message =
      cycle.length === 2
        ? `Task "${cycle[0]}" needs itself: ${cycle.join(' → ')}. Remove this need.`
        : `These tasks wait for each other: ${cycle.join(' → ')}. Remove one of these needs.`;
    return { path: ['tasks', node, 'needs', need], message };
  });
  return [...duplicates, ...unknown, ...cycles];
}

/** Names of agents and runtimes, wherever the plan uses one. */
function programProblems(plan: Plan, runtimes: KnownRuntimes): Problem[] {
  const agents = plan.agents ?? {};
  const problems: Problem[] = [];
  const checkRuntime = (name: string | undefined, path: (string | number)[]): void => {
    if (name === undefined || Object.hasOwn(runtimes, name)) return;
    problems.push({
      path: [...path, 'runtime'],
      message: `There is no runtime "${name}". ${suggestion(name, Object.keys(runtimes), 'No runtime is installed.')}`,
    });
  };
  const checkAgent = (
    user: { agent?: string | undefined; runtime?: string | undefined },
    path: (string | number)[],
  ): void => {
    checkRuntime(user.runtime, path);
    if (user.agent === undefined) return;
    if (user.runtime !== undefined)
      problems.push({
        path: [...path, 'runtime'],
        onKey: true,
        message: 'An agent already has a runtime. Keep either agent or runtime.',
      });
    if (Object.hasOwn(agents, user.agent)) return;
    problems.push({
      path: [...path, 'agent'],
      message: `There is no agent "${user.agent}". ${suggestion(user.agent, Object.keys(agents), 'Add it under agents:, or use runtime: instead.')}`,
    });
  };
  for (const [name, agent] of Object.entries(agents)) checkRuntime(agent.runtime, ['agents', name]);
  checkAgent(plan.defaults ?? {}, ['defaults']);
  for (const [index, task] of plan.tasks.entries()) {
    checkAgent(task, ['tasks', index]);
    const runtime = runtimeOf(plan, task);
    const prompts = Object.hasOwn(runtimes, runtime) ? runtimes[runtime]?.prompt : undefined;
    if (task.prompt !== undefined && task.command !== undefined) continue;
    if (prompts === false && task.prompt !== undefined) {
      problems.push({
        path: ['tasks', index, 'prompt'],
        onKey: true,
        message: `The runtime "${runtime}" runs commands and takes no prompt. Write command: instead, or choose another runtime.`,
      });
    } else if (prompts === true && task.command !== undefined) {
      problems.push({
        path: ['tasks', index, 'command'],
        onKey: true,
        message: `The runtime "${runtime}" takes a prompt and runs no command. Write prompt: instead, or leave out the task's agent and runtime.`,
      });
    }
  }
  return problems;
}

/** Task over agent over defaults; the defaults' agent and runtime are for prompts only. */
export function runtimeOf(plan: Plan, task: PlanTask): string {
  const name = agentOf(plan, task);
  const agent = name === null || !Object.hasOwn(plan.agents ?? {}, name) ? undefined : plan.agents?.[name];
  if (task.runtime !== undefined) return task.runtime;
  if (task.command !== undefined && name === null) return 'command';
  return agentRuntime(plan, agent);
}

/** The runtime of an entry of `agents`, or of a prompt without one. */
export function agentRuntime(plan: Plan, agent: { readonly runtime?: string | undefined } | undefined): string {
  return agent?.runtime ?? plan.defaults?.runtime ?? 'claude';
}

/** The name of the agent that carries out a task, or null. */
export function agentOf(plan: Plan, task: PlanTask): string | null {
  if (task.agent !== undefined) return task.agent;
  return task.prompt !== undefined && task.runtime === undefined ? (plan.defaults?.agent ?? null) : null;
}

function taskProblems(plan: Plan, task: PlanTask, path: (string | number)[]): Problem[] {
  const problems: Problem[] = [];
  const add = (field: string | number, message: string, ...rest: (string | number)[]): void => {
    problems.push({ path: [...path, field, ...rest], message });
  };
  if (task.prompt !== undefined && task.command !== undefined)
    add('command', 'A task has a prompt or a command, not both. Remove one, or make two tasks.');
  if (task.prompt === undefined && task.command === undefined)
    problems.push({ path, message: `Task "${task.id}" says nothing to do. Add prompt: or command:.` });
  if (task.command !== undefined && task.model !== undefined)
    add('model', 'A command uses no model. Remove this field.');
  if (task.command !== undefined && task.budget !== undefined)
    add('budget', 'A command uses neither money nor tokens. Remove this field.');
  if (task.expects?.length === 0 && task.allowEmpty === false)
    add(
      'allowEmpty',
      'expects: [] lets the task change nothing, so an empty result must be allowed. Remove allowEmpty or name the files it may change.',
    );
  for (const [index, pattern] of (task.expects ?? []).entries()) {
    if (/^[/\\]|^[A-Za-z]:[/\\]|(^|\/)\.\.(\/|$)/.test(pattern))
      add(
        'expects',
        `"${pattern}" leaves the repository. Write a pattern relative to its root, such as "src/**".`,
        index,
      );
  }
  const repeated = (task.outputs ?? []).findIndex((name, index, all) => all.indexOf(name) !== index);
  if (repeated !== -1)
    add('outputs', `The output "${task.outputs?.[repeated]}" stands here twice. Remove one.`, repeated);
  if (task.forEach !== undefined) {
    const count = Array.isArray(task.forEach) ? task.forEach.length : 1;
    if (count === 0) add('forEach', 'This list is empty, so no task would be made. Add an item or remove the task.');
    if (count > maxFan)
      add(
        'forEach',
        `A list of ${count} items is longer than ${maxFan}. Split the plan, or give each task several items.`,
      );
    if (sharedWorkspace(task) !== null)
      add(
        'workspace',
        'The tasks of a forEach run side by side and cannot share a workspace. Remove workspace: or forEach:.',
      );
  }
  const limit = plan.agents?.[agentOf(plan, task) ?? '']?.limits?.timeout;
  if (limit !== undefined && task.timeout !== undefined && durationMs(task.timeout) > durationMs(limit)) {
    add(
      'timeout',
      `${task.timeout} is longer than the ${limit} that agent "${agentOf(plan, task)}" is limited to. Shorten it or raise the limit.`,
    );
  }
  return problems;
}

/** The most items one forEach may have. */
export const maxFan = 1000;

/** The name of the workspace a task shares, or null when it has its own. */
export function sharedWorkspace(task: PlanTask): string | null {
  return task.workspace === undefined || task.workspace === 'own' ? null : task.workspace;
}

/** In a shared workspace one task runs after another, so needs must order every two of them. */
function sharedWorkspaceProblems(plan: Plan): Problem[] {
  const graph = nodes(plan);
  const needs = transitiveNeeds(graph);
  const byId = new Map(plan.tasks.map((task, index) => [task.id, { task, index }]));
  const last = new Map<string, string>();
  return topologicalOrder(graph).flatMap((id): Problem[] => {
    const here = byId.get(id);
    const shared = here === undefined ? null : sharedWorkspace(here.task);
    if (here === undefined || shared === null) return [];
    // In topological order it is enough to compare neighbours: an order of all is a chain.
    const previous = last.get(shared);
    last.set(shared, id);
    if (previous === undefined || needs(id).has(previous)) return [];
    const message = `Tasks "${previous}" and "${id}" share the workspace "${shared}" but nothing says which runs first. Add needs: [${previous}] to "${id}", or give one its own workspace.`;
    return [{ path: ['tasks', here.index, 'workspace'], message }];
  });
}
