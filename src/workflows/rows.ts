import { usageSums } from '../agents/contract.ts';
import { conflict, notFound } from '../kernel/error.ts';
import type { Reader, SqlValue } from '../kernel/handler.ts';
import { run as runSchema, type Run, type RunDetail, type Step } from './contract.ts';
import { limitsOf, moneyReason, spentBy } from './money.ts';
import { type PlannedTask, plannedTaskSchema, usesMoney } from './planned.ts';
import { step as stepSchema } from './step.ts';

interface RunRow {
  readonly id: string;
  readonly name: string;
  readonly project: string;
  readonly repository: string;
  readonly base: string;
  readonly branch: string;
  readonly target: string | null;
  readonly concurrency: number;
  readonly continues: string | null;
  readonly inputs: string;
  readonly plan: string;
  readonly file: string | null;
  readonly state: string;
  readonly since: number;
  readonly reason: string | null;
  readonly merged: string | null;
  readonly report: string | null;
  readonly removed: number;
  readonly created_at: number;
  readonly ended_at: number | null;
}

interface StepRow {
  readonly task: string;
  readonly run: string;
  readonly plan_id: string;
  readonly planned: string;
  readonly key: string;
  readonly reuse: string | null;
  readonly state: string;
  readonly since: number;
  readonly reason: string | null;
  readonly phase: string;
  readonly attempt: number;
  readonly tries: number;
  readonly agent: string | null;
  readonly generation: number | null;
  readonly workspace: string | null;
  readonly base: string | null;
  readonly commit_id: string | null;
  readonly produced_base: string | null;
  readonly landed: string | null;
  readonly changed: string | null;
  readonly outputs: string;
  readonly summary: string | null;
  readonly evidence: string;
  readonly conflicts: number;
  readonly resolving: string | null;
  readonly files: string;
  readonly merge: string | null;
  readonly feedback: string | null;
  readonly reused: number;
  readonly accepted: number;
  readonly last_action: string | null;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly cost: number | null;
  readonly tokens: number;
}

/** A step with what only the driver needs. */
export interface StepState extends Step {
  readonly run: string;
  readonly planned: PlannedTask;
  readonly reuse: string | null;
  readonly producedBase: string | null;
  readonly resolving: string | null;
  readonly files: readonly string[];
  readonly merge: string | null;
  readonly feedback: string | null;
  /** A person vouches for what is in its worktree. */
  readonly accepted: boolean;
}

// A sum of which a part is unknown is unknown, never cheaper.
const stepSql = `SELECT step.*,
  (SELECT CASE ${usageSums.unpriced} WHEN 1 THEN NULL ELSE sum(cost) END FROM run_usage WHERE run_usage.task = step.task) AS cost,
  (SELECT ${usageSums.tokens} FROM run_usage WHERE run_usage.task = step.task) AS tokens FROM step`;

function stepOf(row: StepRow): StepState {
  const planned = plannedTaskSchema().parse(JSON.parse(row.planned));
  const shown: Step = stepSchema().parse({
    id: row.plan_id,
    task: row.task,
    // What stands for a list that is not known yet has no item to name.
    title: planned.forEach === null ? planned.title : `for each of ${planned.forEach.task}.${planned.forEach.output}`,
    needs: planned.needs,
    state: row.state,
    phase: row.phase,
    since: row.since,
    reason: row.reason,
    runtime: planned.runtime,
    attempt: row.tries,
    agent: row.agent,
    generation: row.generation,
    workspace: row.workspace,
    base: row.base,
    commit: row.commit_id,
    landed: row.landed,
    changed: row.changed === null ? null : JSON.parse(row.changed),
    outputs: JSON.parse(row.outputs),
    summary: row.summary,
    evidence: JSON.parse(row.evidence),
    conflicts: row.conflicts,
    lastAction: row.last_action,
    costUsd: row.cost,
    tokens: row.tokens,
    key: row.key,
    reused: row.reused === 1,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  });
  const { run, reuse, resolving, merge, feedback } = row;
  return {
    ...shown,
    run,
    planned,
    reuse,
    producedBase: row.produced_base,
    resolving,
    files: JSON.parse(row.files),
    merge,
    feedback,
    accepted: row.accepted === 1,
  };
}

