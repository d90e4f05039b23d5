import { secretNames } from '../agents/contract.ts';
import { sessionName } from '../agents/model.ts';
import type { Assignment } from '../agents/roster.ts';
import type { TeamBoundary } from '../auth/boundary.ts';
import { AppError, invalid } from '../kernel/error.ts';
import type { Call } from '../kernel/handler.ts';
import type { Mask } from '../kernel/mask.ts';
import { newSigningKeys } from '../kernel/signature.ts';
import { secretOps } from '../secrets/contract.ts';
import type { Vault } from '../secrets/vault.ts';

/** What a session gets of the vault, and how that is hidden afterwards. */
export interface SessionSecrets {
  /** Variables for its environment: the values of its secrets, and the private half of a key of its own. */
  environment(assignment: Assignment): Promise<Record<string, string>>;
  mask(assignment: Assignment): Promise<Mask>;
}

/**
 * Gives sessions their secrets. A value is opened here, at the start, and goes into the environment of the process and nowhere else. The
 * private half of its signing key is kept by the session alone.
 */
export function sessionSecrets(vault: Vault, call: Call, boundary: Pick<TeamBoundary, 'teamOf'>): SessionSecrets {
  return {
    environment: async ({ session }) => {
      const { agent, generation, request } = session;
      const { publicKey, privateKey } = newSigningKeys();
      await call(secretOps.recordSigner, { agent, generation, publicKey });
      const values = await reveal(call, secretNames(request.passEnv), sessionName(agent, generation), () =>
        teamOf(boundary, agent),
      );
      const given = Object.entries(request.passEnv).flatMap(([name, from]) => {
        const value = typeof from === 'string' ? undefined : values[from.secret];
        return value === undefined ? [] : [[name, value] as const];
      });
      return { ...Object.fromEntries(given), MAOS_SIGNING_KEY: privateKey };
    },
    mask: ({ session }) => vault.mask(secretNames(session.request.passEnv)),
  };
}

/** The team that a session works for: that of its agent. Where nobody can tell, no secret is given. */
function teamOf(boundary: Pick<TeamBoundary, 'teamOf'>, agent: string): string | null {
  const team = boundary.teamOf('agent', agent);
  if (team !== undefined) return team === '' ? null : team;
  throw invalid('Nobody can tell which team this agent works for, so it is given no secret.', {
    fix: 'Give the agent a project by its id, whose team is known.',
  });
}

/** A secret that is not there is no reason to try again: nobody sets it meanwhile. */
async function reveal(
  call: Call,
  names: readonly string[],
  session: string,
  team: () => string | null,
): Promise<Record<string, string>> {
  if (names.length === 0) return {};
  try {
    const { values } = await call(secretOps.reveal, { names: [...names], session, team: team() });
    return values;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    throw invalid(error.message, error.fix === undefined ? {} : { fix: error.fix });
  }
}
