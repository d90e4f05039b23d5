import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { AppError, invalid } from '../../kernel/error.ts';
import type { InputOf } from '../../kernel/operation.ts';
import { runOps, type RunDetail } from '../../workflows/contract.ts';
import type { Args, Flag } from '../argv.ts';
import { connected, exits, printJson, type Command, type Shell } from '../command.ts';
import type { Connection } from '../connection.ts';
import { followRun, headOf } from '../follow.ts';
import { inputFlag, inputsOf } from './inputs.ts';

const json: Flag = {
  key: 'json',
  kind: 'boolean',
  describe: 'Show nothing meanwhile, and print the run as JSON at its end.',
};
const detach: Flag = {
  key: 'detach',
  short: 'd',
  kind: 'boolean',
  describe: 'Return at once; needs a running server.',
};
const run: Flag = {
  key: 'run',
  kind: 'text',
  required: true,
  describe: 'The run: its name, its id, or a unique beginning of it.',
};

const runFlags: readonly Flag[] = [
  {
    key: 'what',
    kind: 'text',
    required: true,
    describe: 'A plan file (- is standard input), or an objective in plain language, in quotes.',
  },
  inputFlag,
  { key: 'runtime', kind: 'text', describe: 'For an objective: which runtime; default claude.' },
  { key: 'continues', kind: 'text', describe: 'Use the finished tasks of this run that have not changed.' },
  { key: 'watch', short: 'w', kind: 'boolean', default: true, describe: 'Follow it to its end, which is the default.' },
  detach,
  json,
];

type Create = InputOf<typeof runOps.create>;

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** What to carry out: the text of a plan, or an objective. One word that is no file is probably a mistyped name. */
function sourceOf(shell: Shell, args: Args): Pick<Create, 'plan' | 'file' | 'objective' | 'runtime'> {
  const what = args.need('what');
  const runtime = args.text('runtime');
  const file = resolve(shell.cwd, what);
  if (what === '-' || isFile(file)) {
    if (runtime !== undefined)
      throw invalid('--runtime is for an objective.', { fix: 'Write the runtime into the plan.' });
    return { plan: shell.readFile(what), ...(what === '-' ? {} : { file }) };
  }
  if (/\s/.test(what)) return { objective: what, ...(runtime === undefined ? {} : { runtime }) };
  throw new AppError('not_found', `There is no file ${what}.`, {
    fix: 'Name a plan file, or write an objective of several words in quotes: maos run "make the tests pass".',
  });
}

async function refuseDetached(shell: Shell): Promise<void> {
  if ((await shell.server.running()) !== undefined) return;
  throw new AppError('unavailable', 'Only a running server can carry out a run that nobody follows.', {
    fix: 'Start it: maos up',
  });
}

/** Changes a run and follows it, or leaves it to the server. */
async function start(
  shell: Shell,
  args: Args,
  change: (connection: Connection) => Promise<RunDetail>,
): Promise<number> {
  const detached = args.is('detach') || args.values['watch'] === false;
  if (detached) await refuseDetached(shell);
  return connected(shell, { acts: !detached }, async (connection) => {
    const after = await headOf(connection);
    const started = await change(connection);
    if (!detached) return followRun(shell, connection, started, after, args.is('json'));
    if (args.is('json')) printJson(shell.out, started);
    else shell.out.lines([`${started.name} goes on in the server. "maos watch ${started.name}" shows it.`]);
    return exits.ok;
  });
}

/** `maos run` */
export const runCommand: Command = {
  grammar: { positionals: ['what'], flags: runFlags },
  detail:
    'Uses the running server, or carries it out in this process when none runs. On a terminal it shows the tasks as a tree, elsewhere a line an event, and the report at the end.\nCtrl-C detaches: agents that work go on. A second Ctrl-C ends at once.\nExits with 0 when the run succeeded, 1 when it failed, 3 when it waits for a person, 130 after Ctrl-C.',
  examples: [
    'maos run plan.yaml',
    'maos run plan.yaml --input version=2 --input channel=beta',
    'maos run "make the test suite pass" --runtime claude',
    'maos run plan.yaml --continues quickstart-1',
  ],
  run: async (shell, args) => {
    const continues = args.text('continues');
    const input: Create = {
      ...sourceOf(shell, args),
      cwd: shell.cwd,
      inputs: inputsOf(args),
      ...(continues === undefined ? {} : { continues }),
    };
    return start(shell, args, (connection) => connection.call(runOps.create, input));
  },
};

/** `maos watch`: with no server running, the run is carried on in this process meanwhile. */
export const watchCommand: Command = {
  grammar: { positionals: ['run'], flags: [run, json] },
  run: async (shell, args) =>
    start(shell, args, (connection) => connection.call(runOps.get, { run: args.need('run') })),
};

/** `maos resume`: also for a run that is going on but lost the server that carried it on. */
export const resumeCommand: Command = {
  grammar: { positionals: ['run'], flags: [run, detach, json] },
  detail: 'Only what did not finish is run again. With a changed plan use "maos run FILE --continues RUN".',
  run: async (shell, args) =>
    start(shell, args, async (connection) => {
      const found = await connection.call(runOps.get, { run: args.need('run') });
      return found.state === 'running' ? found : connection.call(runOps.resume, { run: found.id });
    }),
};
