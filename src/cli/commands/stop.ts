import { agentOps } from '../../agents/contract.ts';
import { taskOps } from '../../tasks/contract.ts';
import { runOps } from '../../workflows/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, pause, printJson, type Command, type Shell } from '../command.ts';
import type { Connection } from '../connection.ts';
import { findTarget, type Target } from '../target.ts';

const flags: readonly Flag[] = [
  { key: 'what', kind: 'text', required: true, describe: 'A run, a task of a run (RUN/TASK), an agent, or a task.' },
  { key: 'force', kind: 'boolean', describe: 'Agents only: at once, with SIGKILL.' },
  { key: 'json', kind: 'boolean', describe: 'Print what was stopped as JSON.' },
];

type Stoppable = Exclude<Target, { kind: 'workspace' }>;

interface Stopped {
  readonly answer: unknown;
  readonly line: string;
  /** Agents whose processes end now. */
  readonly agents: readonly string[];
}

async function stop(connection: Connection, target: Stoppable, force: boolean): Promise<Stopped> {
  switch (target.kind) {
    case 'run': {
      const { run } = target;
      const answer = await connection.call(runOps.stop, { run: run.id });
      const agents = run.steps.flatMap((step) => (step.agent === null || step.endedAt !== null ? [] : [step.agent]));
      return {
        answer,
        agents,
        line: `Stopped ${run.name}. What has landed stays. "maos resume ${run.name}" carries it on.`,
      };
    }
    case 'step': {
      const { run, step } = target;
      const answer = await connection.call(taskOps.cancel, { task: step.task });
      return { answer, agents: step.agent === null ? [] : [step.agent], line: `Cancelled ${run.name}/${step.id}.` };
    }
    case 'task': {
      const { task } = target;
      const answer = await connection.call(taskOps.cancel, { task: task.id });
      return { answer, agents: [], line: `Cancelled ${task.id} (${task.title}).` };
    }
    case 'agent': {
      const { agent } = target;
      const answer = await connection.call(agentOps.stop, { agent: agent.id, force });
      return { answer, agents: [agent.id], line: `Stopping ${agent.name}.` };
    }
  }
}

const patience = 15_000;
const between = 100;

/** A server inside this process must live until the processes have ended; one of its own does that without us. */
async function settle({ clock }: Shell, connection: Connection, agents: readonly string[]): Promise<void> {
  const deadline = clock.now() + patience;
  while (clock.now() < deadline) {
    const { agents: live } = await connection.call(agentOps.list, { live: true, limit: 1_000 });
    if (!live.some((agent) => agents.includes(agent.id) || agents.includes(agent.name))) return;
    await pause(clock, between);
  }
}

export const stopCommand: Command = {
  grammar: { positionals: ['what'], flags },
  examples: ['maos stop quickstart-1', 'maos stop quickstart-1/rename', 'maos stop agent_7k3m --force'],
  run: async (shell, args) =>
    connected(shell, { acts: true }, async (connection) => {
      const target = await findTarget(connection, args.need('what'), ['run', 'step', 'agent', 'task']);
      const { answer, agents, line } = await stop(connection, target, args.is('force'));
      if (connection.embedded) await settle(shell, connection, agents);
      if (args.is('json')) printJson(shell.out, answer);
      else shell.out.lines([line]);
      return exits.ok;
    }),
};
