import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Long enough for the first callers not to notice. */
const afterMs = 1_000;

/**
 * Gives back the memory that starting took: half of a thread's heap is then room that young objects have left. The
 * engine would do so by itself only after a busy time. Takes about 15 ms of the thread that calls it.
 */
export async function settle(): Promise<void> {
  await delay(afterMs, undefined, { ref: false });
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