/** The step that a task is, or undefined for a task outside of runs. */
export function findStep(db: Reader, task: string): StepState | undefined {
  const row = db.get<StepRow>(`${stepSql} WHERE task = ?`, task);
  return row === undefined ? undefined : stepOf(row);
}

/** The step whose commit a merge is to land. */
export function stepOfMerge(db: Reader, merge: string): string | undefined {
  return db.get<{ task: string }>('SELECT task FROM step WHERE merge = ?', merge)?.task;
}

/** The claim that the step's record belongs to; less costly than `findStep`. */
export function stepAttempt(db: Reader, task: string): { run: string; attempt: number; phase: string } | undefined {
  return db.get<{ run: string; attempt: number; phase: string }>(
    'SELECT run, attempt, phase FROM step WHERE task = ?',
    task,
  );
}

/** Steps of a run in the plan's order. */
export function stepsOf(db: Reader, run: string): StepState[] {
  return db.all<StepRow>(`${stepSql} WHERE run = ? ORDER BY step.rowid`, run).map(stepOf);
}

export function stepOfAgent(db: Reader, agent: string): string | undefined {
  return db.get<{ task: string }>('SELECT task FROM step WHERE agent = ?', agent)?.task;
}

/** Tasks of runs that are claimed: what the driver takes up again after a restart. */
export function claimedSteps(db: Reader): string[] {
  return db
    .all<{ task: string }>(`SELECT task FROM step WHERE state = 'claimed' ORDER BY rowid`)
    .map((row) => row.task);
}

/** The fence of a task's last claim. */
export function stepFence(db: Reader, task: string): number {
  return db.get<{ fence: number }>('SELECT fence FROM step WHERE task = ?', task)?.fence ?? 0;
}

export function stateCounts(db: Reader, run: string): Record<string, number> {
  const rows = db.all<{ state: string; count: number }>(
    'SELECT state, count(*) AS count FROM step WHERE run = ? GROUP BY state',
    run,
  );
  return Object.fromEntries(rows.map((row) => [row.state, row.count]));
}

const runSql = 'SELECT * FROM run';

function runOf(db: Reader, row: RunRow): Run {
  return runSchema().parse({
    id: row.id,
    name: row.name,
    project: row.project,
    repository: row.repository,
    base: row.base,
    branch: row.branch,
    target: row.target,
    state: row.state,
    since: row.since,
    reason: row.reason,
    concurrency: row.concurrency,
    budget: limitsOf(db, row.id),
    spent: spentBy(db, row.id),
    continues: row.continues,
    merged: row.merged === null ? null : JSON.parse(row.merged),
    counts: stateCounts(db, row.id),
    createdAt: row.created_at,
    endedAt: row.ended_at,
    report: row.report,
  });
}

/** A run by its name, its id, or a unique beginning of its id. */
export function resolveRun(db: Reader, text: string): string {
  const start = text.startsWith('run_') ? text : `run_${text}`;
  const sql =
    'SELECT id, name FROM run WHERE id = ?1 OR name = ?1 OR (id >= ?2 AND id < ?3) ORDER BY name = ?1 DESC LIMIT 5';
  const found = db.all<{ id: string; name: string }>(sql, text, start, `${start}~`);
  const [first, second] = found;
  if (first === undefined) throw notFound('run', text, 'maos run list shows them.');
  if (second === undefined || first.name === text) return first.id;
  throw conflict(`"${text}" fits several runs: ${found.map((row) => row.name).join(', ')}.`, { fix: 'Give the name.' });
}

/** A removed run is only history: its worktrees and its branch are gone. */
export function resolvePresentRun(db: Reader, text: string): string {
  const id = resolveRun(db, text);
  refuseRemoved(db, id);
  return id;
}

/** Whether a run was removed; by its id. */
export function isRemoved(db: Reader, id: string): boolean {
  return db.get('SELECT 1 FROM run WHERE id = ? AND removed = 1', id) !== undefined;
}

/** Refuses what would carry on a run that was removed. */
export function refuseRemoved(db: Reader, id: string): void {
  const row = db.get<{ name: string; removed: number }>('SELECT name, removed FROM run WHERE id = ?', id);
  if (row?.removed !== 1) return;
  throw conflict(`${row.name} was removed: its branch and its worktrees are gone.`, {
    fix: 'Start the plan again with maos run.',
  });
}

