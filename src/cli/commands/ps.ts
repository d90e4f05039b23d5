import { agentOps, type Agent } from '../../agents/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import { money, relative } from '../moment.ts';
import { stateStyle } from '../show.ts';
import { tableLines, type Column } from '../table.ts';
import { oneLine } from '../text.ts';

const flags: readonly Flag[] = [
  { key: 'all', short: 'a', kind: 'boolean', describe: 'Also agents that do nothing now.' },
  { key: 'json', kind: 'boolean', describe: 'Print the agents as JSON.' },
];

const columns: readonly Column[] = [
  { title: 'AGENT', solid: true },
  { title: 'RUNTIME' },
  { title: 'STATE', solid: true, style: stateStyle },
  { title: 'SINCE', solid: true },
  { title: 'PID', side: 'right' },
  { title: 'COST', side: 'right' },
  { title: 'LAST ACTION' },
];

function row(agent: Agent, now: number): string[] {
  const { session, usage } = agent;
  return [
    agent.name,
    agent.runtime,
    agent.state,
    relative(agent.since, now),
    String(session?.endedAt === null ? (session.pid ?? '-') : '-'),
    usage.costUsd === null ? '-' : money(usage.costUsd),
    oneLine(session?.lastAction ?? agent.reason ?? '-'),
  ];
}

export const psCommand: Command = {
  grammar: { positionals: [], flags },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { agents } = await connection.call(
        agentOps.list,
        args.is('all') ? { limit: 1_000 } : { live: true, limit: 1_000 },
      );
      const { out, clock } = shell;
      if (args.is('json')) printJson(out, agents);
      else if (agents.length === 0)
        out.lines([args.is('all') ? 'No agents.' : 'No agent works now. "maos ps -a" lists all of them.']);
      else
        out.lines(
          tableLines(
            columns,
            agents.map((agent) => row(agent, clock.now())),
            out.width(),
            out.style,
          ),
        );
      return exits.ok;
    }),
};
