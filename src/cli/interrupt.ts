import { exits, type Shell } from './command.ts';

/** Follows something until Ctrl-C, which here is the ordinary end; a second one ends the process at once. */
export async function untilInterrupted(shell: Shell, follow: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const stop = new AbortController();
  const release = shell.onInterrupt(() => {
    if (stop.signal.aborted) shell.exit(exits.interrupted);
    stop.abort();
  });
  try {
    await follow(stop.signal);
    return stop.signal.aborted ? exits.interrupted : exits.ok;
  } catch (error) {
    if (stop.signal.aborted) return exits.interrupted;
    throw error;
  } finally {
    release();
  }
}
