/**
 * Loaded into a server that is measured (`node --import`): how long its main thread was held since the last SIGUSR2 is
 * written to the file that MAOS_BENCH_DELAY names, at the next SIGUSR2.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const resolutionMs = 1;

if (isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  process.on('SIGUSR2', () => {
    const held = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
    const text = JSON.stringify({ max: held(delay.max), p99: held(delay.percentile(99)) });
    writeFileSync(process.env['MAOS_BENCH_DELAY'] ?? '/dev/null', text);
    delay.reset();
  });
}
