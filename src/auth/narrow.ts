import { covers } from '../kernel/caller.ts';

/** What two lists of scopes both cover: `task:*` and `task:read` share `task:read`. */
export function narrowScopes(wanted: readonly string[], bound: readonly string[]): readonly string[] {
  const shared = [...wanted.filter((scope) => covers(bound, scope)), ...bound.filter((scope) => covers(wanted, scope))];
  return [...new Set(shared)];
}

/** The teams in both lists; null is all of them. */
export function narrowTeams(
  wanted: readonly string[] | null,
  bound: readonly string[] | null,
): readonly string[] | null {
  if (wanted === null) return bound;
  return bound === null ? wanted : wanted.filter((team) => bound.includes(team));
}
