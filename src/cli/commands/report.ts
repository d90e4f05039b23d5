import { runOps } from '../../workflows/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import { markdownLines } from '../markdown.ts';

const flags: readonly Flag[] = [
  { key: 'run', kind: 'text', required: true, describe: 'The run: its name, its id, or a unique beginning of it.' },
  { key: 'raw', kind: 'boolean', describe: 'Print the Markdown as it is.' },
  { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' },
];

export const reportCommand: Command = {
  grammar: { positionals: ['run'], flags },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { out } = shell;
      const report = await connection.call(runOps.report, { run: args.need('run') });
      if (args.is('json')) printJson(out, report);
      else if (args.is('raw')) out.write(report.markdown);
      else out.lines(markdownLines(report.markdown, out));
      return exits.ok;
    }),
};
