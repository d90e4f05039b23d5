/** Another name for an operation, with the fields that are named otherwise there. */
interface Alias {
  readonly operation: string;
  readonly fields?: Readonly<Record<string, string>>;
}

const task = { taskId: 'task', id: 'task', workItemId: 'task' } as const;
const agent = { handle: 'agent', worker: 'agent', workerHandle: 'agent', id: 'agent' } as const;
const run = { executionId: 'run', execution: 'run', id: 'run' } as const;

/**
 * The names that other fleets gave to what MAOS does. Agents and prompts that know them go on working; the table holds only
 * what an operation does completely. The rest of their names come with the rooms that they belong to.
 */
export const aliases: Readonly<Record<string, Alias>> = {
  team_status: { operation: 'server.status' },
  team_tasks: { operation: 'task.list' },
  team_assign: { operation: 'task.assign', fields: { ...task, to: 'assignee', handle: 'assignee' } },
  team_claim: { operation: 'task.claim', fields: task },
  team_complete: { operation: 'task.complete', fields: task },
  team_workers: { operation: 'agent.list' },
  team_spawn: { operation: 'agent.create', fields: { handle: 'name' } },
  team_dismiss: { operation: 'agent.stop', fields: agent },
  team_send: { operation: 'agent.send', fields: { ...agent, to: 'agent', message: 'text' } },
  workitem_create: { operation: 'task.create' },
  workitem_update: { operation: 'task.update', fields: task },
  workitem_list: { operation: 'task.list' },
  batch_create: { operation: 'task.batch', fields: { items: 'tasks' } },
  spawn_request: { operation: 'agent.start', fields: agent },
  spawn_status: { operation: 'agent.get', fields: agent },
  spawn_cancel: { operation: 'agent.stop', fields: agent },
  worktree_diff: { operation: 'workspace.diff' },
  workflow_start: { operation: 'run.create', fields: { workflow: 'plan' } },
  execution_list: { operation: 'run.list' },
  execution_get: { operation: 'run.get', fields: run },
  execution_steps: { operation: 'run.get', fields: run },
  execution_resume: { operation: 'run.resume', fields: run },
  execution_cancel: { operation: 'run.stop', fields: run },
  step_complete: { operation: 'task.complete', fields: { ...task, stepId: 'task' } },
  step_retry: { operation: 'task.retry', fields: { ...task, stepId: 'task' } },
};

/** The input of an alias in the words of its operation. A field that has our name already stays. */
export function translated(alias: Alias, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(input)) {
    const ours = alias.fields !== undefined && Object.hasOwn(alias.fields, name) ? alias.fields[name] : undefined;
    if (ours === undefined || ours in input) result[name] = value;
    else result[ours] = value;
  }
  return result;
}
