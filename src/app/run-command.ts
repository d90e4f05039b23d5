import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExitStatus, Host } from '../agents/runtime.ts';
import type { Clock } from '../kernel/clock.ts';
import type { NewId } from '../kernel/id.ts';
import type { RunCommand } from '../workspaces/check.ts';

/** How much of a command's output is kept. */
const outputTail = 16_000;
const stopGraceMs = 2_000;
const basics = ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

interface Options {
  readonly host: Host;
  readonly folder: string;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

function exitWord(exit: ExitStatus): string {
  switch (exit.kind) {
    case 'exited':
      return `exit ${exit.code}`;
    case 'signalled':
      return exit.signal;
    case 'lost':
      return 'lost';
  }
}

/** The end of a file, however long it is. */
function tail(path: string): string {
  if (!existsSync(path)) return '';
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, outputTail));
    const length = readSync(file, bytes, 0, bytes.length, size - bytes.length);
    const text = bytes.toString('utf8', 0, length);
    return size > outputTail ? `…${text}` : text;
  } finally {
    closeSync(file);
  }
}

/** The end of what a command printed; its folder goes, whatever happens. */
async function takeOutput(place: string): Promise<string> {
  try {
    return `${tail(join(place, 'stdout'))}${tail(join(place, 'stderr'))}`;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Runs checks through the host of agents, so that they have a tree of their own that is gone when they end. */
export function commandRunner({ host, folder, newId, clock, environment }: Options): RunCommand {
  const inherited = Object.fromEntries(
    basics.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
  return async ({ line, cwd, env, timeoutMs }) => {
    const session = newId('check');
    const place = join(folder, session);
    // Both streams in one file, in the order in which they were written.
    const argv = ['/bin/sh', '-c', `exec 2>&1\n${line}`];
    const launch = { argv, env: { ...inherited, ...env }, stdin: 'none', firstInput: null } as const;
    const process = await host.start({ folder: place, session, launch, cwd });
    let late = false;
    const cancel = clock.after(timeoutMs, () => {
      late = true;
      void process.stop(stopGraceMs);
    });
    const exit = await process.exit;
    cancel();
    process.release();
    const output = await takeOutput(place);
    const passed = !late && exit.kind === 'exited' && exit.code === 0;
    return { passed, exit: late ? `timeout after ${timeoutMs} ms` : exitWord(exit), output };
  };
}

/** Ends the checks that a killed server has left: they are run again from the start. */
export async function endLeftChecks(host: Host, folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const session of readdirSync(folder)) {
    const place = join(folder, session);
    const found = await host.adopt(place, session);
    if (found.kind !== 'never_started') {
      await found.process.stop(0);
      found.process.release();
    }
    await rm(place, { recursive: true, force: true });
  }
}
