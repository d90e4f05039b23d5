/**
 * Which role gives which scopes: the one table. docs/permissions.md shows what that means for each operation, and a test asks
 * the server, cell by cell.
 */
export const roles = ['admin', 'coordinator', 'worker', 'monitor', 'notifier', 'merger', 'viewer'] as const;
export type Role = (typeof roles)[number];

/** What everybody may see who works here at all. */
const looking = [
  'run:read',
  'task:read',
  'agent:read',
  'workspace:read',
  'project:read',
  'event:read',
  'account:read',
  'policy:read',
  'approval:read',
  'budget:read',
] as const;

const scopesOf: Readonly<Record<Role, readonly string[]>> = {
  /** Everything, other people's access included. */
  admin: ['*'],
  /** Plans and directs: runs, tasks, agents and their places. */
  coordinator: [
    ...looking,
    'run:*',
    'task:*',
    'agent:write',
    'workspace:write',
    'project:write',
    'approval:answer',
    'audit:read',
  ],
  /** Takes tasks and finishes them. */
  worker: [...looking, 'task:work'],
  /** Watches everything and touches nothing. */
  monitor: [...looking, 'audit:read', 'metrics:read'],
  /** Tells others what happens. */
  notifier: looking,
  /** Lands work. */
  merger: [...looking, 'task:work', 'run:merge', 'workspace:write'],
  /** A person who looks. */
  viewer: [...looking, 'audit:read'],
};

/** What a person may do for themselves, whatever their role. */
const personal = ['account:*', 'login:*', 'key:*', 'grant:*'] as const;

/** The scopes that an agent has by its role. */
export function agentScopes(role: Role): readonly string[] {
  return scopesOf[role];
}

/** The scopes that a person has by their role. */
export function personScopes(role: Role): readonly string[] {
  return role === 'admin' ? scopesOf.admin : [...scopesOf[role], ...personal];
}
