/**
 * Measures the REST door of a running server with the task operations: whole requests over kept connections, from a
 * process of its own. The generator writes bytes to sockets itself, because a general HTTP client would take more of
 * the two cores than the server.
 * Usage: MAOS_BENCH_URL=http://127.0.0.1:4711 MAOS_BENCH_TOKEN=… node bench/rest.ts [create] [lifecycle] [read]
 * Without MAOS_BENCH_URL it starts a server on a folder that is removed afterwards, and measures its start too.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const connections = Number(process.env['MAOS_BENCH_CONNECTIONS'] ?? 16);
const seconds = Number(process.env['MAOS_BENCH_SECONDS'] ?? 5);

interface Target {
  readonly url: string;
  readonly token: string;
}

/** One kept connection that has one request on its way at a time. */
class Wire {
  readonly #socket: Socket;
  readonly #head: string;
  #buffer = '';
  #done: ((body: string) => void) | undefined;

  constructor({ url, token }: Target) {
    const { hostname, port, host } = new URL(url);
    this.#head = ` HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: `;
    this.#socket = connect(Number(port), hostname);
    this.#socket.setNoDelay(true);
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (chunk) => this.#receive(String(chunk)));
  }

  /** The body of the answer; `body` must be ASCII. */
  send(method: string, path: string, body = ''): Promise<string> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(`${method} ${path}${this.#head}${body.length}\r\n\r\n${body}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    this.#buffer = this.#buffer === '' ? chunk : this.#buffer + chunk;
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end === -1) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#buffer)?.[1] ?? 0);
    if (this.#buffer.length < end + 4 + length) return;
    const body = this.#buffer.slice(end + 4, end + 4 + length);
    if (!this.#buffer.startsWith('HTTP/1.1 200')) throw new Error(`${this.#buffer.slice(0, 40)}… ${body}`);
    this.#buffer = '';
    this.#done?.(body);
  }
}

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

/** Runs the step on every connection for some time; requests are counted by what they are for. */
async function measure(target: Target, step: (wire: Wire) => Promise<void>): Promise<number[]> {
  const wires = Array.from({ length: connections }, () => new Wire(target));
  const took: number[] = [];
  const run = async (until: number, keep: boolean): Promise<void> => {
    await Promise.all(
      wires.map(async (wire) => {
        for (let start = performance.now(); start < until; start = performance.now()) {
          await step(wire);
          if (keep) took.push(performance.now() - start);
        }
      }),
    );
  };
  await run(performance.now() + 1_500, false);
  await run(performance.now() + seconds * 1_000, true);
  for (const wire of wires) wire.close();
  return took;
}

function report(figure: string, took: number[], requestsPerStep: number): void {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (q: number): number => Math.round((sorted[Math.floor(q * (sorted.length - 1))] ?? 0) * 100) / 100;
  const perSecond = Math.round(took.length / seconds);
  const values = { perSecond, requestsPerSecond: perSecond * requestsPerStep, p50: at(0.5), p99: at(0.99), max: at(1) };
  console.log(JSON.stringify({ figure, connections, seconds, ...values }));
}

/** A server of its own: this checkout's, on an empty folder. */
async function startServer(): Promise<Target & { stop(): Promise<void> }> {
  const home = mkdtempSync(join(tmpdir(), 'maos-bench-'));
  const start = performance.now();
  const bin = join(import.meta.dirname, '../bin/maos.js');
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    MAOS_HOME: home,
    NODE_COMPILE_CACHE: join(tmpdir(), 'maos-bench-cache'),
  };
  const child = spawn(process.execPath, [bin, 'up', '--foreground'], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const url = await untilHealthy(join(home, 'server.json'), child);
  const ready = performance.now() - start;
  await delay(3_000);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const rssMb = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  console.log(JSON.stringify({ figure: 'server start', toHealthMs: Math.round(ready), idleRssMb: rssMb }));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(home, { recursive: true, force: true });
  };
  return { url, token: readFileSync(join(home, 'token'), 'utf8').trim(), stop };
}

async function untilHealthy(file: string, child: ChildProcess): Promise<string> {
  while (child.exitCode === null) {
    if (existsSync(file)) {
      const { url }: { url: string } = JSON.parse(readFileSync(file, 'utf8'));
      const response = await fetch(`${url}/health`);
      if (response.ok) return url;
    }
    await delay(2);
  }
  throw new Error('The server ended before it answered.');
}

const { MAOS_BENCH_URL: url, MAOS_BENCH_TOKEN: token } = process.env;
const server = url === undefined ? await startServer() : { url, token: token ?? '', stop: async () => undefined };
const wanted = process.argv.slice(2);
const wants = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
try {
  // First, while no task is queued: each claim then takes a task that was just made.
  if (wants('lifecycle')) report('rest lifecycle', await measure(server, lifecycle), 3);
  if (wants('create')) report('rest create', await measure(server, create), 1);
  if (wants('read')) report('rest read', await measure(server, read), 1);
} finally {
  await server.stop();
}
