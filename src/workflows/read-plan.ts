import { basename } from 'node:path';
import { agentOps } from '../agents/contract.ts';
import type { Call } from '../kernel/handler.ts';
import { agentRuntime, runtimeOf } from './check.ts';
import type { Plan, PlanEnv } from './plan.ts';
import type { Problem } from './source.ts';

/** A plan without a mistake, also none in what it tells the runtimes. The YAML parser is loaded with the first plan. */
export async function readPlan(call: Call, text: string, path: string | undefined): Promise<Plan> {
  const { parsePlan, planRefusal } = await import('./parse.ts');
  const file = basename(path ?? 'plan.yaml');
  const plan = parsePlan(text, { file });
  const problems = await settingProblems(call, plan);
  if (problems.length > 0) throw planRefusal(text, file, problems);
  return plan;
}

/** Something in a plan that sets variables for the program of a runtime. */
interface Setter {
  readonly path: readonly (string | number)[];
  readonly runtime: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly args?: readonly (string | number | boolean)[];
  readonly env?: PlanEnv | undefined;
}

function settersOf(plan: Plan): Setter[] {
  const agents = Object.entries(plan.agents ?? {}).map(([name, agent]): Setter => {
    const { options = {}, args = [], env } = agent;
    return { path: ['agents', name], runtime: agentRuntime(plan, agent), options, args, env };
  });
  const tasks = plan.tasks.map((task, index): Setter => ({
    path: ['tasks', index],
    runtime: runtimeOf(plan, task),
    env: task.env,
  }));
  // The defaults' variables reach the program of every task.
  const runtimes = plan.defaults?.env === undefined ? [] : [...new Set(tasks.map(({ runtime }) => runtime))];
  return [
    ...agents,
    ...runtimes.map((runtime): Setter => ({ path: ['defaults'], runtime, env: plan.defaults?.env })),
    ...tasks,
  ];
}

/** Only a runtime knows which options, arguments and variables it takes. */
async function settingProblems(call: Call, plan: Plan): Promise<Problem[]> {
  const found: Problem[] = [];
  for (const { path: at, runtime, options = {}, args = [], env = {} } of settersOf(plan)) {
    if (at[0] !== 'agents' && Object.keys(env).length === 0) continue;
    const input = { runtime, options: { ...options }, args: args.map(String), env: Object.keys(env) };
    const { problems } = await call(agentOps.checkSettings, input);
    for (const { path, message, onKey } of problems)
      found.push({ path: [...at, ...path], message, ...(onKey ? { onKey } : {}) });
  }
  return found;
}
