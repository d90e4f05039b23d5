import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

/** Starts the core's thread, which loads its code and then waits to be told what to open. */
export function coreThread(): Worker {
  // The compiler rewrites imports but not this name, so the extension follows the file that is running.
  return new Worker(new URL(`./core${extname(import.meta.url)}`, import.meta.url));
}
