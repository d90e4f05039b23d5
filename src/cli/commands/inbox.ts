import { type Approval, approvalOps } from '../../policy/approvals/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command, type Shell } from '../command.ts';
import { relative } from '../moment.ts';
import { oneLine } from '../text.ts';

const json: Flag = { key: 'json', kind: 'boolean', describe: 'Print the requests as JSON.' };
const which: Flag = { key: 'approvals', kind: 'list', required: true, describe: 'Ids, or the beginnings of some.' };

function deed({ what }: Approval): string {
  const done =
    what.command ?? what.argv?.join(' ') ?? what.path ?? what.host ?? what.operation ?? what.tool ?? what.kind;
  return oneLine(what.kind === 'file' ? `${what.access ?? 'use'} ${done}` : done);
}

function wanted({ needs, agreed }: Approval): string {
  const who = [...(needs.person ? ['a person'] : []), ...(needs.agents > 0 ? [`${needs.agents} agents`] : [])];
  const so = agreed.length === 0 ? '' : ` (so far ${agreed.join(', ')})`;
  return `${who.length === 0 ? 'anybody' : who.join(' and ')}${so}`;
}

function lines({ out, clock }: Shell, entry: Approval): string[] {
  const { id, risk, state, actor, task, since, what, reason, rule, covers, hidden, always } = entry;
  const paint = risk === 'critical' || risk === 'high' ? 'red' : 'yellow';
  return [
    `${out.style('bold', id)}  ${out.style(paint, risk)}  ${state}  ${relative(since, clock.now())}`,
    `  what   ${deed(entry)}`,
    ...(what.input === null ? [] : [`  with   ${oneLine(what.input)}`]),
    ...(what.cwd === null ? [] : [`  in     ${what.cwd}`]),
    `  who    ${actor}${task === null || actor.includes(task) ? '' : `, ${task}`}`,
    `  why    ${oneLine(reason)}${rule === null ? '' : ` [${rule}]`}`,
    ...(state === 'open'
      ? [`  needs  ${wanted(entry)}`, `  always ${hidden === null ? covers : `not possible: ${hidden}`}`]
      : []),
    ...(always ? [`  always ${covers}`] : []),
  ];
}

function show(shell: Shell, asJson: boolean, approvals: readonly Approval[]): void {
  if (asJson) printJson(shell.out, approvals);
  else shell.out.lines(approvals.flatMap((entry) => lines(shell, entry)));
}

export const inboxCommand: Command = {
  grammar: {
    positionals: [],
    flags: [{ key: 'all', short: 'a', kind: 'boolean', describe: 'Also what was answered.' }, json],
  },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { approvals } = await connection.call(approvalOps.list, args.is('all') ? {} : { state: ['open'] });
      if (approvals.length === 0 && !args.is('json')) shell.out.lines(['Nothing waits for an approval.']);
      else show(shell, args.is('json'), approvals);
      return exits.ok;
    }),
};

export const approveCommand: Command = {
  grammar: {
    positionals: ['approvals'],
    rest: true,
    flags: [
      which,
      { key: 'always', kind: 'boolean', describe: 'Never ask again for what the request names under "always".' },
      { key: 'alone', kind: 'boolean', describe: 'Without the agents that should agree as well.' },
      json,
    ],
  },
  examples: ['maos approve 7k3m', 'maos approve 7k3m 9qx2 --always'],
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const input = { approvals: [...args.list('approvals')], always: args.is('always'), alone: args.is('alone') };
      const { approvals } = await connection.call(approvalOps.approve, input);
      show(shell, args.is('json'), approvals);
      return exits.ok;
    }),
};

export const denyCommand: Command = {
  grammar: {
    positionals: ['approvals'],
    rest: true,
    flags: [which, { key: 'reason', kind: 'text', describe: 'Told to whoever asked.' }, json],
  },
  examples: ['maos deny 7k3m --reason "Use the trash."'],
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const reason = args.text('reason');
      const input = { approvals: [...args.list('approvals')], ...(reason === undefined ? {} : { reason }) };
      const { approvals } = await connection.call(approvalOps.deny, input);
      show(shell, args.is('json'), approvals);
      return exits.ok;
    }),
};
