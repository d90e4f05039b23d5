/** A core thread for the tests: opens the sample's log, or refuses as the real one does. */
import { parentPort, workerData } from 'node:worker_threads';
import * as z from 'zod';
import { command } from '../kernel/handler.ts';
import { operation } from '../kernel/operation.ts';
import { refuseCore, serveCore } from './core.ts';
import { itemHandlers, openSample } from './sample.fixture.ts';

const { folder, commitDelay }: { folder: string; commitDelay: number } = workerData;
const spec = {
  summary: 'x',
  effect: 'write',
  scope: 'x',
  route: 'POST /x',
  input: () => z.any(),
  output: () => z.any(),
} as const;

const handlers = [
  ...itemHandlers,
  command(operation({ ...spec, name: 'core.die' }), () => process.exit(3)),
  command(operation({ ...spec, name: 'core.function' }), () => () => 'a function cannot travel'),
];

function slowDisk(): void {
  if (commitDelay > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, commitDelay);
}

if (parentPort === null) throw new Error('This is the entry of a worker.');
try {
  const { pipeline, log, rebuilt } = openSample(folder, { handlers, beforeCommit: slowDisk });
  serveCore(parentPort, pipeline, log, rebuilt);
} catch (error) {
  refuseCore(parentPort, error);
}
