import { AppError } from '../../kernel/error.ts';
import type { Flag } from '../argv.ts';
import { exits, pause, printJson, type Command, type Shell } from '../command.ts';
import type { RunningServer } from '../connection.ts';
import { startDaemon } from '../daemon.ts';

const json: Flag = { key: 'json', kind: 'boolean', describe: 'Print url and pid as JSON.' };
const upFlags: readonly Flag[] = [
  { key: 'foreground', kind: 'boolean', describe: 'Serve in this process, until Ctrl-C or SIGTERM.' },
  { key: 'port', kind: 'number', describe: 'The port of 127.0.0.1. Default: as configured, or any that is free.' },
  json,
];

const patience = 20_000;
const between = 25;

function tell({ out }: Shell, server: RunningServer, what: string, asJson: boolean): void {
  if (asJson) printJson(out, { url: server.url, pid: server.pid });
  else out.lines([`${what} ${out.style('bold', server.url)} (pid ${server.pid})`]);
}

async function waitFor(shell: Shell, daemon: ReturnType<typeof startDaemon>): Promise<RunningServer> {
  const deadline = shell.clock.now() + patience;
  for (;;) {
    const running = await shell.server.running();
    if (running !== undefined) return running;
    const ended = daemon.ended();
    if (ended !== undefined || shell.clock.now() > deadline) {
      const why = ended === undefined ? `does not answer after ${patience / 1_000} s` : `ended at once (${ended})`;
      const said = daemon.output().trim().split('\n').slice(-10).join('\n');
      throw new AppError('unavailable', `The server ${why}.${said === '' ? '' : `\n${said}`}`, {
        fix: `Its output is in ${daemon.log}; "maos up --foreground" shows it directly.`,
      });
    }
    await pause(shell.clock, between);
  }
}

/** Starts a server in the background and resolves once it answers. */
export function startServer(shell: Shell, args: readonly string[]): Promise<RunningServer> {
  return waitFor(shell, startDaemon(shell, args));
}

export const upCommand: Command = {
  grammar: { positionals: [], flags: upFlags },
  run: async (shell, args) => {
    const port = args.number('port');
    const running = await shell.server.running();
    if (running !== undefined) {
      tell(shell, running, 'The server runs already:', args.is('json'));
      return exits.ok;
    }
    if (args.is('foreground')) {
      const ready = (server: RunningServer): void => tell(shell, server, 'Serving', args.is('json'));
      await shell.server.serve({ ready, ...(port === undefined ? {} : { port }) });
      return exits.ok;
    }
    const started = await startServer(shell, port === undefined ? [] : ['--port', String(port)]);
    tell(shell, started, 'The server runs:', args.is('json'));
    return exits.ok;
  },
};

/** Signal 0 asks whether a process is there. */
function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

export const downCommand: Command = {
  grammar: { positionals: [], flags: [] },
  detail: 'Agents are not stopped: they go on, and the next server adopts them. "maos stop" stops a run or an agent.',
  run: async (shell) => {
    const running = await shell.server.running();
    if (running === undefined) {
      shell.out.lines(['No server runs.']);
      return exits.ok;
    }
    process.kill(running.pid, 'SIGTERM');
    const deadline = shell.clock.now() + patience;
    while (alive(running.pid)) {
      if (shell.clock.now() > deadline) {
        throw new AppError(
          'unavailable',
          `The server (pid ${running.pid}) did not stop within ${patience / 1_000} s.`,
          {
            fix: `Its log says why; "kill -9 ${running.pid}" ends it, and nothing that was recorded is lost.`,
          },
        );
      }
      await pause(shell.clock, between);
    }
    shell.out.lines([`The server has stopped (pid ${running.pid}). Agents go on; the next server adopts them.`]);
    return exits.ok;
  },
};
