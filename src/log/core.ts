/**
 * The thread that writes, and the main thread's handle on it. Calls, reactor positions and requests about the whole log
 * travel one way; results and the new head the other way.
 *
 * C1  Every call is answered once: with its result, or, when the core has died, with a refusal that says so.
 * C2  The head is told before the answers, so a caller that reads after its answer finds its own write in the feed.
 * C3  `close` lets what was submitted finish. Nothing that a caller sends can end the core.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import { AppError, errorData, type ErrorData, errorFrom } from '../kernel/error.ts';
import type { CommandCall, CommandResult, Pipeline } from './pipeline.ts';
import type { SqliteLog } from './sqlite.ts';
import { GroupWriter } from './writer.ts';

/** What is asked about the log as a whole. */
type Request = { readonly kind: 'snapshot'; readonly path: string } | { readonly kind: 'rebuild' };

type ToCore =
  | { readonly kind: 'calls'; readonly calls: readonly (readonly [number, CommandCall])[] }
  | { readonly kind: 'request'; readonly id: number; readonly request: Request }
  | { readonly kind: 'position'; readonly name: string; readonly position: number }
  | { readonly kind: 'close' };

type FromCore =
  | { readonly kind: 'results'; readonly results: readonly (readonly [number, CommandResult])[]; readonly head: number }
  | { readonly kind: 'ready'; readonly head: number; readonly rebuilt: readonly string[] }
  | { readonly kind: 'refused'; readonly error: ErrorData }
  | { readonly kind: 'closed' };

/** The core thread's side: serves the pipeline over the port until it is told to close. */
export function serveCore(port: MessagePort, pipeline: Pipeline, log: SqliteLog, rebuilt: readonly string[]): void {
  const server = new CoreServer(port, pipeline, log);
  port.on('message', (message: ToCore) => server.receive(message));
  const ready: FromCore = { kind: 'ready', head: log.head().position, rebuilt };
  port.postMessage(ready);
}

/** Instead of `serveCore`, when the log refused to open: the main thread's `connect` is rejected with this error. */
export function refuseCore(port: MessagePort, error: unknown): void {
  const refused: FromCore = { kind: 'refused', error: errorData(error) };
  port.postMessage(refused);
  port.close();
}

class CoreServer {
  readonly #port: MessagePort;
  readonly #pipeline: Pipeline;
  readonly #log: SqliteLog;
  readonly #writer: GroupWriter;
  #results: (readonly [number, CommandResult])[] = [];
  readonly #positions = new Map<string, number>();

  constructor(port: MessagePort, pipeline: Pipeline, log: SqliteLog) {
    this.#port = port;
    this.#pipeline = pipeline;
    this.#log = log;
    this.#writer = new GroupWriter(pipeline);
  }

  receive(message: ToCore): void {
    switch (message.kind) {
      case 'calls':
        for (const [id, call] of message.calls) this.#writer.enqueue(call, (result) => this.#answer(id, result));
        break;
      case 'request':
        // After all that was asked before it.
        this.#writer.flush();
        this.#answer(message.id, this.#carryOut(message.request));
        break;
      case 'position':
        if (this.#positions.size === 0) setImmediate(() => this.#savePositions());
        this.#positions.set(message.name, message.position);
        break;
      case 'close':
        this.#close();
        break;
    }
  }

  #carryOut(request: Request): CommandResult {
    try {
      const output = request.kind === 'rebuild' ? this.#pipeline.rebuild() : this.#log.snapshot(request.path);
      return { ok: true, output, position: this.#log.head().position };
    } catch (error) {
      return { ok: false, error: errorData(error) };
    }
  }

  /** The answers of one batch travel together. */
  #answer(id: number, result: CommandResult): void {
    if (this.#results.length === 0) queueMicrotask(() => this.#send());
    this.#results.push([id, result]);
  }

  #send(): void {
    const results = this.#results;
    this.#results = [];
    const head = this.#log.head().position;
    try {
      this.#port.postMessage({ kind: 'results', results, head } satisfies FromCore);
    } catch {
      // One of them cannot be sent to another thread (it holds a function, say); the others must not wait for it.
      for (const [id, result] of results)
        this.#port.postMessage({ kind: 'results', results: [[id, sendable(result)]], head } satisfies FromCore);
    }
  }

