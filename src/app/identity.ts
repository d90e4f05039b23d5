import { authActions, defaultLifetimes } from '../auth/actions.ts';
import { Authenticator } from '../auth/authenticator.ts';
import type { TeamBoundary } from '../auth/boundary.ts';
import { authOps } from '../auth/contract.ts';
import { Prover } from '../auth/prover.ts';
import type { Role } from '../auth/roles.ts';
import { newToken } from '../auth/secret.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Call, Handler, Reader } from '../kernel/handler.ts';
import type { Keys } from '../kernel/seal.ts';
import type { Tls } from './tls.ts';

export interface IdentityOptions {
  readonly reader: Reader;
  readonly boundary: TeamBoundary;
  /** Calls as MAOS itself. */
  readonly call: Call;
  readonly keys: () => Promise<Keys>;
  /** Where agents reach this server; null while nobody listens. */
  readonly url: () => string | null;
  /** What agents know this server by, when it speaks TLS. */
  readonly tls: () => Tls | null;
  readonly onFailure: (error: unknown) => void;
}

/** A session that is about to be started. */
interface Started {
  readonly session: { readonly agent: string; readonly generation: number };
  readonly config: { readonly role: Role };
}

/** Who may come in: people with passwords, programs with keys, agents with the tokens of their sessions. */
export interface Identity {
  readonly handlers: readonly Handler[];
  readonly authenticator: Authenticator;
  /** Looks at passwords and codes. */
  readonly prover: Prover;
  /** What a session is given in its environment to call MAOS as itself; nothing when nobody listens. */
  readonly credentials: (started: Started) => Promise<Record<string, string>>;
}

/** Puts together the parts of identity. */
export function makeIdentity({ reader, boundary, call, keys, url, tls, onFailure }: IdentityOptions): Identity {
  const prover = new Prover({ clock: systemClock, keys });
  const authenticator = new Authenticator({
    reader,
    clock: systemClock,
    idleMs: defaultLifetimes.idleMs,
    alive: (agent, generation) =>
      reader.get(`SELECT 1 FROM session WHERE agent = ? AND generation = ? AND state <> 'ended'`, agent, generation) !==
      undefined,
    touch: (login) => void call(authOps.touchLogin, { login }).catch(onFailure),
  });
  return {
    authenticator,
    prover,
    handlers: authActions({ clock: systemClock, keys, prover }),
    credentials: async ({ session: { agent, generation }, config: { role } }) => {
      const address = url();
      if (address === null) return {};
      const { token, hash } = newToken('session');
      const team = boundary.teamOf('agent', agent);
      const teams = team === undefined ? [] : [team];
      await call(authOps.issueToken, { agent, generation, hash, role, teams });
      const trust = tls();
      return {
        MAOS_URL: address,
        MAOS_TOKEN: token,
        ...(trust === null
          ? {}
          : { MAOS_CA: trust.trust, ...(trust.name === null ? {} : { MAOS_CA_NAME: trust.name }) }),
      };
    },
  };
}