export function getRun(db: Reader, id: string): Run {
  const row = db.get<RunRow>(`${runSql} WHERE run.id = ?`, id);
  if (row === undefined) throw notFound('run', id, 'maos run list shows them.');
  return runOf(db, row);
}

/** A run with its steps, without what only the driver needs. */
export function getRunDetail(db: Reader, text: string, now: number): RunDetail {
  const id = resolveRun(db, text);
  const run = getRun(db, id);
  const money = run.state === 'running' ? moneyReason(db, id, now) : null;
  return { ...run, steps: stepsOf(db, id).map((step) => publicStep(step, money)) };
}

/** A step that could be started, and is not for want of money, says so. */
function publicStep(state: StepState, money: string | null): Step {
  const {
    run: _run,
    planned: _p,
    reuse: _r,
    producedBase: _b,
    resolving: _c,
    files: _f,
    merge: _m,
    feedback: _k,
    accepted: _a,
    ...shown
  } = state;
  return money !== null && usesMoney(state.planned) && isToStart(state) ? { ...shown, reason: money } : shown;
}

/** Nothing has begun, or an agent is to resolve a conflict. */
function isToStart({ state, phase, generation }: StepState): boolean {
  return state === 'queued' || (state === 'claimed' && phase === 'resolving' && generation === null);
}

export function listRuns(
  db: Reader,
  filter: {
    readonly state?: readonly string[] | undefined;
    readonly project?: string | undefined;
    readonly limit: number;
  },
): Run[] {
  const values: SqlValue[] = [
    filter.state === undefined ? null : JSON.stringify(filter.state),
    filter.project ?? null,
    filter.limit,
  ];
  const sql = `${runSql} WHERE run.removed = 0 AND (?1 IS NULL OR run.state IN (SELECT value FROM json_each(?1)))
    AND (?2 IS NULL OR run.project = ?2) ORDER BY run.created_at DESC, run.rowid DESC LIMIT ?3`;
  return db.all<RunRow>(sql, ...values).map((row) => runOf(db, row));
}

/** Runs that are going on, oldest first. */
export function runningRuns(db: Reader): { id: string; concurrency: number }[] {
  return db.all<{ id: string; concurrency: number }>(
    `SELECT id, concurrency FROM run WHERE state = 'running' AND removed = 0 ORDER BY created_at, rowid`,
  );
}

/** Where the tasks of a run land. */
export function runBranch(name: string): string {
  return `maos/${name}`;
}

/** `quickstart-3` when quickstart-1 and quickstart-2 were there, as runs or as branches of runs of another MAOS. */
export function nextRunName(db: Reader, plan: string, branches: readonly string[]): string {
  const names = db.all<{ name: string }>('SELECT name FROM run WHERE name >= ? AND name < ?', `${plan}-`, `${plan}-~`);
  const begin = runBranch(`${plan}-`);
  const taken = [...names.map(({ name }) => runBranch(name)), ...branches]
    .filter((branch) => branch.startsWith(begin))
    // git keeps no maos/quickstart-3 beside a branch maos/quickstart-3/mine.
    .map((branch) => Number(branch.slice(begin.length).split('/')[0]))
    .filter((number) => Number.isInteger(number));
  return `${plan}-${Math.max(0, ...taken) + 1}`;
}

/** The name of the run that was recorded under an id. */
export function findRun(db: Reader, id: string): string | undefined {
  return db.get<{ name: string }>('SELECT name FROM run WHERE id = ?', id)?.name;
}

/** Whether a run, also one that was removed, has this branch. */
export function hasRun(db: Reader, project: string, branch: string): boolean {
  return db.get('SELECT 1 FROM run WHERE project = ? AND branch = ?', project, branch) !== undefined;
}

/** Refuses the name of another run; it stands in the details. */
export function refuseTaken(db: Reader, name: string): void {
  if (db.get('SELECT 1 FROM run WHERE name = ?', name) === undefined) return;
  throw conflict(`There is a run "${name}" already.`, { fix: 'Give it another name.', details: { name } });
}

/** The finished step of another run with this key: its result can be used again. */
export function finishedWithKey(db: Reader, run: string, key: string): string | null {
  const sql = `SELECT task FROM step WHERE run = ? AND key = ? AND state = 'done'`;
  return db.get<{ task: string }>(sql, run, key)?.task ?? null;
}
