/**
 * Calls of MCP tools over HTTP at a packed server, each with its token, its rules and its record: a write at the 100,000th call, and
 * a list of tools as every agent reads it at its start. Beside it: the same operation over REST.
 * `node bench/mcp.ts [calls] [list] [session]`
 */
import { connect, type Socket } from 'node:net';
import { quantile, report, runParts } from './figure.ts';
import { product, startServer } from './product.ts';
import { measure, type Target, Wire } from './wire.ts';

const many = Number(process.env['MAOS_BENCH_MCP_CALLS'] ?? 100_000);
const connections = 8;
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const task = { title: 'Measure', description: 'A task of the bench.', payload: { file: 'src/a.ts' } };

function message(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
}

/** A connection whose requests carry the headers of a revision; the answers of the older one are event streams. */
class McpWire {
  readonly #socket: Socket;
  readonly #head: string;
  #buffer = '';
  #done: ((answer: string) => void) | undefined;

  constructor({ url, token }: Target, headers: Readonly<Record<string, string>>) {
    const { hostname, port, host } = new URL(url);
    const lines = Object.entries({
      host,
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    });
    this.#head = `POST /mcp?toolset=worker HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}content-length: `;
    this.#socket = connect(Number(port), hostname);
    this.#socket.setNoDelay(true);
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (chunk) => this.#receive(String(chunk)));
  }

  send(body: string): Promise<string> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(`${this.#head}${body.length}\r\n\r\n${body}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    this.#buffer += chunk;
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end === -1) return;
    const length = /content-length: (\d+)/i.exec(this.#buffer.slice(0, end))?.[1];
    const whole =
      length === undefined ? this.#buffer.endsWith('0\r\n\r\n') : this.#buffer.length >= end + 4 + Number(length);
    if (!whole) return;
    const answer = this.#buffer;
    if (!answer.startsWith('HTTP/1.1 20') || answer.includes('"isError":true')) throw new Error(answer.slice(0, 2_000));
    this.#buffer = '';
    this.#done?.(answer);
  }
}

const modern = (method: string, name?: string) => ({
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name === undefined ? {} : { 'mcp-name': name }),
});

/** What one connection after the other takes, in milliseconds each. */
async function times(wire: { send(body: string): Promise<string> }, body: string, count: number): Promise<number[]> {
  const took: number[] = [];
  for (let call = 0; call < count; call += 1) {
    const start = performance.now();
    await wire.send(body);
    took.push(performance.now() - start);
  }
  return took;
}

const server = await startServer(product());
try {
  await runParts({
    calls: async () => {
      const body = message('tools/call', { name: 'task_create', arguments: task, _meta: meta });
      const wires = Array.from({ length: connections }, () => new McpWire(server, modern('tools/call', 'task_create')));
      const begin = performance.now();
      await Promise.all(wires.map((wire) => times(wire, body, Math.ceil(many / connections))));
      const perSecond = (Math.ceil(many / connections) * connections * 1_000) / (performance.now() - begin);
      const [first] = wires;
      if (first === undefined) throw new Error('No connection.');
      const took = await times(first, body, 2_000);
      for (const wire of wires) wire.close();
      const rest = new Wire(server);
      const beside = await times(
        { send: (text) => rest.send('POST', '/api/v1/tasks', text) },
        JSON.stringify(task),
        2_000,
      );
      rest.close();
      report({
        name: `MCP tool call (task_create) over HTTP, p50 after ${many.toLocaleString('en')} calls`,
        value: quantile(took, 0.5),
        unit: 'ms',
        target: { most: 3 },
        bare: { name: 'the same over REST', value: quantile(beside, 0.5) },
        note: `p99 ${quantile(took, 0.99).toFixed(2)} ms; ${connections} connections together ${Math.round(perSecond)}/s`,
      });
    },
    list: async () => {
      const wire = new McpWire(server, modern('tools/list'));
      const took = await times(wire, message('tools/list', { _meta: meta }), 2_000);
      wire.close();
      report({
        name: 'MCP tools/list of a worker, p50',
        value: quantile(took, 0.5),
        unit: 'ms',
        note: `p99 ${quantile(took, 0.99).toFixed(2)} ms`,
      });
    },
    session: async () => {
      const clientInfo = { name: 'bench', version: '1' };
      const hello = message('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
      const opening = new McpWire(server, {});
      const id = /mcp-session-id: (\S+)/i.exec(await opening.send(hello))?.[1] ?? '';
      opening.close();
      const wire = new McpWire(server, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' });
      const took = await times(wire, message('tools/call', { name: 'task_create', arguments: task }), 2_000);
      wire.close();
      const load = await measure(
        server,
        1,
        1,
        async (rest) => void (await rest.send('POST', '/api/v1/tasks', JSON.stringify(task))),
      );
      report({
        name: 'MCP tool call in a session of 2025-11-25, p50',
        value: quantile(took, 0.5),
        unit: 'ms',
        target: { most: 3 },
        bare: { name: 'the same over REST', value: load.p50 },
        note: `p99 ${quantile(took, 0.99).toFixed(2)} ms`,
      });
    },
  });
} finally {
  await server.stop();
}
