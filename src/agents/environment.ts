import type { AgentConfiguration } from './configuration.ts';
import { sessionName } from './model.ts';
import type { Assignment } from './roster.ts';

/** What every program needs to find its tools, its home and its language. Keys and tokens are not among them. */
export const basics = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TERM', 'TMPDIR'] as const;

/** Variables that a session is to be given and the server does not have, by their names there. */
export function missingVariables(
  server: Readonly<Record<string, string | undefined>>,
  passEnv: Assignment['session']['request']['passEnv'],
): string[] {
  return Object.values(passEnv).flatMap((from) =>
    typeof from === 'string' && server[from] === undefined ? [from] : [],
  );
}

/**
 * The whole environment of an agent: the basics, what its runtime's list names, then the agent's own and the session's, and last
 * the variables of the server that the session names. Secrets come with its credentials. Nothing else of the server's environment reaches it, and nobody but
 * MAOS says who it is.
 */
export function agentEnvironment(
  server: Readonly<Record<string, string | undefined>>,
  inherits: readonly string[],
  assignment: Pick<Assignment, 'session' | 'name'> & { readonly config: Pick<AgentConfiguration, 'env'> },
): Record<string, string> {
  const { session, name, config } = assignment;
  const { task, workspace, env, passEnv } = session.request;
  const named = (name: string, there: string) => {
    const value = server[there];
    return value === undefined ? [] : [[name, value] as const];
  };
  return {
    ...Object.fromEntries([...basics, ...inherits].flatMap((key) => named(key, key))),
    ...config.env,
    ...env,
    ...Object.fromEntries(
      Object.entries(passEnv).flatMap(([name, from]) => (typeof from === 'string' ? named(name, from) : [])),
    ),
    MAOS_AGENT: session.agent,
    MAOS_AGENT_NAME: name,
    MAOS_SESSION: sessionName(session.agent, session.generation),
    ...(task === null ? {} : { MAOS_TASK: task }),
    ...(workspace === null ? {} : { MAOS_WORKSPACE: workspace }),
  };
}

/** Whose values are the plan's or the agent's own choice, not the server's or MAOS's. */
export function chosenVariables({ session, config }: Parameters<typeof agentEnvironment>[2]): string[] {
  const { env, passEnv } = session.request;
  return [...new Set([...Object.keys(config.env), ...Object.keys(env), ...Object.keys(passEnv)])];
}
