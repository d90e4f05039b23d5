import { agentOps } from '../../agents/contract.ts';
import { conflict } from '../../kernel/error.ts';
import { runOps } from '../../workflows/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, pause, type Command, type Shell } from '../command.ts';
import type { Connection } from '../connection.ts';
import { untilInterrupted } from '../interrupt.ts';
import { findTarget } from '../target.ts';
import { clean, fit, widthOf } from '../text.ts';

const flags: readonly Flag[] = [
  { key: 'of', kind: 'text', required: true, describe: 'An agent, a task of a run (RUN/TASK), or a run.' },
  { key: 'follow', short: 'f', kind: 'boolean', describe: 'Go on as more is printed, until it ends or Ctrl-C.' },
  { key: 'raw', kind: 'boolean', describe: 'The bytes of the program, not what its runtime makes of them.' },
  { key: 'stderr', kind: 'boolean', describe: 'What it wrote to its standard error.' },
];

/** One session's output, read as far as `after`. */
interface Source {
  readonly label: string;
  readonly agent: string;
  readonly generation: number | undefined;
  after: number;
  ended: boolean;
  /** The beginning of a line whose end has not come yet. */
  rest: string;
}

const between = 300;

function source(label: string, agent: string, generation?: number | null): Source {
  return { label, agent, generation: generation ?? undefined, after: 0, ended: false, rest: '' };
}

interface Found {
  readonly sources: Source[];
  /** The run that may start more agents. */
  readonly run: string | undefined;
}

async function sourcesOf(connection: Connection, word: string): Promise<Found> {
  const target = await findTarget(connection, word, ['step', 'run', 'agent']);
  if (target.kind === 'agent') return { sources: [source(target.agent.name, target.agent.id)], run: undefined };
  if (target.kind === 'run') return { sources: await sourcesOfRun(connection, target.run.id), run: target.run.id };
  const { agent, generation, id } = target.step;
  if (agent !== null) return { sources: [source(id, agent, generation)], run: undefined };
  throw conflict(`${target.run.name}/${id} has no agent yet.`, {
    fix: `maos watch ${target.run.name} shows what it waits for.`,
  });
}

async function sourcesOfRun(connection: Connection, run: string): Promise<Source[]> {
  const { steps } = await connection.call(runOps.get, { run });
  return steps.flatMap(({ id, agent, generation }) => (agent === null ? [] : [source(id, agent, generation)]));
}

interface Style {
  readonly raw: boolean;
  readonly stream: 'stdout' | 'stderr';
  readonly labelled: number;
}

/** Prints what is there and was not printed yet. */
async function drain({ out }: Shell, connection: Connection, from: Source, style: Style): Promise<void> {
  const { agent, generation, label } = from;
  for (;;) {
    const { text, next, ended } = await connection.call(agentOps.logs, {
      agent,
      ...(generation === undefined ? {} : { generation }),
      after: from.after,
      raw: style.raw,
      stream: style.stream,
    });
    const moved = next > from.after;
    from.after = next;
    from.ended = ended;
    print(text, ended);
    if (ended || !moved) return;
  }

  function print(text: string, last: boolean): void {
    if (style.labelled === 0) {
      out.write(out.interactive ? clean(text) : text);
      return;
    }
    const lines = (from.rest + text).split('\n');
    from.rest = lines.pop() ?? '';
    if (last && from.rest !== '') lines.push(from.rest);
    const head = out.style('dim', `${fit(label, style.labelled)} |`);
    out.lines(lines.map((line) => `${head} ${clean(line)}`));
  }
}

export const logsCommand: Command = {
  grammar: { positionals: ['of'], flags },
  examples: ['maos logs -f quickstart-1', 'maos logs quickstart-1/rename', 'maos logs agent_7k3m --stderr'],
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const { sources, run } = await sourcesOf(connection, args.need('of'));
      const read = async (): Promise<void> => {
        const labelled = run === undefined ? 0 : Math.max(0, ...sources.map(({ label }) => widthOf(label)));
        const style: Style = { raw: args.is('raw'), stream: args.is('stderr') ? 'stderr' : 'stdout', labelled };
        for (const from of sources.filter(({ ended }) => !ended)) await drain(shell, connection, from, style);
      };
      await read();
      if (!args.is('follow')) return exits.ok;
      return untilInterrupted(shell, connection, async (signal) => {
        while (!signal.aborted && (await goesOn(connection, sources, run))) {
          await pause(shell.clock, between, signal);
          await read();
        }
      });
    }),
};

/** Whether more can come; adds the agents that a run has started meanwhile. */
async function goesOn(connection: Connection, sources: Source[], run: string | undefined): Promise<boolean> {
  if (run === undefined) return sources.some(({ ended }) => !ended);
  const known = new Set(sources.map(({ agent, generation }) => `${agent} ${generation}`));
  const fresh = await sourcesOfRun(connection, run);
  sources.push(...fresh.filter(({ agent, generation }) => !known.has(`${agent} ${generation}`)));
  if (sources.some(({ ended }) => !ended)) return true;
  return (await connection.call(runOps.get, { run })).state === 'running';
}
