import { invalid } from '../../kernel/error.ts';
import { nearest } from '../../kernel/nearest.ts';
import { workspaceOps, type Workspace } from '../../workspaces/contract.ts';
import type { Args, Flag } from '../argv.ts';
import { connected, exits, printJson, type Command, type Shell } from '../command.ts';
import type { Connection } from '../connection.ts';
import { relative } from '../moment.ts';
import { tableLines } from '../table.ts';
import { oneLine } from '../text.ts';

const verbs = ['list', 'restore', 'purge'];
const flags: readonly Flag[] = [
  { key: 'verb', kind: 'text', default: 'list', describe: 'list, restore WORKSPACE, or purge.' },
  { key: 'workspace', kind: 'text', describe: 'For restore: which one.' },
  { key: 'days', kind: 'number', default: 7, describe: 'For purge: only what is in the trash for so many days.' },
  { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' },
];

function row(item: Workspace, now: number): string[] {
  return [item.id, item.key, relative(item.since, now), item.rescue ?? '-', oneLine(item.reason ?? '-')];
}

async function list({ out, clock }: Shell, connection: Connection, json: boolean): Promise<void> {
  const { workspaces } = await connection.call(workspaceOps.list, { state: ['trashed'], limit: 1_000 });
  const titles = ['WORKSPACE', 'OF', 'REMOVED', 'RESCUE', 'WHY'];
  if (json) printJson(out, workspaces);
  else if (workspaces.length === 0) out.lines(['The trash is empty.']);
  else {
    const rows = workspaces.map((item) => row(item, clock.now()));
    out.lines(
      tableLines(
        titles.map((title, index) => ({ title, solid: index === 0 })),
        rows,
        out.width(),
        out.style,
      ),
    );
  }
}

async function act({ out }: Shell, connection: Connection, args: Args): Promise<{ answer: unknown; line: string }> {
  if (args.need('verb') === 'purge') {
    const answer = await connection.call(workspaceOps.purge, { days: args.number('days') ?? 7 });
    return { answer, line: `Deleted ${answer.purged.length} folders; their rescue refs stay.` };
  }
  const workspace = args.text('workspace');
  if (workspace === undefined)
    throw invalid('Which workspace? WORKSPACE is missing.', { fix: 'maos trash list shows them.' });
  const answer = await connection.call(workspaceOps.restore, { workspace });
  return { answer, line: `${out.style('bold', answer.id)} is back in ${answer.path} on branch ${answer.branch}.` };
}

export const trashCommand: Command = {
  grammar: { positionals: ['verb', 'workspace'], flags },
  examples: ['maos trash', 'maos trash restore ws_7k3m', 'maos trash purge --days 30'],
  run: async (shell, args) => {
    const verb = args.text('verb') ?? 'list';
    if (!verbs.includes(verb)) {
      const guess = nearest(verb, verbs) ?? 'list';
      throw invalid(`There is no "trash ${verb}".`, { fix: `Did you mean "maos trash ${guess}"?` });
    }
    return connected(shell, { acts: false }, async (connection) => {
      const json = args.is('json');
      if (verb === 'list') await list(shell, connection, json);
      else {
        const { answer, line } = await act(shell, connection, args);
        if (json) printJson(shell.out, answer);
        else shell.out.lines([line]);
      }
      return exits.ok;
    });
  },
};
