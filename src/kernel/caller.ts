import { type Actor, systemActor } from './actor.ts';
import { AppError } from './error.ts';

/**
 * Who calls and what that gives. Found by a door from a credential, never claimed by the caller: an operation's input has no
 * field for it.
 */
export interface Caller {
  readonly actor: Actor;
  /** What it may use: `task:read`, `task:*`, or `*` for everything. */
  readonly scopes: readonly string[];
  /** Of which role its scopes are, as the rules may ask; left out: of none. */
  readonly role?: string;
  /** The teams whose things it may see and touch; '' stands for what belongs to no team, null for everything. */
  readonly teams: readonly string[] | null;
  /** The credential that was shown (`key_…`, `login_…`, `session ag_…/3`), for audit and rate limits; null: none was needed. */
  readonly credential: string | null;
}

/** Whether a list of scopes covers one: `task:*` and `*` cover `task:write`. */
export function covers(scopes: readonly string[], scope: string): boolean {
  const noun = scope.slice(0, scope.indexOf(':'));
  return scopes.includes(scope) || scopes.includes('*') || scopes.includes(`${noun}:*`);
}

/** Whether a caller may give programs what stands in the server’s own environment: who is bound to no team and keeps its secrets. */
export function readsEnvironment({ teams, scopes }: Caller): boolean {
  return teams === null && covers(scopes, 'secret:write');
}

/** The refusal of a variable of the server’s environment to whoever may not give it away. */
export function keptVariable(name: string): AppError {
  return new AppError(
    'forbidden',
    `The variable ${name} is in the server’s own environment, which this credential does not open.`,
    {
      fix: `Ask somebody who is bound to no team and keeps secrets to make it one (maos secret link NAME ${name}), and name that: {secret: NAME}.`,
    },
  );
}

/** A part of MAOS itself. */
export function systemCaller(id: string): Caller {
  return { actor: systemActor(id), scopes: ['*'], teams: null, credential: null };
}

/** Somebody who has shown nothing yet; `from` is where the request comes from, for limits. */
export function stranger(from: string): Caller {
  return { actor: { kind: 'user', id: 'anonymous' }, scopes: [], teams: [], credential: `from ${from}` };
}

/** The person whose machine it is: whoever can read the token file in MAOS_HOME. */
export const localCaller: Caller = {
  actor: { kind: 'user', id: 'local' },
  scopes: ['*'],
  role: 'admin',
  teams: null,
  credential: null,
};
