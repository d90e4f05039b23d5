import { agentEvents } from '../../agents/contract.ts';
import type { EventDefinition, LogRecord } from '../../kernel/event.ts';
import { taskEvents } from '../../tasks/contract.ts';
import { runEvents, type RunDetail, type Step } from '../../workflows/contract.ts';

/** A task of a run, as far as a live view shows it. */
export interface Row {
  readonly task: string;
  readonly id: string;
  readonly title: string;
  readonly needs: readonly string[];
  readonly runtime: string;
  readonly state: string;
  readonly phase: Step['phase'];
  readonly reason: string | null;
  readonly action: string | null;
  readonly changed: Step['changed'];
  readonly attempt: number;
  readonly costUsd: number | null;
  /** What earlier sessions of the task have cost. */
  readonly before: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** A run while it is followed. Only `advance` makes the next one. */
export interface Tree {
  readonly run: string;
  readonly name: string;
  readonly state: RunDetail['state'];
  readonly reason: string | null;
  /** By the task's id, in the order of the plan. */
  readonly rows: ReadonlyMap<string, Row>;
  /** Which task an agent works on. */
  readonly agents: ReadonlyMap<string, string>;
  readonly startedAt: number;
  readonly endedAt: number | null;
}

/** The tree of a run as the server tells it. */
export function treeOf(run: RunDetail): Tree {
  return {
    run: run.id,
    name: run.name,
    state: run.state,
    reason: run.reason,
    rows: new Map(run.steps.map((step) => [step.task, rowOf(step)])),
    agents: new Map(run.steps.flatMap((step) => (step.agent === null ? [] : [[step.agent, step.task]]))),
    startedAt: run.createdAt,
    endedAt: run.endedAt,
  };
}

function rowOf(step: Step): Row {
  const { task, id, title, needs, runtime, state, phase, reason, changed, attempt, costUsd, startedAt, endedAt } = step;
  const action = step.lastAction;
  const before = state === 'claimed' ? 0 : (costUsd ?? 0);
  return {
    task,
    id,
    title,
    needs,
    runtime,
    state,
    phase,
    reason,
    action,
    changed,
    attempt,
    costUsd,
    before,
    startedAt,
    endedAt,
  };
}

type Rule = (tree: Tree, record: LogRecord) => Tree;

/** What an event does to the tree; data that does not fit its definition does nothing. */
function rule<Data>(
  definition: EventDefinition<Data>,
  apply: (tree: Tree, data: Data, record: LogRecord) => Tree,
): [string, Rule] {
  return [
    definition.type,
    (tree, record) => {
      const parsed = definition.schema.safeParse(record.data);
      return parsed.success ? apply(tree, parsed.data, record) : tree;
    },
  ];
}

/** What an event of a task does to its row. */
function step<Data>(
  definition: EventDefinition<Data>,
  change: (data: Data, row: Row, record: LogRecord) => Partial<Row>,
): [string, Rule] {
  return rule(definition, (tree, data, record) => {
    const row = tree.rows.get(record.stream);
    return row === undefined ? tree : put(tree, { ...row, ...change(data, row, record) });
  });
}

/** What an event of the run does to it. */
function whole<Data>(
  definition: EventDefinition<Data>,
  change: (data: Data, record: LogRecord) => Partial<Tree>,
): [string, Rule] {
  return rule(definition, (tree, data, record) =>
    record.stream === tree.run ? { ...tree, ...change(data, record) } : tree,
  );
}

/** What an event of an agent's session does to the row of the task that it works on. */
function session<Data>(
  definition: EventDefinition<Data>,
  change: (data: Data, row: Row) => Partial<Row>,
): [string, Rule] {
  return rule(definition, (tree, data, record) => {
    const row = tree.rows.get(tree.agents.get(record.stream) ?? '');
    return row === undefined ? tree : put(tree, { ...row, ...change(data, row) });
  });
}

function put(tree: Tree, row: Row): Tree {
  return { ...tree, rows: new Map(tree.rows).set(row.task, row) };
}

const fresh = { action: null, changed: null, attempt: 0, costUsd: null, before: 0, startedAt: null, endedAt: null };

const rules: ReadonlyMap<string, Rule> = new Map([
  rule(runEvents.step, (tree, { run, planned, ready }, { stream }) => {
    if (run !== tree.run || tree.rows.has(stream)) return tree;
    const { id, title, needs, runtime } = planned;
    return put(tree, {
      ...fresh,
      task: stream,
      id,
      title,
      needs,
      runtime,
      state: ready ? 'queued' : 'blocked',
      phase: 'pending',
      reason: null,
    });
  }),
  whole(runEvents.waiting, ({ reason }) => ({ state: 'waiting', reason })),
  whole(runEvents.resumed, () => ({ state: 'running', reason: null, endedAt: null })),
  whole(runEvents.ended, ({ state, reason }, { at }) => ({ state, reason, endedAt: at })),
  step(taskEvents.queued, () => ({ state: 'queued', phase: 'pending', reason: null, endedAt: null })),
  step(taskEvents.blocked, ({ reason }) => ({ state: 'blocked', phase: 'pending', reason, endedAt: null })),
  step(taskEvents.delayed, ({ error }) => ({ state: 'delayed', phase: 'pending', reason: error?.message ?? null })),
  step(taskEvents.waiting, ({ reason }) => ({ state: 'waiting', reason })),
  step(taskEvents.claimed, ({ attempt }, _row, { at }) => ({
    state: 'claimed',
    phase: 'preparing',
    attempt,
    reason: null,
    action: null,
    changed: null,
    startedAt: at,
    endedAt: null,
  })),
  step(taskEvents.released, ({ reason }) => ({ state: 'queued', phase: 'pending', reason })),
  step(taskEvents.completed, (_data, _row, { at }) => ({ state: 'done', phase: 'done', reason: null, endedAt: at })),
  step(taskEvents.failed, ({ error }, _row, { at }) => ({
    state: 'failed',
    phase: 'failed',
    reason: error.message,
    endedAt: at,
  })),
  step(taskEvents.cancelled, ({ reason }, _row, { at }) => ({ state: 'cancelled', reason, endedAt: at })),
  rule(runEvents.working, (tree, { agent, resolving }, { stream }) => {
    const row = tree.rows.get(stream);
    if (row === undefined) return tree;
    const phase = resolving === null ? 'working' : 'resolving';
    const moved = put(tree, { ...row, phase, action: null, before: row.costUsd ?? 0 });
    return { ...moved, agents: new Map(tree.agents).set(agent, stream) };
  }),
  step(runEvents.produced, ({ changed }) => ({ phase: 'checking', changed })),
  step(runEvents.checked, ({ passed }) => (passed ? {} : { reason: 'a check failed' })),
  step(runEvents.merging, () => ({ phase: 'merging' })),
  step(runEvents.conflicted, ({ files }) => ({ phase: 'resolving', reason: `conflict in ${files.join(', ')}` })),
  step(runEvents.landed, () => ({ phase: 'done', reason: null })),
  step(runEvents.failed, ({ message }) => ({ phase: 'failed', reason: message })),
  session(agentEvents.observed, ({ action, usage }, row) => ({
    ...(action === null ? {} : { action }),
    ...(usage?.costUsd === null || usage === null ? {} : { costUsd: row.before + usage.costUsd }),
  })),
  session(agentEvents.ended, ({ usage }, row) =>
    usage?.costUsd === null || usage === null ? {} : { costUsd: row.before + usage.costUsd },
  ),
]);

/** The types of records that a live view needs. */
export const followed: readonly string[] = ['run.*', 'step.*', 'task.*', 'session.*'];

/** The tree after a record; the same tree when the record is of no concern to it. */
export function advance(tree: Tree, record: LogRecord): Tree {
  return rules.get(record.type)?.(tree, record) ?? tree;
}
