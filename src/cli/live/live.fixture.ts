import type { EventDefinition, LogRecord } from '../../kernel/event.ts';
import type { RunDetail, Step } from '../../workflows/contract.ts';

const start = 1_700_000_000_000;

/** A task of a run before anything happened to it. */
export function stepOf(id: string, needs: readonly string[] = [], more: Partial<Step> = {}): Step {
  return {
    id,
    task: `task_${id}`,
    title: id,
    needs: [...needs],
    state: needs.length === 0 ? 'queued' : 'blocked',
    phase: 'pending',
    since: start,
    reason: null,
    runtime: 'command',
    attempt: 0,
    agent: null,
    generation: null,
    workspace: null,
    base: null,
    commit: null,
    landed: null,
    changed: null,
    outputs: {},
    summary: null,
    evidence: [],
    conflicts: 0,
    lastAction: null,
    costUsd: null,
    tokens: 0,
    key: id,
    reused: false,
    startedAt: null,
    endedAt: null,
    ...more,
  };
}

/** A run of these tasks, just begun. */
export function runOf(steps: readonly Step[], more: Partial<RunDetail> = {}): RunDetail {
  return {
    id: 'run_1',
    name: 'demo-1',
    project: 'project_1',
    repository: '/repo',
    base: 'a'.repeat(40),
    branch: 'maos/demo-1',
    target: 'main',
    state: 'running',
    since: start,
    reason: null,
    concurrency: 4,
    budget: { usd: null, tokens: null },
    spent: { costUsd: 0, tokens: 0, unpriced: false },
    continues: null,
    merged: null,
    counts: {},
    createdAt: start,
    endedAt: null,
    report: null,
    steps: [...steps],
    ...more,
  };
}

/** Makes records one after the other, a second apart. */
export function recorder(): <Data>(definition: EventDefinition<Data>, stream: string, data: Data) => LogRecord<Data> {
  let position = 0;
  return (definition, stream, data) => {
    position += 1;
    const { type, version } = definition;
    const chain = { cause: 'call_1', trace: 'trace_1', previous: '', hash: '' };
    return {
      position,
      at: start + position * 1_000,
      actor: 'system:test',
      stream,
      type,
      version,
      data: definition.schema.parse(data),
      ...chain,
    };
  };
}
