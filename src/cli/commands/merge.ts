import { runOps } from '../../workflows/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';

const run: Flag = {
  key: 'run',
  kind: 'text',
  required: true,
  describe: 'The run: its name, its id, or a unique beginning of it.',
};
const json: Flag = { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' };
const into: Flag = {
  key: 'into',
  kind: 'text',
  describe: 'The branch. Default: the one that was checked out when the run began.',
};

const short = (commit: string): string => commit.slice(0, 10);
const told = { merged: 'a merge', fast_forward: 'fast-forward', already: 'it was there already' } as const;

/** `maos merge`: the only way in which a user's own branch moves. */
export const mergeCommand: Command = {
  grammar: { positionals: ['run'], flags: [run, into, json] },
  detail: 'A checkout with uncommitted changes is never touched: the command refuses and names the files.',
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const name = args.need('run');
      const branch = args.text('into');
      const landed = await connection.call(runOps.merge, {
        run: name,
        ...(branch === undefined ? {} : { into: branch }),
      });
      const { kind, from, to } = landed;
      if (args.is('json')) printJson(shell.out, landed);
      else if (kind === 'already') shell.out.lines([`${landed.branch} contains ${name} already (${short(to)}).`]);
      else {
        shell.out.lines([
          `${landed.branch} is now at ${short(to)}; before it was at ${short(from)} (${told[kind]}).`,
          `Take it back with: maos undo ${name}`,
        ]);
      }
      return exits.ok;
    }),
};

/** `maos undo`: takes a landing back, as long as nothing was built on it. */
export const undoCommand: Command = {
  grammar: { positionals: ['run'], flags: [run, json] },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const undone = await connection.call(runOps.undo, { run: args.need('run') });
      if (args.is('json')) printJson(shell.out, undone);
      else {
        const { branch, from, to, rescue } = undone;
        shell.out.lines([
          `${branch} is back at ${short(to)}; it was at ${short(from)}.`,
          ...(rescue === null ? [] : [`What no branch holds now is kept under ${rescue}.`]),
        ]);
      }
      return exits.ok;
    }),
};
