/**
 * Begins a run.
 *
 * B1  A run's branch is made for it and for nobody else: git itself refuses the second of two that want the same name, whichever
 *     MAOS they belong to, and the second takes the next name.
 * B2  Repeated under the same idempotency key, after a crash at whatever step, it is the same one run: its id is given
 *     first, and what stands in the log under that id is not made again.
 * B3  The branch is made before the run is recorded. A crash in between leaves a branch at the base commit that no run has:
 *     it holds nothing, its name is passed over, and it can be deleted.
 */
import { dirname, resolve } from 'node:path';
import { keptVariable, readsEnvironment } from '../kernel/caller.ts';
import { AppError, conflict, invalid } from '../kernel/error.ts';
import { action, type ActionContext } from '../kernel/handler.ts';
import type { InputOf, ParsedOf } from '../kernel/operation.ts';
import { type Project, projectOps } from '../projects/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { runOps } from './contract.ts';
import { expandPlan, termsOf } from './expand.ts';
import { objectivePlan } from './objective.ts';
import { defaultConcurrency, type Plan } from './plan.ts';
import type { PlannedTask } from './planned.ts';
import { readPlan } from './read-plan.ts';
import { findRun, getRun, nextRunName, resolveRun, runBranch } from './rows.ts';

type Asked = ParsedOf<typeof runOps.create>;
type Nameless = Omit<InputOf<typeof runOps.record>, 'name'>;

/** Carries out `run.create`. */
export const create = action(runOps.create, async (ctx, input) => {
  const plan = await planOf(ctx, input);
  const tasks = expandPlan(plan, input.inputs);
  refuseVariables(ctx, tasks);
  const { run } = await ctx.call(runOps.reserve, input);
  if (findRun(ctx.db, run) !== undefined) return ctx.call(runOps.get, { run });
  const project = await findProject(ctx, plan, input.cwd, input.file);
  const head = await ctx.call(workspaceOps.inspect, { project: project.id, revision: plan.base ?? 'HEAD' });
  const { continues, base } = earlier(ctx, input.continues, project);
  await begin(ctx, plan.name, {
    run,
    project: project.id,
    repository: project.path,
    base: base ?? head.commit,
    target: head.branch,
    concurrency: plan.concurrency ?? defaultConcurrency,
    budget: termsOf(plan.budget),
    crew: Object.fromEntries(
      Object.entries(plan.agents ?? {}).flatMap(([name, { budget }]) =>
        budget === undefined ? [] : [[name, termsOf(budget)]],
      ),
    ),
    continues,
    inputs: input.inputs,
    plan: input.plan ?? JSON.stringify(plan),
    file: input.file ?? null,
    tasks,
  });
  return ctx.call(runOps.get, { run });
});

/** What stands in the server’s environment is not for everybody who may run a plan. */
function refuseVariables({ caller }: ActionContext, tasks: readonly PlannedTask[]): void {
  if (readsEnvironment(caller)) return;
  const variable = tasks.flatMap(({ agent }) => Object.values(agent.passEnv)).find((from) => typeof from === 'string');
  if (variable !== undefined) throw keptVariable(variable);
}

async function planOf(ctx: ActionContext, { plan, objective, runtime, file }: Asked): Promise<Plan> {
  if (plan !== undefined && objective === undefined) return readPlan(ctx.call, plan, file);
  if (objective !== undefined && plan === undefined)
    return objectivePlan(objective, runtime === undefined ? {} : { runtime });
  throw invalid('Give either a plan or an objective.', {
    fix: 'maos run plan.yaml, or maos run "what is to be done".',
  });
}

async function findProject(ctx: ActionContext, plan: Plan, cwd: string, file: string | undefined): Promise<Project> {
  const { repository } = plan;
  if (repository === undefined) return ctx.call(projectOps.add, { path: cwd });
  const from = file === undefined ? cwd : dirname(resolve(cwd, file));
  const path = resolve(from, repository.path);
  if (repository.template === undefined) return ctx.call(projectOps.add, { path });
  return ctx.call(projectOps.make, { template: resolve(from, repository.template), path });
}

/** The same base gives the same content keys: a run that continues another one begins where that one began. */
function earlier(ctx: ActionContext, text: string | undefined, project: Project) {
  if (text === undefined) return { continues: null, base: null };
  const run = getRun(ctx.db, resolveRun(ctx.db, text));
  if (run.project === project.id) return { continues: run.id, base: run.base };
  throw conflict(`${run.name} is a run of another repository (${run.repository}).`, {
    fix: 'Start the plan in that repository, or without --continues.',
  });
}

/** Makes the branch and records the run, under the first name that is free in the repository and in the log. */
async function begin(ctx: ActionContext, plan: string, run: Nameless): Promise<void> {
  const { project, base } = run;
  const { branches } = await ctx.call(workspaceOps.branches, { project, prefix: runBranch(`${plan}-`) });
  const taken = [...branches];
  while (findRun(ctx.db, run.run) === undefined) {
    const name = nextRunName(ctx.db, plan, taken);
    const branch = runBranch(name);
    taken.push(branch);
    if ((await makeBranch(ctx, project, branch, base)) && (await record(ctx, { ...run, name }))) return;
  }
}

/** false: somebody has this branch already. */
async function makeBranch(ctx: ActionContext, project: string, branch: string, commit: string): Promise<boolean> {
  try {
    await ctx.call(workspaceOps.ensureBranch, { project, branch, commit, fresh: true });
    return true;
  } catch (error) {
    if (isConflict(error) && error.details?.['branch'] === branch) return false;
    throw error;
  }
}

/** false: a run of another repository has this name, or the same call, made twice at once, was faster. The branch goes again. */
async function record(ctx: ActionContext, run: InputOf<typeof runOps.record>): Promise<boolean> {
  const { name, project } = run;
  if ((await recordedName(ctx, run)) === name) return true;
  await dropBranch(ctx, project, runBranch(name));
  return false;
}

/** The name under which the run stands in the log now, or null when another run has this name. */
async function recordedName(ctx: ActionContext, run: InputOf<typeof runOps.record>): Promise<string | null> {
  try {
    return (await ctx.call(runOps.record, run)).name;
  } catch (error) {
    if (isConflict(error) && error.details?.['name'] === run.name) return null;
    throw error;
  }
}

/** A branch whose base no other branch has is kept by git's own rules: nothing is lost with it, and nothing is gained. */
async function dropBranch(ctx: ActionContext, project: string, branch: string): Promise<void> {
  try {
    await ctx.call(workspaceOps.dropBranch, { project, branch });
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
}

function isConflict(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'conflict';
}
