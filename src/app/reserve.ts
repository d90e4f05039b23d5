import type { AgentServiceOptions } from '../agents/service.ts';
import { payer } from '../budgets/contract.ts';
import { promiseFor } from '../budgets/ledger.ts';
import type { Reader } from '../kernel/handler.ts';
import { payersOfSession } from '../workflows/money.ts';

/** Promises a session what its budgets have left: those of its agent, task, run, project, and of the fleet. */
export const reserve: NonNullable<AgentServiceOptions['reserve']> = (ctx, agent, request, tellsUsage) => {
  const { limits, runtime } = agent;
  const payers = payersOfSession(ctx.db, agent.id, request.task) ?? [
    payer('fleet'),
    ...projectsOf(ctx.db, agent.project, request.task).map((project) => payer('project', project)),
    payer('agent', agent.id),
  ];
  const usd = Math.min(limits.budgetUsd ?? Infinity, request.budgetUsd ?? Infinity);
  const wish = { usd: usd === Infinity ? null : usd, tokens: limits.budgetTokens ?? null };
  return promiseFor(ctx.db, { payers, wish, runtime, tellsUsage }, ctx.now);
};

/** Of the task it works for, else of its agent: by id, or, as people give it, by name or folder. */
function projectsOf(db: Reader, agents: string | null, task: string | null): string[] {
  const ofTask =
    task === null ? undefined : db.get<{ project: string | null }>('SELECT project FROM task WHERE id = ?', task);
  const text = ofTask?.project ?? agents;
  if (text === null) return [];
  return db.all<{ id: string }>('SELECT id FROM project WHERE ?1 IN (id, name, path)', text).map(({ id }) => id);
}
