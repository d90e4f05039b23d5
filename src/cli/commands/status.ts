import { runOps, type Run } from '../../workflows/contract.ts';
import { watchOps } from '../../watch/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command, type Shell } from '../command.ts';
import type { Connection } from '../connection.ts';
import { money, relative, span } from '../moment.ts';
import { stateStyle } from '../show.ts';
import { tableLines, type Column } from '../table.ts';
import { oneLine } from '../text.ts';

const flags: readonly Flag[] = [{ key: 'json', kind: 'boolean', describe: 'Print it as JSON.' }];

const columns: readonly Column[] = [
  { title: 'RUN', solid: true },
  { title: 'STATE', solid: true, style: stateStyle },
  { title: 'SINCE', solid: true },
  { title: 'DONE', side: 'right' },
  { title: 'COST', side: 'right' },
  { title: 'WHY' },
];

/** A run as one row of a table. */
function rowOf(run: Run, now: number): string[] {
  const total = Object.values(run.counts).reduce((sum, value) => sum + value, 0);
  return [
    run.name,
    run.state,
    relative(run.since, now),
    `${run.counts['done'] ?? 0}/${total}`,
    run.spent.unpriced && run.spent.costUsd === 0 ? '-' : money(run.spent.costUsd),
    oneLine(run.reason ?? '-'),
  ];
}

async function tell(shell: Shell, connection: Connection): Promise<void> {
  const { out, clock } = shell;
  const now = clock.now();
  const [status, { runs }] = await Promise.all([
    connection.call(watchOps.status, {}),
    connection.call(runOps.list, { limit: 10 }),
  ]);
  const where = connection.embedded
    ? 'not running ("maos up" starts it; "maos run" works without)'
    : `${status.url ?? 'no address'} (pid ${status.pid}, up for ${span(now - status.startedAt)}, ${Math.round(status.memoryMb)} MB)`;
  const tasks = Object.entries(status.tasks).map(([state, count]) => `${count} ${state}`);
  out.lines([
    `server   ${where}`,
    `data     ${status.home} (${status.position} records)`,
    `agents   ${status.agents} working`,
    `tasks    ${tasks.length === 0 ? 'none' : tasks.join(', ')}`,
    ...status.failing.map((reason) => out.style('red', `failing  ${oneLine(reason)}`)),
    '',
    ...(runs.length === 0
      ? ['No runs yet. "maos run FILE" starts one.']
      : tableLines(
          columns,
          runs.map((run) => rowOf(run, now)),
          out.width(),
          out.style,
        )),
  ]);
}

export const statusCommand: Command = {
  grammar: { positionals: [], flags },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      if (!args.is('json')) await tell(shell, connection);
      else {
        const status = await connection.call(watchOps.status, {});
        printJson(shell.out, { ...status, running: !connection.embedded });
      }
      return exits.ok;
    }),
};
