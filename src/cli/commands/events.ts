import type { LogRecord } from '../../kernel/event.ts';
import { watchOps } from '../../watch/contract.ts';
import type { Args, Flag } from '../argv.ts';
import { connected, exits, type Command, type Shell } from '../command.ts';
import type { Connection, Wanted } from '../connection.ts';
import { timeOfDay } from '../moment.ts';
import { clip, oneLine } from '../text.ts';
import { untilInterrupted } from '../interrupt.ts';

const flags: readonly Flag[] = [
  { key: 'follow', short: 'f', kind: 'boolean', describe: 'Go on as records are written, until Ctrl-C.' },
  { key: 'after', kind: 'number', describe: 'Begin after this position. Default: the newest 50 records.' },
  { key: 'type', kind: 'text', describe: 'Only this type; task.* fits all that begin so.' },
  { key: 'stream', kind: 'text', describe: 'Only what happened to this id.' },
  { key: 'json', kind: 'boolean', describe: 'Print each record as one line of JSON.' },
];
const newest = 50;

/** One record on one line. */
function lineOf({ out }: Shell, record: LogRecord): string {
  const head = `${String(record.position).padStart(6)} ${timeOfDay(record.at)} ${record.type.padEnd(20)} ${record.stream}`;
  return clip(`${head}  ${oneLine(JSON.stringify(record.data) ?? '')}`, out.width(), out.unicode ? '…' : '...');
}

/** What is in the log already. Returns the last position. */
async function past(
  connection: Connection,
  args: Args,
  after: number,
  print: (record: LogRecord) => void,
): Promise<number> {
  const type = args.text('type');
  const stream = args.text('stream');
  let position = after;
  for (;;) {
    const { records, next } = await connection.call(watchOps.events, {
      after: position,
      limit: 1_000,
      ...(type === undefined ? {} : { type }),
      ...(stream === undefined ? {} : { stream }),
    });
    for (const { data, ...record } of records) print({ ...record, data });
    position = Math.max(position, next);
    if (records.length < 1_000) return position;
  }
}

export const eventsCommand: Command = {
  grammar: { positionals: [], flags },
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const print = (record: LogRecord): void =>
        shell.out.lines([args.is('json') ? JSON.stringify(record) : lineOf(shell, record)]);
      const { position: head } = await connection.call(watchOps.status, {});
      const position = await past(connection, args, args.number('after') ?? Math.max(0, head - newest), print);
      if (!args.is('follow')) return exits.ok;
      return untilInterrupted(shell, connection, async (signal) => {
        const [type, stream] = [args.text('type'), args.text('stream')];
        const wanted: Wanted = {
          ...(type === undefined ? {} : { types: [type] }),
          ...(stream === undefined ? {} : { streams: [stream] }),
        };
        for await (const record of connection.follow(position, wanted, signal)) print(record);
      });
    }),
};
