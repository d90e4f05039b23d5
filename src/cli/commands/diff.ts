import { invalid } from '../../kernel/error.ts';
import { runOps } from '../../workflows/contract.ts';
import { workspaceOps } from '../../workspaces/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import type { Connection } from '../connection.ts';
import { tableLines } from '../table.ts';
import { findTarget } from '../target.ts';
import type { Style, Terminal } from '../terminal.ts';
import { clean, oneLine } from '../text.ts';

const flags: readonly Flag[] = [
  { key: 'of', kind: 'text', required: true, describe: 'A run, a task of a run (RUN/TASK), or a workspace.' },
  { key: 'stat', kind: 'boolean', describe: 'Only the list of files.' },
  { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' },
];

interface Diff {
  readonly files: readonly { readonly path: string; readonly added: number; readonly deleted: number }[];
  readonly text: string;
}

async function read(connection: Connection, word: string, stat: boolean): Promise<Diff> {
  const target = await findTarget(connection, word, ['run', 'step', 'workspace']);
  if (target.kind === 'run') return connection.call(runOps.diff, { run: target.run.id, stat });
  if (target.kind === 'workspace') return connection.call(workspaceOps.diff, { workspace: target.workspace.id, stat });
  const { workspace, id } = target.step;
  if (workspace !== null) return connection.call(workspaceOps.diff, { workspace, stat });
  throw invalid(`${target.run.name}/${id} has no workspace yet.`, {
    fix: `maos diff ${target.run.name} shows the run.`,
  });
}

/** The colour of a line of a patch. */
function lineStyle(line: string): Style | undefined {
  if (/^(?:diff |index |--- |\+\+\+ )/.test(line)) return 'bold';
  if (line.startsWith('@@')) return 'cyan';
  if (line.startsWith('+')) return 'green';
  return line.startsWith('-') ? 'red' : undefined;
}

function show(out: Terminal, { files, text }: Diff, stat: boolean): void {
  if (files.length === 0) out.lines(['No changes.']);
  else if (stat) {
    const rows = files.map((file) => [oneLine(file.path), `+${file.added}`, `-${file.deleted}`]);
    const side = 'right' as const;
    out.lines(
      tableLines(
        [{ title: 'FILE' }, { title: 'ADDED', side }, { title: 'DELETED', side }],
        rows,
        out.width(),
        out.style,
      ),
    );
  } else if (!out.interactive) {
    // Through a pipe it must stay a patch that git can apply.
    out.write(text.endsWith('\n') ? text : `${text}\n`);
  } else {
    const lines = clean(text).trimEnd().split('\n');
    out.lines(lines.map((line) => out.style(lineStyle(line), line)));
  }
}

export const diffCommand: Command = {
  grammar: { positionals: ['of'], flags },
  examples: ['maos diff quickstart-1 --stat', 'maos diff quickstart-1/rename', 'maos diff quickstart-1 | git apply'],
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const diff = await read(connection, args.need('of'), args.is('stat'));
      if (args.is('json')) printJson(shell.out, diff);
      else show(shell.out, diff, args.is('stat'));
      return exits.ok;
    }),
};
