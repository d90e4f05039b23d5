import type { AgentConfiguration } from './contract.ts';
import { sessionName } from './model.ts';
import type { Assignment } from './roster.ts';

/** What every program needs to find its tools, its home and its language. Keys and tokens are not among them. */
export const basics = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TERM', 'TMPDIR'] as const;

/**
 * The whole environment of an agent: the basics, what its runtime's list names, then the agent's own and the session's.
 * Nothing else of the server's environment reaches it, and nobody but MAOS says who it is.
 */
export function agentEnvironment(
  server: Readonly<Record<string, string | undefined>>,
  inherits: readonly string[],
  assignment: Pick<Assignment, 'session' | 'name'> & { readonly config: Pick<AgentConfiguration, 'env'> },
): Record<string, string> {
  const { session, name, config } = assignment;
  const { task, workspace, env } = session.request;
  const inherited = [...basics, ...inherits].flatMap((key) => {
    const value = server[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  return {
    ...Object.fromEntries(inherited),
    ...config.env,
    ...env,
    MAOS_AGENT: session.agent,
    MAOS_AGENT_NAME: name,
    MAOS_SESSION: sessionName(session.agent, session.generation),
    ...(task === null ? {} : { MAOS_TASK: task }),
    ...(workspace === null ? {} : { MAOS_WORKSPACE: workspace }),
  };
}
