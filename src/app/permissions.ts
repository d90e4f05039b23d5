import { personScopes, roles } from '../auth/roles.ts';
import { covers } from '../kernel/caller.ts';
import type { Operation } from '../kernel/operation.ts';
import { teamRule } from './teams.ts';

const intro = `# Permissions

Generated from the contracts by \`npm run docs\`; do not edit. A test asks a server for every cell.

Every call needs a scope, and a caller has the scopes of its role (src/auth/roles.ts) or of its key. The owner of the machine, who can
read the file \`token\` in MAOS_HOME, has all of them. People have in addition what concerns themselves (\`account\`, \`login\`, \`key\`);
an agent has its role's scopes without these, and only as long as its session lives. Operations that only MAOS itself calls are not listed:
nobody else may call them, whatever their scopes.

**Teams** says what a caller that is bound to teams (a user, a key or an agent with a list of them) can reach with an operation that its role
allows: \`own\`, only what belongs to its teams, and what belongs to others is answered as if it were not there; \`–\`, nothing, because it
concerns all teams at once; \`any\`, everything, because nothing in it belongs to a team. What belongs to a project (runs, tasks, agents,
workspaces, merges, budgets) belongs to the project's team, a secret to the team it was set for; the fleet's budget and secrets of no team are for
callers that are bound to none. Following events takes the scope \`event:read\`, which every role has, and shows the
records of one's own teams; records about users, logins and keys are for those who may see users (\`user:read\`).

An operation that is open needs no credential: it is how one gets one.
`;

/** The permission matrix: operation × role, and what teams can reach. */
export function permissionsDocument(operations: readonly Operation[]): string {
  const head = ['Operation', 'Scope', ...roles, 'Teams'];
  const rows = operations
    .filter((operation) => operation.internal !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((operation) => [
      `\`${operation.name}\``,
      operation.open === true ? 'open' : `\`${operation.scope}\``,
      ...roles.map((role) => (operation.open === true || covers(personScopes(role), operation.scope) ? 'yes' : '–')),
      reach(operation),
    ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [intro, line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}

function reach(operation: Operation): string {
  const rule = teamRule(operation);
  if (rule === 'everybody') return 'any';
  return rule === 'whole' ? '–' : 'own';
}
