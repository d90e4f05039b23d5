import type { Risk } from '../contract.ts';
import type { Needs, What } from './contract.ts';

/** Who has to agree: always a person, to critical risks an agent as well. A rule can want agents for any risk. */
export function needsFor(risk: Risk, quorum: number | null): Needs {
  return { person: true, agents: quorum ?? (risk === 'critical' ? 1 : 0) };
}

/** Where something is done, so that it is the same place in every workspace. */
export function placeOf({ workspace, cwd }: Pick<What, 'workspace' | 'cwd'>): string | null {
  const inside = workspace !== null && (cwd === workspace || cwd?.startsWith(`${workspace}/`) === true);
  return inside ? `.${(cwd ?? '').slice(workspace.length)}` : cwd;
}

/** What an "always" is about, in words. Whoever says it sees this, and it is never about more. */
export function coversOf(rule: string | null, team: string | null, what: What): string {
  const { kind, access, tool, command, argv } = what;
  const place = placeOf(what);
  const where =
    place === null
      ? ''
      : place === '.'
        ? ' in the top folder of any workspace'
        : place.startsWith('.')
          ? ` in ${place} of any workspace`
          : ` in ${place}`;
  const deed =
    kind === 'file' && what.input === null
      ? `to ${access ?? 'use'} exactly this path${tool === null ? '' : ` with ${tool}`}, whatever it changes there`
      : `exactly this ${command !== null || argv !== null ? (kind === 'operation' ? 'call' : 'command') : 'call'}`;
  const who = team === null ? 'whoever asks' : `whoever of the team ${team} asks`;
  return `${deed}${where}, ${who}${rule === null ? '' : `, as long as the rule ${rule} does`}`;
}

const firstRestMs = 5 * 60_000;
const longestRestMs = 24 * 3_600_000;

/** How long after a refusal the same may be asked anew, by how often it was refused: nobody is worn down by asking. */
export function restMs(refusals: number): number {
  return Math.min(longestRestMs, firstRestMs * 2 ** Math.min(20, Math.max(0, refusals - 1)));
}

/** What one of those who agreed has said. */
export interface Vote {
  readonly kind: 'user' | 'agent';
  readonly always: boolean;
  readonly alone: boolean;
}

/** Whether all have agreed who must. */
export function isAgreed({ person, agents }: Needs, votes: readonly Vote[]): boolean {
  const people = votes.filter(({ kind }) => kind === 'user');
  if (people.some(({ alone }) => alone)) return true;
  if (person && people.length === 0) return false;
  return votes.length > 0 && votes.length - people.length >= agents;
}
