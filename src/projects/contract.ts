import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';
import { absolutePath } from '../kernel/path.ts';

const projectId = z
  .string()
  .min(1)
  .max(1_000)
  .describe('The project: its id, a unique beginning of it, its name or its folder.');

const team = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'Use lower-case letters, digits, dot, dash and underscore.');

/** A repository that MAOS works on. */
export const project = z.strictObject({
  id: z.string(),
  name: z.string(),
  path: z.string().describe('The repository’s top folder.'),
  team: z.string().nullable().describe('Whose it is: others who are bound to teams do not see it, or anything of it.'),
  createdAt: z.int(),
});
export type Project = z.output<typeof project>;

/** The stream of each is the project's id. */
export const projectEvents = {
  /** Records of an older MAOS say nothing of a team. */
  added: event('project.added', () =>
    z.strictObject({ name: z.string(), path: z.string(), team: z.string().nullable().optional() }),
  ),
  updated: event('project.updated', () => z.strictObject({ team: z.string().nullable() })),
  moved: event('project.moved', () => z.strictObject({ path: z.string() })),
  removed: event('project.removed', () => z.strictObject({})),
};

/** What can be done with projects. */
export const projectOps = {
  add: operation({
    name: 'project.add',
    summary: 'Makes a git repository known; a repository that is already known is returned as it is.',
    effect: 'write',
    scope: 'project:write',
    input: () =>
      z.strictObject({
        path: absolutePath.describe('The repository, or a folder inside it; absolute.'),
        name: z.string().min(1).max(80).optional().describe('Default: the folder’s name.'),
        team: team.optional().describe('The team it belongs to; a project that is known already keeps its own.'),
      }),
    output: () => project,
    route: 'POST /projects',
    positional: ['path'],
    refusals: { invalid: 'The folder is not a git repository with a commit; it says how to make it one.' },
  }),
  make: operation({
    name: 'project.make',
    summary: 'Makes a repository from a folder, with one commit, unless there is one already; and makes it known.',
    effect: 'write',
    scope: 'project:write',
    input: () => z.strictObject({ template: absolutePath, path: absolutePath }),
    output: () => project,
    route: 'POST /projects/make',
    internal: true,
  }),
  record: operation({
    name: 'project.record',
    summary: 'Records a repository whose folder was inspected.',
    effect: 'write',
    scope: 'project:write',
    input: () => z.strictObject({ path: z.string(), name: z.string(), team: team.nullable().default(null) }),
    output: () => project,
    route: 'POST /projects/record',
    internal: true,
  }),
  get: operation({
    name: 'project.get',
    summary: 'Shows a project.',
    effect: 'read',
    scope: 'project:read',
    input: () => z.strictObject({ project: projectId }),
    output: () => project,
    route: 'GET /projects/:project',
    positional: ['project'],
  }),
  list: operation({
    name: 'project.list',
    summary: 'Lists the projects.',
    effect: 'read',
    scope: 'project:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ projects: z.array(project) }),
    route: 'GET /projects',
  }),
  update: operation({
    name: 'project.update',
    summary: 'Gives a project, with its runs, tasks, agents and workspaces, to another team.',
    effect: 'write',
    scope: 'project:write',
    input: () => z.strictObject({ project: projectId, team: team.nullable().describe('null: to none.') }),
    output: () => project,
    route: 'PATCH /projects/:project',
    positional: ['project'],
  }),
  move: operation({
    name: 'project.move',
    summary: 'Says where a repository is now, after its folder was moved.',
    effect: 'write',
    scope: 'project:write',
    input: () =>
      z.strictObject({
        project: projectId,
        path: absolutePath.describe('The repository’s new folder, or one inside it; absolute.'),
      }),
    output: () => project,
    route: 'POST /projects/:project/move',
    positional: ['project', 'path'],
    refusals: {
      invalid: 'There is no git repository with a commit.',
      conflict: 'Another project has this folder.',
    },
  }),
  relocate: operation({
    name: 'project.relocate',
    summary: 'Records where a repository is now, once its new folder was inspected.',
    effect: 'write',
    scope: 'project:write',
    input: () => z.strictObject({ project: projectId, path: z.string() }),
    output: () => project,
    route: 'POST /projects/:project/relocate',
    internal: true,
    refusals: { conflict: 'Another project has this folder.' },
  }),
  remove: operation({
    name: 'project.remove',
    summary:
      'Takes a project off the list; its repository and its runs are not touched, and adding it again brings it back.',
    effect: 'destroy',
    scope: 'project:write',
    input: () => z.strictObject({ project: projectId }),
    output: () => project,
    route: 'DELETE /projects/:project',
    positional: ['project'],
  }),
} as const;
