import type { Risk } from '../contract.ts';
import type { Needs } from './contract.ts';

/** Who has to agree: to high risks a person, to critical ones agents as well. A rule can want agents for any risk. */
export function needsFor(risk: Risk, quorum: number | null): Needs {
  return {
    person: risk === 'high' || risk === 'critical',
    agents: quorum ?? (risk === 'critical' ? 1 : 0),
  };
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
