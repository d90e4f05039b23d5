import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { basics } from '../agents/environment.ts';
import type { ExitStatus, Host } from '../agents/runtime.ts';
import type { Clock } from '../kernel/clock.ts';
import type { NewId } from '../kernel/id.ts';
import type { RunCommand } from '../workspaces/check.ts';

/** How much of a command's output is kept as evidence. */
const outputTail = 16_000;
const stopGraceMs = 2_000;

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

/**
 * Runs a shell line whose output goes through a pipe to a helper that keeps the end of it: three parts of at most 4 MiB, however
 * much is printed. It is plain /bin/sh and dd, and guarantees:
 *
 * K1. Both streams come in the order in which they were written, and dd writes what it has read at once: whoever is killed, the
 *     files hold the output up to then. When the disk is full, what is printed is thrown away, and the line goes on.
 * K2. The line runs in the place of this shell: its exit status, its signals and what it waits for are its own.
 * K3. The helper ignores what asks it to end, and ends with the last process that can still print.
 *
 * Of the reads that dd was told to make it tells how many it made ("3+1 records in"): less than all of them is the end.
 */
const script = `
d=$1
PATH=$PATH:/usr/bin:/bin mkfifo -m 600 "$d/pipe" || exit 74
{
  trap '' HUP INT TERM
  export PATH=/usr/bin:/bin LC_ALL=C
  n=0
  while told=$(dd bs=4096 count=1024 of="$d/part$n" 2>&1); do
    told=\${told%%" records in"*}
    told=\${told##*[!0-9+]}
    [ $(($told)) -ge 1024 ] || exit 0
    n=$((n + 1))
    [ $n -lt 3 ] || rm -f "$d/part$((n - 3))"
  done
  exec cat
} <"$d/pipe" >/dev/null 2>&1 &
exec >"$d/pipe" 2>&1
exec /bin/sh -c "$2"
`;

/** The files that hold output, oldest first; the last two, what the shells around the line had to say. */
function parts(place: string): string[] {
  const kept = readdirSync(place).filter((name) => name.startsWith('part'));
  return [...kept.toSorted((a, b) => Number(a.slice(4)) - Number(b.slice(4))), 'stdout', 'stderr'];
}

/** The last bytes of a file, however long it is. */
function tail(path: string): Buffer {
  if (!existsSync(path)) return Buffer.alloc(0);
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    // One more than is kept tells that something is left out.
    const bytes = Buffer.alloc(Math.min(size, outputTail + 1));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, size - bytes.length));
  } finally {
    closeSync(file);
  }
}

/** The end of what a command printed; its folder goes, whatever happens. */
async function takeOutput(place: string): Promise<string> {
  try {
    const bytes = Buffer.concat(parts(place).map((part) => tail(join(place, part))));
    if (bytes.length <= outputTail) return bytes.toString();
    // The cut may go through a letter.
    const text = bytes
      .subarray(-outputTail)
      .toString()
      .replace(/^\uFFFD+/, '');
    const dropped = !existsSync(join(place, 'part0'));
    return dropped ? `[It printed more than 8 MB: the beginning was not kept.]\n…${text}` : `…${text}`;
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
    const argv = ['/bin/sh', '-c', script, 'maos-check', place, line];
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
