import { basename } from 'node:path';
import { agentOps } from '../agents/contract.ts';
import type { Call } from '../kernel/handler.ts';
import { agentRuntime } from './check.ts';
import type { Plan } from './plan.ts';
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

/** Only a runtime knows which options and arguments it takes. */
async function settingProblems(call: Call, plan: Plan): Promise<Problem[]> {
  const found: Problem[] = [];
  for (const [name, agent] of Object.entries(plan.agents ?? {})) {
    const { options = {}, args = [] } = agent;
    const runtime = agentRuntime(plan, agent);
    const { problems } = await call(agentOps.checkSettings, { runtime, options, args: args.map(String) });
    for (const { path, message, onKey } of problems)
      found.push({ path: ['agents', name, ...path], message, ...(onKey ? { onKey } : {}) });
  }
  return found;
}
