import { ManualClock } from '../kernel/clock.ts';
import { notFound } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import { runCli } from './cli.ts';
import type { Connection, ServerPort } from './connection.ts';
import { ansiPaint, noPaint, type Stream, type Terminal } from './terminal.ts';

/** What one shell line gave. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly calls: readonly { readonly operation: string; readonly input: unknown; readonly key?: string }[];
  readonly acts: readonly boolean[];
}

export interface World {
  /** What operations answer, by name; a function is given the input and may throw. */
  readonly answers?: Readonly<Record<string, unknown>>;
  readonly records?: readonly LogRecord[];
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly embedded?: boolean;
  readonly server?: Partial<ServerPort>;
  /** What is typed when the shell asks. */
  readonly typed?: string;
}

/** Carries out a shell line against operations that answer what the test says. */
export async function say(argv: readonly string[], world: World = {}): Promise<Said> {
  const { answers = {}, records = [], columns, env = {}, cwd = '/here', embedded = false, server = {}, typed } = world;
  const calls: { operation: string; input: unknown; key?: string }[] = [];
  const acts: boolean[] = [];
  const connection = fakeConnection(answers, records, embedded, calls);
  const [stdout, stderr] = [captured(columns), captured(undefined)];
  const code = await runCli({
    argv,
    stdout,
    stderr,
    env: { LANG: 'C.UTF-8', ...env },
    cwd,
    version: '1.2.3',
    clock: new ManualClock(),
    connect: async (options) => {
      acts.push(options.acts);
      return connection;
    },
    server: {
      home: '/home/.maos',
      program: [],
      token: async () => 'a token',
      running: async () => undefined,
      serve: async () => undefined,
      restore: async () => ({ kept: null }),
      ...server,
    },
    ask: async () => typed,
    onInterrupt: () => () => undefined,
    exit: (exitCode) => {
      throw new Error(`exit ${exitCode}`);
    },
  });
  return { code, out: stdout.text(), err: stderr.text(), calls, acts };
}

function fakeConnection(
  answers: Readonly<Record<string, unknown>>,
  records: readonly LogRecord[],
  embedded: boolean,
  calls: { operation: string; input: unknown; key?: string }[],
): Connection {
  return {
    embedded,
    call: async (operation, input, extras) => {
      calls.push({ operation: operation.name, input, ...extras });
      const answer = answers[operation.name];
      if (answer === undefined) throw notFound(operation.name, JSON.stringify(input), 'The test gives no answer.');
      // The test says what this operation answers.
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return (typeof answer === 'function' ? answer(input) : answer) as never;
    },
    async *follow(after, _wanted, signal) {
      for (const record of records) if (record.position > after && !signal.aborted) yield record;
    },
    close: async () => undefined,
  };
}

/** A stream that keeps what was written; with columns it is a terminal. */
function captured(columns: number | undefined): Stream & { text(): string } {
  let all = '';
  return {
    write: (text) => {
      all += text;
    },
    ...(columns === undefined ? {} : { isTTY: true, columns, rows: 24 }),
    text: () => all,
  };
}

/** A terminal of some size that keeps what was written. */
export function terminal(
  columns: number,
  rows: number,
  color = false,
): Terminal & { text(): string; size: { columns: number; rows: number } } {
  const stream = captured(undefined);
  const size = { columns, rows };
  return {
    write: (text) => void stream.write(text),
    lines: (lines) => void stream.write(lines.map((line) => `${line}\n`).join('')),
    interactive: true,
    color,
    unicode: true,
    width: () => size.columns,
    height: () => size.rows,
    style: color ? ansiPaint : noPaint,
    text: () => stream.text(),
    size,
  };
}
