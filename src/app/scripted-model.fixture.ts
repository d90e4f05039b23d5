import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { LLMock, type ChatCompletionRequest, type FixtureResponse } from '@copilotkit/aimock';

/** What the model does next: use a tool, or say something and end its turn. */
type Step = { readonly tool: string; readonly input: object } | { readonly say: string };

/** A conversation in which someone says `when` goes on with these steps, one for each answer. */
export interface Scene {
  readonly when: string;
  readonly steps: readonly Step[];
}

export const write = (file: string, content: string): Step => ({
  tool: 'Write',
  input: { file_path: file, content },
});
export const read = (file: string): Step => ({ tool: 'Read', input: { file_path: file } });
export const shell = (command: string): Step => ({ tool: 'Bash', input: { command, description: 'Run it' } });
export const say = (text: string): Step => ({ say: text });

/** An answer of the API itself in place of the model's. */
export interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const used = { input_tokens: 1000, output_tokens: 200 };

/** Which scene was spoken of last, and how many of its steps were carried out. */
function position(
  scenes: readonly Scene[],
  { messages }: ChatCompletionRequest,
): { scene: Scene; done: number } | null {
  const heard = messages.map(({ role, content }) => (role === 'user' ? JSON.stringify(content) : ''));
  const at = scenes.map(({ when }) => heard.findLastIndex((text) => text.includes(when)));
  const last = Math.max(...at);
  const scene = scenes[at.indexOf(last)];
  if (scene === undefined || last < 0) return null;
  return { scene, done: messages.slice(last).filter(({ role }) => role === 'tool').length };
}

function answer(scenes: readonly Scene[], asked: ChatCompletionRequest): FixtureResponse {
  const found = position(scenes, asked);
  const step = found?.scene.steps[found.done] ?? say(found === null ? 'I do not know.' : 'Nothing is left to do.');
  if ('say' in step) return { content: step.say, usage: used };
  return {
    content: 'I am at it.',
    toolCalls: [{ name: step.tool, arguments: JSON.stringify(step.input) }],
    usage: used,
  };
}

/** For tests: a model on loopback that follows a script, behind a door that can hold requests back or refuse them. */
export class ScriptedModel {
  readonly #model = new LLMock({ port: 0 });
  readonly #door: Server;
  readonly #scenes: Scene[] = [];
  readonly #requests: string[] = [];
  /** Asked with the text of every request; what it answers is sent in place of the model's answer. */
  gate: (body: string) => Refusal | null | Promise<Refusal | null> = () => null;

  constructor() {
    this.#model.on({}, (asked) => answer(this.#scenes, asked));
    this.#door = createServer((incoming, outgoing) => {
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  /** Where two scenes are spoken of in the same message, the one that was added first is played. */
  add(...scenes: readonly Scene[]): void {
    this.#scenes.push(...scenes);
  }

  get url(): string {
    const address = this.#door.address();
    if (address === null || typeof address === 'string') throw new Error('The model was not started.');
    return `http://127.0.0.1:${address.port}`;
  }

  /** The conversations that the model was sent, as text, oldest first. */
  requests(): string[] {
    return [...this.#requests];
  }

  async start(): Promise<void> {
    await this.#model.start();
    await new Promise<void>((resolve) => this.#door.listen(0, '127.0.0.1', () => resolve()));
  }

  async stop(): Promise<void> {
    this.#door.closeAllConnections();
    await new Promise<void>((resolve) => this.#door.close(() => resolve()));
    await this.#model.stop();
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
    const text = Buffer.concat(chunks).toString('utf8');
    // What a user says while Claude works comes as a message of the system, which the scripted model would not hear.
    const body = Buffer.from(text.replaceAll('{"role":"system"', '{"role":"user"'));
    const refusal = await this.gate(text);
    if (refusal !== null) {
      const { status, type, message, headers } = refusal;
      outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
      outgoing.end(JSON.stringify({ type: 'error', error: { type, message } }));
      return;
    }
    this.#requests.push(text);
    const { hostname, port } = new URL(this.#model.url);
    const { method, url } = incoming;
    const headers = { ...incoming.headers, 'content-length': String(body.length) };
    const onward = request({ hostname, port, path: url, method, headers }, (back) => {
      outgoing.writeHead(back.statusCode ?? 500, back.headers);
      back.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    onward.end(body);
  }
}
