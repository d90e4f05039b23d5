/**
 * Carries JSON-RPC between a client on stdin and stdout and the door `/mcp` of the server.
 *
 * R1  Every request is answered once: by the server, or by an error that says what to do.
 * R2  A server that goes away is waited for. What it had not answered is sent again to the next one; a call carries a key, so
 *     that it is carried out once.
 * R3  It knows nothing of tools: what the server shows and allows is decided there, for the token that goes with each request.
 */
import { randomUUID } from 'node:crypto';
import { answers, failure, headersOf, isFields, type Message, parsed, readMessage, withKey } from './message.ts';
import { type Answer, exchange, type Target } from './upstream.ts';

export interface RelayOptions {
  /** `/mcp`, with the toolset that was asked for. */
  readonly path: string;
  /** Finds the server, or starts one; rejects when neither is possible. */
  readonly target: () => Promise<Target>;
  readonly write: (bytes: Buffer | string) => void;
  /** Resolves after some milliseconds, or when the signal is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How often something is sent at most. Between two times the server is looked for, which has a patience of its own. */
const attempts = 5;
const betweenMs = 100;
const reopenMs = 1_000;

export class Relay {
  readonly #options: RelayOptions;
  readonly #keys = randomUUID();
  readonly #open = new Map<string | number, AbortController>();
  /** Requests that are answered only when they end. */
  readonly #streams = new Set<string | number>();
  readonly #watched = new Map<unknown, Message>();
  readonly #end = new AbortController();
  #target: Promise<Target> | undefined;
  #session: string | undefined;
  #revision = '';
  #shaken: Promise<void> = Promise.resolve();
  #listening = false;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Until the client closes its side and what it asked for is answered. */
  async run(lines: AsyncIterable<Buffer>): Promise<void> {
    const inHand = new Set<Promise<void>>();
    for await (const line of lines) {
      const text = line.toString().trim();
      for (const message of text === '' ? [] : this.#parse(text)) {
        const work = this.#carry(message).finally(() => inHand.delete(work));
        inHand.add(work);
        // What tells something must have arrived before the next request does.
        if (message.kind !== 'request') await work;
      }
    }
    // Nobody reads any more, so what listens without end is not waited for.
    for (const id of this.#streams) this.#open.get(id)?.abort();
    await Promise.all(inHand);
    await this.#leave();
    this.#end.abort();
  }

  #parse(line: string): Message[] {
    try {
      const value: unknown = JSON.parse(line);
      const messages = (Array.isArray(value) ? value : [value]).map(readMessage);
      const good = messages.filter((message) => message !== undefined);
      if (good.length < messages.length) this.#tell(failure(null, -32600, 'This is no message of JSON-RPC.'));
      return good;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#tell(failure(null, -32700, 'This line is not JSON.'));
      return [];
    }
  }

  async #carry(message: Message): Promise<void> {
    const { kind, method, revision, params } = message;
    if (kind === 'request') return this.#request(message);
    if (method === 'notifications/cancelled' && this.#cancel(params['requestId']) && revision !== null) return;
    await this.#shaken;
    await this.#notify(message);
    if (method === 'notifications/initialized') void this.#listen();
  }

