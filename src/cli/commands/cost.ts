import { type Budget, budgetOps } from '../../budgets/contract.ts';
import { watchOps } from '../../watch/contract.ts';
import { runOps } from '../../workflows/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import { count, money } from '../moment.ts';
import { tableLines, type Column } from '../table.ts';
import { oneLine } from '../text.ts';

const flags: readonly Flag[] = [
  { key: 'by', kind: 'choice', choices: ['run', 'agent', 'model'], default: 'run', describe: 'What a row is.' },
  { key: 'run', kind: 'text', describe: 'Only this run.' },
  { key: 'json', kind: 'boolean', describe: 'Print the rows as JSON.' },
];

const side = 'right' as const;
const numbers: readonly Column[] = ['COST', 'INPUT', 'OUTPUT', 'CACHE READ', 'CACHE WRITE'].map((title) => ({
  title,
  side,
}));
const kinds = ['run', 'agent', 'model'] as const;

const budgetColumns: readonly Column[] = [
  { title: 'BUDGET' },
  ...['LIMIT', 'USED', 'PROMISED', 'LEFT'].map((title) => ({ title, side })),
];

/** A line for each limit, in money and in tokens. */
function budgetCells({ kind, name, period, usd, tokens, allowed, used, reserved, left }: Budget): string[][] {
  const title = [...new Set([kind, oneLine(name)]), ...(period === 'total' ? [] : [`(${period})`])].join(' ');
  const unpriced = used.unpriced ? '+' : '';
  return [
    ...(usd === null
      ? []
      : [
          [title, money(usd + allowed.usd), `${money(used.usd)}${unpriced}`, money(reserved.usd), money(left.usd ?? 0)],
        ]),
    ...(tokens === null
      ? []
      : [[title, ...[tokens + allowed.tokens, used.tokens, reserved.tokens, left.tokens ?? 0].map(count)]]),
  ];
}

export const costCommand: Command = {
  grammar: { positionals: [], flags },
  detail:
    'Killed sessions count. A plus sign means that some sessions reported no price: it cost at least that much. Below stand the budgets: of fleet, projects and agents, or of the run.',
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { out } = shell;
      const by = kinds.find((kind) => kind === args.text('by')) ?? 'run';
      const run = args.text('run');
      const { rows } = await connection.call(watchOps.cost, { by, ...(run === undefined ? {} : { run }) });
      if (args.is('json')) {
        printJson(out, rows);
        return exits.ok;
      }
      if (rows.length === 0) out.lines(['Nothing was spent.']);
      else {
        const cells = rows.map((row) => [
          oneLine(row.name),
          `${money(row.costUsd)}${row.unpriced ? '+' : ''}`,
          ...[row.inputTokens, row.outputTokens, row.cacheReadTokens, row.cacheWriteTokens].map(count),
        ]);
        out.lines(tableLines([{ title: by.toUpperCase() }, ...numbers], cells, out.width(), out.style));
      }
      const of = run === undefined ? {} : { run: (await connection.call(runOps.get, { run })).id };
      const { budgets } = await connection.call(budgetOps.list, of);
      if (budgets.length > 0)
        out.lines(['', ...tableLines(budgetColumns, budgets.flatMap(budgetCells), out.width(), out.style)]);
      return exits.ok;
    }),
};
