import type { AgentConfiguration } from './configuration.ts';
import { isAbsolute } from 'node:path';
import { conflict, invalid } from '../kernel/error.ts';
import { nearest } from '../kernel/nearest.ts';
import type { SessionRequest } from './contract.ts';
import type { Capabilities } from './runtime.ts';

type Runtimes = ReadonlyMap<string, Capabilities>;

/** What is known of a runtime; refuses a name that no runtime has. */
export function knownRuntime<Known>(runtimes: ReadonlyMap<string, Known>, name: string): Known {
  const found = runtimes.get(name);
  if (found !== undefined) return found;
  const guess = nearest(name, [...runtimes.keys()]);
  const known = `The runtimes are: ${[...runtimes.keys()].join(', ')}.`;
  throw invalid(`There is no runtime "${name}".`, {
    fix: guess === undefined ? known : `Did you mean "${guess}"? ${known}`,
  });
}

/** The runtimes that have a capability, for the fix of a refusal. */
function having(runtimes: Runtimes, capability: keyof Capabilities): string {
  const names = [...runtimes].flatMap(([name, has]) => (has[capability] ? [name] : []));
  return names.length === 0 ? 'No runtime here can.' : `Runtimes that can: ${names.join(', ')}.`;
}

/** Refuses what a runtime lacks, naming it. */
export function demand(runtimes: Runtimes, runtime: string, capability: keyof Capabilities, what: string): void {
  if (knownRuntime(runtimes, runtime)[capability]) return;
  throw invalid(`The runtime "${runtime}" ${what} (it lacks "${capability}").`, {
    fix: having(runtimes, capability),
    details: { runtime, lacks: capability },
  });
}

/** Refuses, before anything starts, a request that an agent's runtime cannot carry out. */
export function checkRequest(runtimes: Runtimes, config: AgentConfiguration, request: SessionRequest): void {
  const { runtime, limits } = config;
  const can = knownRuntime(runtimes, runtime);
  if (request.prompt !== null) demand(runtimes, runtime, 'prompt', 'takes no prompt but a command');
  if (request.argv !== null && can.prompt) {
    throw invalid(`The runtime "${runtime}" takes a prompt, not a command.`, {
      fix: 'Give a prompt, or use an agent of the command runtime.',
    });
  }
  // A conversation that is continued needs no new prompt.
  if (request.prompt === null && request.argv === null && !(request.resume && can.prompt)) {
    const field = can.prompt ? 'prompt' : 'argv';
    throw invalid(`There is nothing to do: the runtime "${runtime}" needs ${can.prompt ? 'a prompt' : 'a command'}.`, {
      fix: `Give ${field}.`,
    });
  }
  if (request.resume) demand(runtimes, runtime, 'resume', 'cannot continue a conversation');
  if (request.resultSchema !== undefined && request.resultSchema !== null) {
    demand(runtimes, runtime, 'structuredOutput', 'cannot return a structured result');
  }
  // A command uses no tokens, so a budget does not concern it.
  if ((limits.budgetUsd !== undefined || limits.budgetTokens !== undefined) && can.prompt)
    demand(runtimes, runtime, 'usage', 'reports no usage, so its budget cannot be kept');
  if (!isAbsolute(request.cwd))
    throw invalid(`cwd must be an absolute path, not "${request.cwd}".`, { fix: 'Give the whole path.' });
}

/** The conversation that a request continues; refuses when there is none. */
export function conversationFor(request: SessionRequest, agent: string, last: string | null): string | null {
  if (!request.resume) return null;
  if (last !== null) return last;
  throw conflict(`Agent ${agent} has no conversation to continue.`, { fix: 'Start it without resume.' });
}
