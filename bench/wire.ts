import { connect, type Socket } from 'node:net';
import { quantile } from './figure.ts';

export interface Target {
  readonly url: string;
  readonly token: string;
}

/**
 * One kept connection that has one request on its way at a time. It writes the bytes itself, because a general HTTP
 * client would take more of the two cores than the server.
 */
export class Wire {
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

/** What so many connections did in some time. */
export interface Load {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export type Step = (wire: Wire) => Promise<void>;

/** Repeats a step on every connection for some time, after a second and a half to warm up. */
export async function measure(target: Target, connections: number, seconds: number, step: Step): Promise<Load> {
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
  const begin = performance.now();
  await run(begin + seconds * 1_000, true);
  const perSecond = (took.length * 1_000) / (performance.now() - begin);
  for (const wire of wires) wire.close();
  return { perSecond, p50: quantile(took, 0.5), p99: quantile(took, 0.99), max: quantile(took, 1) };
}
