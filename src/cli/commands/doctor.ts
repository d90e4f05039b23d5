import { watchOps, type Finding } from '../../watch/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { oneLine } from '../text.ts';

const flags: readonly Flag[] = [
  { key: 'repair', kind: 'boolean', describe: 'Mend what can be mended without losing anything.' },
  { key: 'json', kind: 'boolean', describe: 'Print the findings as JSON.' },
];

const styles = { ok: 'green', notice: 'yellow', problem: 'red' } as const;
const marks = { ok: ['✓', '+'], notice: ['!', '!'], problem: ['✗', 'x'] } as const;

function lines(out: Terminal, { severity, area, message, fix, repaired }: Finding): string[] {
  const mark = out.style(repaired ? 'green' : styles[severity], marks[severity][out.unicode ? 0 : 1]);
  const head = `${mark} ${area.padEnd(10)} ${oneLine(message)}${repaired ? ' (repaired)' : ''}`;
  return fix === null || repaired ? [head] : [head, `${' '.repeat(13)}fix: ${oneLine(fix)}`];
}

export const doctorCommand: Command = {
  grammar: { positionals: [], flags },
  detail: 'Exits with 1 when there is a problem that was not repaired.',
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { out } = shell;
      const answer = await connection.call(watchOps.doctor, { repair: args.is('repair') });
      if (args.is('json')) printJson(out, answer);
      else out.lines(answer.findings.flatMap((finding) => lines(out, finding)));
      return answer.healthy ? exits.ok : exits.failed;
    }),
};
