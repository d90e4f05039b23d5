import { fileURLToPath } from 'node:url';
import { runCli } from '../cli/cli.ts';
import type { ServerPort } from '../cli/connection.ts';
import { systemClock } from '../kernel/clock.ts';
import { ask } from './ask.ts';
import { connector, findServer } from './connect.ts';
import { homeFolder, placesIn } from './places.ts';
import { version } from './version.ts';

const environment = process.env;
const home = homeFolder(environment);

const server: ServerPort = {
  home,
  program: [process.execPath, ...process.execArgv, fileURLToPath(new URL('../../bin/maos.js', import.meta.url))],
  token: async () => (await import('../auth/token.ts')).readToken(placesIn(home).token),
  running: () => findServer(home),
  serve: async ({ port, ready }) => {
    const { startTogether } = await import('./together.ts');
    const wanted = { version, acts: true, listens: true, environment };
    const started = await startTogether(wanted, port === undefined ? {} : { port });
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    });
    try {
      if (started.url !== null) ready({ url: started.url, pid: process.pid });
      await stopped;
    } finally {
      await started.close();
    }
  },
  restore: async (snapshot) => {
    const { restoreSnapshot } = await import('../log/restore.ts');
    const { kept } = await restoreSnapshot(snapshot, placesIn(home).database);
    return { kept: kept ?? null };
  },
};

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  stdout: process.stdout,
  stderr: process.stderr,
  env: environment,
  cwd: process.cwd(),
  version,
  clock: systemClock,
  connect: connector({ environment, version }),
  ask,
  server,
  onInterrupt: (listener) => {
    process.on('SIGINT', listener);
    return () => process.off('SIGINT', listener);
  },
  exit: (code) => process.exit(code),
});
