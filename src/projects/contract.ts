import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';

const projectId = z
  .string()
  .min(1)
  .max(1_000)
  .describe('The project: its id, a unique beginning of it, its name or its folder.');

/** A repository that MAOS works on. */
export const project = z.strictObject({
  id: z.string(),
  name: z.string(),
  path: z.string().describe('The repository’s top folder.'),
  createdAt: z.int(),
});
export type Project = z.output<typeof project>;

/** The stream of each is the project's id. */
export const projectEvents = {
  added: event('project.added', z.strictObject({ name: z.string(), path: z.string() })),
  moved: event('project.moved', z.strictObject({ path: z.string() })),
  removed: event('project.removed', z.strictObject({})),
};

/** What can be done with projects. */
export const projectOps = {
  add: operation({
    name: 'project.add',
    summary: 'Makes a git repository known; a repository that is already known is returned as it is.',
    effect: 'write',
    scope: 'project:write',
    input: z.strictObject({
      path: z.string().min(1).describe('The repository, or a folder inside it.'),
      name: z.string().min(1).max(80).optional().describe('Default: the folder’s name.'),
    }),
    output: project,
    route: 'POST /projects',
    positional: ['path'],
    refusals: { invalid: 'The folder is not a git repository with a commit; it says how to make it one.' },
  }),
  make: operation({
    name: 'project.make',
    summary: 'Makes a repository from a folder, with one commit, unless there is one already; and makes it known.',
    effect: 'write',
    scope: 'project:write',
    input: z.strictObject({ template: z.string().min(1), path: z.string().min(1) }),
    output: project,
    route: 'POST /projects/make',
    internal: true,
  }),
  record: operation({
    name: 'project.record',
    summary: 'Records a repository whose folder was inspected.',
    effect: 'write',
    scope: 'project:write',
    input: z.strictObject({ path: z.string(), name: z.string() }),
    output: project,
    route: 'POST /projects/record',
    internal: true,
  }),
  get: operation({
    name: 'project.get',
    summary: 'Shows a project.',
    effect: 'read',
    scope: 'project:read',
    input: z.strictObject({ project: projectId }),
    output: project,
    route: 'GET /projects/:project',
    positional: ['project'],
  }),
  list: operation({
    name: 'project.list',
    summary: 'Lists the projects.',
    effect: 'read',
    scope: 'project:read',
    input: z.strictObject({}),
    output: z.strictObject({ projects: z.array(project) }),
    route: 'GET /projects',
  }),
  move: operation({
    name: 'project.move',
    summary: 'Says where a repository is now, after its folder was moved.',
    effect: 'write',
    scope: 'project:write',
    input: z.strictObject({ project: projectId, path: z.string().min(1) }),
    output: project,
    route: 'POST /projects/:project/move',
    positional: ['project', 'path'],
    refusals: { conflict: 'Another project has this folder.' },
  }),
  remove: operation({
    name: 'project.remove',
    summary:
      'Takes a project off the list; its repository and its runs are not touched, and adding it again brings it back.',
    effect: 'destroy',
    scope: 'project:write',
    input: z.strictObject({ project: projectId }),
    output: project,
    route: 'DELETE /projects/:project',
    positional: ['project'],
  }),
} as const;
