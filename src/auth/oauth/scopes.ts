import { type Role, roles } from '../roles.ts';

/** What a client asks for when it asks for nothing: enough to work, and no access to other people. */
export const usualScope: Role = 'coordinator';

/** What each role lets a client do, as the consent page says it after "It will act as … and can:". */
const summaries: Readonly<Record<Role, string>> = {
  admin: 'do everything, other people’s access included',
  coordinator: 'plan and direct: start and stop runs, tasks and agents, change projects, answer approvals',
  worker: 'take tasks and finish them, and see runs, tasks, agents and projects',
  monitor: 'see everything that happens, the audit and the metrics, and change nothing',
  notifier: 'see what happens, and change nothing',
  merger: 'land work: merge runs, finish tasks, look after workspaces',
  viewer: 'see runs, tasks, agents, projects and the audit, and change nothing',
};

/** The roles that a `scope` names; names that are none of ours are passed over. Undefined: all of them were. */
export function rolesIn(scope: string | undefined): Role[] | undefined {
  const words = (scope ?? '').split(' ').filter((word) => word !== '');
  if (words.length === 0) return [usualScope];
  const known = roles.filter((role) => words.includes(role));
  return known.length === 0 ? undefined : known;
}

/** The roles as a person reads them who is asked. */
export function shownScopes(asked: readonly Role[], own: Role): { name: string; summary: string }[] {
  return asked.map((role) => {
    const bound = role === own || own === 'admin' ? '' : ` – as far as your own role (${own}) goes`;
    return { name: role, summary: `${summaries[role]}${bound}` };
  });
}
