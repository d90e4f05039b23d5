/**
 * The REST door of the packed server, with the task operations, from a process of its own over 16 kept connections.
 * Beside it: a bare node:http server that parses the body and answers, without a log or a disk.
 * `node bench/rest.ts [lifecycle] [create] [read]`
 */
import { createServer } from 'node:http';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { report, runParts } from './figure.ts';
import { product, startServer } from './product.ts';
import { type Load, measure, type Target, type Wire } from './wire.ts';

const connections = 16;
const seconds = 5;
const base = '/api/v1/tasks';
const createBody = JSON.stringify({
  title: 'Measure',
  description: 'A task of the bench.',
  payload: { file: 'src/a.ts' },
});

async function create(wire: Wire): Promise<void> {
  await wire.send('POST', base, createBody);
}

/** Three durable requests: create, claim what is next, complete it. */
async function lifecycle(wire: Wire): Promise<void> {
  await create(wire);
  const { task } = JSON.parse(await wire.send('POST', `${base}/claim`, '{"worker":"bench"}'));
  if (task === null) throw new Error('Nothing to claim.');
  await wire.send('POST', `${base}/${task.id}/complete`, `{"fence":${task.fence}}`);
}

async function read(wire: Wire): Promise<void> {
  await wire.send('GET', `${base}?limit=10`);
}

function serveBare(): void {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const text = JSON.stringify({ id: 'task_1', ...JSON.parse(Buffer.concat(parts).toString()) });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(text);
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    parentPort?.postMessage(typeof address === 'object' && address !== null ? address.port : 0);
  });
}

async function measureBare(): Promise<Load> {
  const worker = new Worker(new URL(import.meta.url));
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  const load = await measure({ url: `http://127.0.0.1:${port}`, token: 'none' }, connections, 3, create);
  await worker.terminate();
  return load;
}

async function compare(target: Target): Promise<void> {
  const bare = await measureBare();
  const beside = (value: number) => ({ bare: { name: 'bare node:http, no log', value } });
  const times = ({ p50, p99, max }: Load): string =>
    `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, max ${max.toFixed(1)} ms`;
  await runParts({
    // First, while no task is queued: each claim then takes a task that was just made.
    lifecycle: async () => {
      const load = await measure(target, connections, seconds, lifecycle);
      const name = 'task lifecycle over REST, 16 connections';
      report({
        name,
        value: load.perSecond,
        unit: '/s',
        target: { least: 1_500 },
        note: times(load),
        ...beside(bare.perSecond / 3),
      });
    },
    create: async () => {
      const load = await measure(target, connections, seconds, create);
      const name = 'task.create over REST, 16 connections';
      report({
        name,
        value: load.perSecond,
        unit: '/s',
        target: { least: 3_000 },
        note: times(load),
        ...beside(bare.perSecond),
      });
      report({ name: `${name}, p99`, value: load.p99, unit: 'ms', target: { most: 20 }, ...beside(bare.p99) });
    },
    read: async () => {
      const load = await measure(target, connections, seconds, read);
      const name = 'task.list of 10 over REST, 16 connections';
      report({ name, value: load.perSecond, unit: '/s', note: times(load), ...beside(bare.perSecond) });
    },
  });
}

if (isMainThread) {
  const server = await startServer(product());
  try {
    await compare(server);
  } finally {
    await server.stop();
  }
} else serveBare();