  /** A position that cannot be written (a full disk) is dropped: the next one stands for it. */
  #savePositions(): void {
    const positions = new Map(this.#positions);
    this.#positions.clear();
    if (positions.size === 0) return;
    try {
      this.#log.savePositions(positions);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }

  /** Answers are sent in microtasks, which run before the immediate. */
  #close(): void {
    this.#writer.flush();
    setImmediate(() => {
      this.#savePositions();
      this.#log.close();
      this.#port.postMessage({ kind: 'closed' } satisfies FromCore);
      this.#port.close();
    });
  }
}

function sendable(result: CommandResult): CommandResult {
  try {
    structuredClone(result);
    return result;
  } catch (error) {
    return {
      ok: false,
      error: {
        code: 'internal',
        message: `The call was carried out, but its result is not plain data: ${String(error)}`,
      },
    };
  }
}

/** What is given back by `CoreClient.connect`. */
export interface Connected {
  readonly client: CoreClient;
  readonly head: number;
  /** The views that were rebuilt at this start. */
  readonly rebuilt: readonly string[];
}

/** The main thread's side. Calls of one turn of the event loop travel together. */
export class CoreClient {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (result: CommandResult) => void>();
  readonly #onHead: (head: number) => void;
  readonly #stopped = Promise.withResolvers<AppError>();
  #outbox: (readonly [number, CommandCall])[] = [];
  #last = 0;
  #failure: AppError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(worker: Worker, onHead: (head: number) => void) {
    this.#worker = worker;
    this.#onHead = onHead;
  }

  /** Waits until the core has opened its log; its refusal to open is thrown here, with its code and its fix. */
  static connect(worker: Worker, onHead: (head: number) => void): Promise<Connected> {
    const client = new CoreClient(worker, onHead);
    return new Promise((resolve, reject) => {
      void client.stopped.then(reject);
      worker.on('message', (message: FromCore) => {
        if (message.kind === 'ready') resolve({ client, head: message.head, rebuilt: message.rebuilt });
        else client.#receive(message);
      });
      worker.on('messageerror', (error) => client.#fail(error));
      worker.on('error', (error) => client.#fail(error));
      worker.on('exit', (code) => client.#fail(new Error(`its thread ended with code ${code}`)));
    });
  }

  /** Resolves when the core has stopped, with what calls are refused with from then on. */
  get stopped(): Promise<AppError> {
    return this.#stopped.promise;
  }

  /** Answers with a refusal, never with a rejection, also when the core has stopped. */
  submit(call: CommandCall): Promise<CommandResult> {
    return this.#ask((id) => {
      this.#outbox.push([id, call]);
      if (this.#outbox.length === 1) setImmediate(() => this.#post());
    });
  }

  savePosition(name: string, position: number): void {
    this.#send({ kind: 'position', name, position });
  }

  snapshot(path: string): Promise<CommandResult> {
    return this.#request({ kind: 'snapshot', path });
  }

  /** Makes all views again from the log; its output is their names. Commands wait meanwhile. */
  rebuild(): Promise<CommandResult> {
    return this.#request({ kind: 'rebuild' });
  }

  /** Lets what was submitted finish, closes the log and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#post();
    this.#send({ kind: 'close' });
    await this.stopped;
    await this.#worker.terminate();
  }

  #request(request: Request): Promise<CommandResult> {
    return this.#ask((id) => {
      this.#post();
      this.#send({ kind: 'request', id, request });
    });
  }

  #ask(start: (id: number) => void): Promise<CommandResult> {
    if (this.#failure !== undefined) return Promise.resolve({ ok: false, error: errorData(this.#failure) });
    return new Promise((resolve) => {
      this.#last += 1;
      this.#waiting.set(this.#last, resolve);
      start(this.#last);
    });
  }

  #post(): void {
    if (this.#outbox.length === 0) return;
    const calls = this.#outbox;
    this.#outbox = [];
    try {
      this.#send({ kind: 'calls', calls });
    } catch (error) {
      // An input that is not plain data: only its own call is refused.
      if (calls.length === 1) for (const [id] of calls) this.#resolve(id, { ok: false, error: errorData(error) });
      else for (const call of calls) this.#postOne(call);
    }
  }

  #postOne(call: readonly [number, CommandCall]): void {
    this.#outbox = [call];
    this.#post();
  }

  #send(message: ToCore): void {
    this.#worker.postMessage(message);
  }

  #receive(message: Exclude<FromCore, { kind: 'ready' }>): void {
    switch (message.kind) {
      case 'results':
        this.#onHead(message.head);
        for (const [id, result] of message.results) this.#resolve(id, result);
        break;
      case 'refused':
        this.#fail(errorFrom(message.error));
        break;
      case 'closed':
        // At once: the end of the thread may be told in the same turn.
        this.#fail(new Error('the server is stopping'));
        break;
    }
  }

  #resolve(id: number, result: CommandResult): void {
    this.#waiting.get(id)?.(result);
    this.#waiting.delete(id);
  }

  /** From here on calls are refused; of those that were under way nobody knows how far they came. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const message = error instanceof Error ? error.message : String(error);
    const fix = 'Start the server again (maos up).';
    this.#failure =
      error instanceof AppError ? error : new AppError('unavailable', `The core has stopped: ${message}.`, { fix });
    const unknown = new AppError(
      'unavailable',
      `The core stopped before it answered (${message}): the call may have been carried out or not.`,
      {
        fix: `${fix} Then look whether it was carried out, or repeat it with the same idempotency key.`,
        details: { outcome: 'unknown' },
      },
    );
    for (const id of [...this.#waiting.keys()]) this.#resolve(id, { ok: false, error: errorData(unknown) });
    this.#stopped.resolve(this.#failure);
  }
}
