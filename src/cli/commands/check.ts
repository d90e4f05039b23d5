import { resolve } from 'node:path';
import { runOps } from '../../workflows/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import { tableLines } from '../table.ts';
import { oneLine } from '../text.ts';
import { inputFlag, inputsOf } from './inputs.ts';

const flags: readonly Flag[] = [
  { key: 'file', kind: 'text', required: true, describe: 'The plan file; - is standard input.' },
  inputFlag,
  { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' },
];

export const checkCommand: Command = {
  grammar: { positionals: ['file'], flags },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { out } = shell;
      const name = args.need('file');
      const file = name === '-' ? {} : { file: resolve(shell.cwd, name) };
      const plan = shell.readFile(name);
      const answer = await connection.call(runOps.check, { plan, inputs: inputsOf(args), ...file });
      if (args.is('json')) printJson(out, answer);
      else {
        const rows = answer.tasks.map((task) => [
          task.id,
          task.runtime,
          task.needs.join(', ') || '-',
          oneLine(task.title),
        ]);
        const columns = [{ title: 'TASK' }, { title: 'RUNTIME' }, { title: 'NEEDS' }, { title: 'TITLE' }];
        out.lines([
          `${answer.name}: the plan is right. It has ${answer.tasks.length} ${answer.tasks.length === 1 ? 'task' : 'tasks'}.`,
          '',
          ...tableLines(columns, rows, out.width(), out.style),
          '',
          `Longest chain: ${answer.critical.join(out.unicode ? ' → ' : ' > ')}`,
        ]);
      }
      return exits.ok;
    }),
};
