import { exits, type Shell } from './command.ts';
import type { Connection } from './connection.ts';
import { keepVigil, serverGone } from './vigil.ts';

/** Follows something until Ctrl-C, which here is the ordinary end; a second one ends the process at once. */
export async function untilInterrupted(
  shell: Shell,
  connection: Connection,
  follow: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const stop = new AbortController();
  const gone = keepVigil(shell, connection, stop);
  const release = shell.onInterrupt(() => {
    if (stop.signal.aborted) shell.exit(exits.interrupted);
    stop.abort();
  });
  try {
    await follow(stop.signal).catch((error: unknown) => {
      // Being stopped is no failure.
      if (!stop.signal.aborted) throw error;
    });
    if (gone()) throw serverGone('maos up');
    return stop.signal.aborted ? exits.interrupted : exits.ok;
  } finally {
    release();
    stop.abort();
  }
}
