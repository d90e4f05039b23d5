import { conflict } from '../kernel/error.ts';
import { action, command, type Handler, query } from '../kernel/handler.ts';
import { projectEvents, projectOps } from './contract.ts';
import { listProjects, projectAt, resolveProject } from './views.ts';

/** Commands and queries of projects. */
export const projectHandlers: readonly Handler[] = [
  command(projectOps.record, (ctx, { path, name, team }) => {
    const found = projectAt(ctx.db, path);
    if (found !== undefined && !found.removed) return resolveProject(ctx.db, found.id);
    const id = found?.id ?? ctx.newId('project');
    // What comes back is still whose it was.
    ctx.emit(projectEvents.added, id, { name, path, team: found === undefined ? team : found.team });
    return resolveProject(ctx.db, id);
  }),
  command(projectOps.update, (ctx, input) => {
    const found = resolveProject(ctx.db, input.project);
    if (input.team !== found.team) ctx.emit(projectEvents.updated, found.id, { team: input.team });
    return { ...found, team: input.team };
  }),
  command(projectOps.relocate, (ctx, input) => {
    const found = resolveProject(ctx.db, input.project);
    const other = projectAt(ctx.db, input.path);
    if (other !== undefined && other.id !== found.id) {
      throw conflict(`${input.path} is the folder of another project (${other.name}).`, {
        fix: 'Remove that one first.',
      });
    }
    if (input.path !== found.path) ctx.emit(projectEvents.moved, found.id, { path: input.path });
    return { ...found, path: input.path };
  }),
  command(projectOps.remove, (ctx, input) => {
    const found = resolveProject(ctx.db, input.project);
    ctx.emit(projectEvents.removed, found.id, {});
    return found;
  }),
  query(projectOps.get, (ctx, input) => resolveProject(ctx.db, input.project)),
  query(projectOps.list, (ctx) => ({ projects: listProjects(ctx.db) })),
];

/** What adding a project asks about a folder. Refuses what is not a repository with a commit. */
export interface RepositoryInspector {
  inspect(path: string): Promise<{ readonly root: string; readonly name: string }>;
  /** Makes a repository at `path` from the folder `template`; one that is there is left as it is. */
  make(template: string, path: string): Promise<void>;
}

/** Operations of projects that look at the world. */
export function projectActions(repositories: RepositoryInspector): readonly Handler[] {
  return [
    action(projectOps.make, async (ctx, { template, path }) => {
      await repositories.make(template, path);
      return ctx.call(projectOps.add, { path });
    }),
    action(projectOps.add, async (ctx, input) => {
      const { root, name } = await repositories.inspect(input.path);
      return ctx.call(projectOps.record, { path: root, name: input.name ?? name, team: input.team ?? null });
    }),
    action(projectOps.move, async (ctx, input) => {
      const { id } = await ctx.call(projectOps.get, { project: input.project });
      const { root } = await repositories.inspect(input.path);
      return ctx.call(projectOps.relocate, { project: id, path: root });
    }),
  ];
}
