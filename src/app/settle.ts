import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const stretchMs = 1_000;
/** The share of a stretch that the thread may have worked and still be called idle. */
const idle = 0.05;

/**
 * Gives back the memory that starting took, once the thread has been idle for a second: half of its heap is then room
 * that young objects have left, and the engine would keep it until after a busy time. Holds up the thread for 20 to 50 ms.
 */
export async function settle(): Promise<void> {
  for (let utilization = 1; utilization > idle;) {
    const before = performance.eventLoopUtilization();
    await delay(stretchMs, undefined, { ref: false });
    utilization = performance.eventLoopUtilization(before).utilization;
  }
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
