import { createServer, type Server } from 'node:http';

interface Item {
  readonly type: string;
  readonly output?: unknown;
}
interface Asked {
  readonly input: readonly Item[];
  readonly tools: readonly { readonly name?: string; readonly tools?: readonly { readonly name: string }[] }[];
}

/**
 * For tests: a model on loopback that speaks OpenAI's Responses with the tools of MCP servers in namespaces, as Codex sends
 * them, calls one tool and says what it was told.
 */
export class ResponsesModel {
  readonly #server: Server;
  readonly #tool: string;
  readonly #input: object;

  constructor(tool: string, input: object) {
    this.#tool = tool;
    this.#input = input;
    this.#server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const asked: Asked = JSON.parse(body);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
        const events = [
          { type: 'response.created', response: { id: 'r' } },
          { type: 'response.output_item.done', item: this.#answer(asked) },
          { type: 'response.completed', response: { id: 'r', usage } },
        ];
        response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''));
      });
    });
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The model was not started.');
    return `http://127.0.0.1:${address.port}`;
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #answer({ input, tools }: Asked): object {
    const say = (text: string) => ({
      type: 'message',
      role: 'assistant',
      id: 'm',
      content: [{ type: 'output_text', text }],
    });
    const told = input.findLast(({ type }) => type === 'function_call_output');
    if (told !== undefined) return say(`It said: ${JSON.stringify(told.output)}`);
    const space = tools.find(({ tools: inside = [] }) => inside.some(({ name }) => name === this.#tool));
    if (space?.name === undefined) return say('There is no such tool.');
    const call = { name: this.#tool, namespace: space.name, arguments: JSON.stringify(this.#input), call_id: 'c' };
    return { type: 'function_call', id: 'f', ...call };
  }
}