  /** What nobody waits for an answer to is lost with its server. */
  async #notify(message: Message): Promise<void> {
    try {
      await this.#post(message, message.raw, this.#end.signal, () => undefined);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }

  /** Over HTTP the newer revision cancels by closing the connection; the older one is told by a message as well. */
  #cancel(id: unknown): boolean {
    const stop = typeof id === 'string' || typeof id === 'number' ? this.#open.get(id) : undefined;
    if (stop === undefined || this.#session !== undefined) return false;
    stop.abort();
    return true;
  }

  async #request(message: Message): Promise<void> {
    const { id, method } = message;
    if (id === null) return;
    const stop = new AbortController();
    this.#open.set(id, stop);
    if (method === 'subscriptions/listen') this.#streams.add(id);
    const work = this.#answer(message, stop.signal).finally(() => {
      this.#open.delete(id);
      this.#streams.delete(id);
    });
    if (method === 'initialize') this.#shaken = work;
    await work;
  }

  async #answer(message: Message, signal: AbortSignal): Promise<void> {
    const { id, method, params } = message;
    if (method !== 'initialize' && message.revision === null) await this.#shaken;
    if (method === 'resources/subscribe') this.#watched.set(params['uri'], message);
    if (method === 'resources/unsubscribe') this.#watched.delete(params['uri']);
    let answered = false;
    const heard = (bytes: Buffer): void => {
      answered ||= answers(bytes, id);
      if (method === 'initialize') this.#shake(parsed(bytes));
      this.#pass(bytes);
    };
    try {
      await this.#post(message, withKey(message, `${this.#keys}-${String(id)}`), signal, heard, () => answered);
    } catch (error) {
      if (!answered && !signal.aborted) this.#tell(failure(id, -32603, reasonOf(error)));
    }
  }

  #shake(value: unknown): void {
    const result = isFields(value) && isFields(value['result']) ? value['result'] : {};
    const version = result['protocolVersion'];
    if (typeof version === 'string') this.#revision = version;
  }

  /** Sends a message until it is answered; a broken connection is not an answer. */
  async #post(
    message: Message,
    value: unknown,
    signal: AbortSignal,
    heard: (bytes: Buffer) => void,
    answered: () => boolean = () => true,
  ): Promise<void> {
    const body = JSON.stringify(value);
    for (let attempt = 1; ; attempt += 1) {
      const target = this.#reach();
      try {
        const sending = { method: 'POST' as const, headers: this.#headers(message), body, signal };
        const answer = await exchange(await target, this.#options.path, sending);
        if (message.method === 'initialize') this.#session = answer.session;
        await this.#read(answer, message, heard);
        if (answered()) return;
        throw new Error('The server closed the connection before it answered.');
      } catch (error) {
        if (signal.aborted || (message.kind === 'request' && answered())) return;
        if (attempt === attempts) throw error;
        this.#lose(target);
        await this.#options.pause(betweenMs, signal);
      }
    }
  }

  #headers(message: Message): Record<string, string> {
    if (message.revision !== null) return headersOf(message);
    return this.#session === undefined || message.method === 'initialize'
      ? {}
      : { 'mcp-session-id': this.#session, 'mcp-protocol-version': this.#revision };
  }

  async #read({ status, messages }: Answer, { id, kind }: Message, heard: (bytes: Buffer) => void): Promise<void> {
    for await (const bytes of messages) {
      if (status < 300) heard(bytes);
      else if (kind === 'request') heard(Buffer.from(JSON.stringify(refusal(parsed(bytes), id, status))));
    }
  }

  /** The server, looked for once for all that wait for it. */
  #reach(): Promise<Target> {
    return (this.#target ??= this.#options.target());
  }

  #lose(target: Promise<Target>): void {
    if (this.#target === target) this.#target = undefined;
  }

  /** What the server says by itself, for clients of the older revision; opened again whenever it breaks. */
  async #listen(): Promise<void> {
    if (this.#listening || this.#session === undefined) return;
    this.#listening = true;
    const { signal } = this.#end;
    for (let broken = false; !signal.aborted; broken = true) {
      const target = this.#reach();
      try {
        if (broken) await this.#watchAgain(await target);
        const headers = { 'mcp-session-id': this.#session, 'mcp-protocol-version': this.#revision };
        const answer = await exchange(await target, this.#options.path, { method: 'GET', headers, signal });
        if (answer.status === 405) return;
        for await (const bytes of answer.messages) if (answer.status === 200) this.#pass(bytes);
      } catch (error) {
        if (signal.aborted || !(error instanceof Error)) return;
        this.#lose(target);
      }
      await this.#options.pause(reopenMs, signal);
    }
  }

  /** A server that was started since does not know what this client watches. */
  async #watchAgain(target: Target): Promise<void> {
    const { signal } = this.#end;
    for (const message of this.#watched.values()) {
      const body = JSON.stringify({ ...message.raw, id: `again ${String(message.id)}` });
      const sending = { method: 'POST' as const, headers: this.#headers(message), body, signal };
      const answer = await exchange(target, this.#options.path, sending);
      for await (const _ of answer.messages) continue;
    }
  }

  async #leave(): Promise<void> {
    if (this.#session === undefined || this.#target === undefined) return;
    const headers = { 'mcp-session-id': this.#session, 'mcp-protocol-version': this.#revision };
    const sending = { method: 'DELETE' as const, headers, signal: this.#end.signal };
    try {
      const answer = await exchange(await this.#target, this.#options.path, sending);
      for await (const _ of answer.messages) continue;
    } catch (error) {
      // A server that has gone has forgotten the session by itself.
      if (!(error instanceof Error)) throw error;
    }
  }

  #pass(bytes: Buffer): void {
    this.#options.write(bytes);
    this.#options.write('\n');
  }

  #tell(value: unknown): void {
    this.#options.write(`${JSON.stringify(value)}\n`);
  }
}

function reasonOf(error: unknown): string {
  const fix = error instanceof Error && 'fix' in error && typeof error.fix === 'string' ? ` ${error.fix}` : '';
  return `MAOS cannot be reached: ${error instanceof Error ? error.message : String(error)}${fix}`;
}

/** A refusal in the form of JSON-RPC: one of the server's own form (the token is wrong), or one that was made before the id was read. */
function refusal(value: unknown, id: Message['id'], status: number): unknown {
  if (isFields(value) && value['jsonrpc'] === '2.0') return { ...value, id };
  const error = isFields(value) && isFields(value['error']) ? value['error'] : {};
  const { message, fix } = error;
  if (typeof message !== 'string') return failure(id, -32603, `The server answered ${status}.`);
  return failure(id, -32603, typeof fix === 'string' ? `${message} ${fix}` : message, error);
}
