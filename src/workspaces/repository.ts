import type { ActionContext } from '../kernel/handler.ts';
import { projectOps } from '../projects/contract.ts';

/** The folder of the repository that a project is. */
export async function repositoryOf(ctx: ActionContext, project: string): Promise<string> {
  return (await ctx.call(projectOps.get, { project })).path;
}
