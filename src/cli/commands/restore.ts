import { resolve } from 'node:path';
import { conflict } from '../../kernel/error.ts';
import { exits, type Command } from '../command.ts';

export const restoreCommand: Command = {
  grammar: {
    positionals: ['snapshot'],
    flags: [{ key: 'snapshot', kind: 'text', required: true, describe: 'A file that "maos admin snapshot" wrote.' }],
  },
  detail: 'The server must be down. The data that is replaced is kept beside it.',
  run: async (shell, args) => {
    const { server, out, cwd } = shell;
    const running = await server.running();
    if (running !== undefined) {
      throw conflict(`A server runs on this data (pid ${running.pid}).`, { fix: 'Stop it first: maos down' });
    }
    const { kept } = await server.restore(resolve(cwd, args.need('snapshot')));
    out.lines([`Restored ${server.home}.`, ...(kept === null ? [] : [`What was there before is kept in ${kept}.`])]);
    return exits.ok;
  },
};
