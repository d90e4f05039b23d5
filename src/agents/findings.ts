import { existsSync } from 'node:fs';
import type { Reader } from '../kernel/handler.ts';
import { currentAttempt } from './attempt.ts';
import { sessionName } from './model.ts';
import { assignmentAt, endedSessions, liveSessions } from './roster.ts';
import type { Host } from './runtime.ts';

/** Something about a session in which the log and the machine disagree. */
export interface SessionFinding {
  /** gone: the log says running, no process is there. left: the log says ended, processes are there. unreadable: it runs, its output is gone. */
  readonly kind: 'gone' | 'left' | 'unreadable';
  readonly agent: string;
  readonly generation: number;
  readonly pids: readonly number[];
  readonly message: string;
  readonly fix: string;
}

/** How many of the sessions that ended last are looked at: older ones have been looked at before. */
const recent = 1_000;

/** Compares the log's sessions with the machine's processes. Looks only; repairs nothing. */
export async function sessionFindings(options: {
  readonly reader: Reader;
  readonly host: Host;
}): Promise<SessionFinding[]> {
  const { reader, host } = options;
  const check = async (agent: string, generation: number): Promise<SessionFinding[]> => {
    const pids = await host.processesOf(sessionName(agent, generation));
    // Read after the look at the machine: what ended meanwhile is no finding.
    const found = assignmentAt(reader, agent, generation);
    if (found === undefined) return [];
    return judge(found.name, found.session, pids);
  };
  const sessions = [...liveSessions(reader), ...endedSessions(reader, recent)];
  return (await Promise.all(sessions.map(({ agent, generation }) => check(agent, generation)))).flat();
}

interface Judged {
  readonly agent: string;
  readonly generation: number;
  readonly state: 'starting' | 'running' | 'ended';
  readonly folder: string;
}

function judge(name: string, { agent, generation, state, folder }: Judged, pids: readonly number[]): SessionFinding[] {
  const what = `Session ${generation} of agent ${name}`;
  const about = { agent, generation, pids };
  if (state === 'running' && pids.length === 0) {
    const message = `${what} is running in the log, but none of its processes is there.`;
    return [{ kind: 'gone', ...about, message, fix: 'Start the server again: it reports how the session ended.' }];
  }
  if (state === 'ended' && pids.length > 0) {
    const message = `${what} has ended, but ${pids.length} of its processes are still there: ${pids.join(', ')}.`;
    return [{ kind: 'left', ...about, message, fix: `End them: kill ${pids.join(' ')}.` }];
  }
  if (state === 'running' && !existsSync(currentAttempt(folder))) {
    const message = `${what} is running, but its folder ${folder} is gone: its output and its result cannot be read.`;
    return [{ kind: 'unreadable', ...about, message, fix: `Stop it: maos agent stop ${name} --force.` }];
  }
  return [];
}
