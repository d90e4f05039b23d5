import type { CommandCall, CommandResult, Pipeline } from './pipeline.ts';

/** How many commands share one transaction at most: bounds the time that one commit can take. */
const batchLimit = 1024;

interface Waiting {
  readonly call: CommandCall;
  readonly done: (result: CommandResult) => void;
}

/**
 * Collects calls and hands them to the pipeline together. While one batch is being committed the next one gathers, so
 * the number of fsyncs follows the disk and not the number of callers.
 */
export class GroupWriter {
  readonly #pipeline: Pipeline;
  #queue: Waiting[] = [];
  #scheduled = false;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  submit(call: CommandCall): Promise<CommandResult> {
    return new Promise((done) => this.enqueue(call, done));
  }

  /** As `submit`, for a caller that does not want a promise. */
  enqueue(call: CommandCall, done: (result: CommandResult) => void): void {
    this.#queue.push({ call, done });
    this.#schedule();
  }

  /** Carries out all that was submitted, now. */
  flush(): void {
    while (this.#queue.length > 0) this.#one();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#one();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #one(): void {
    const batch = this.#queue.slice(0, batchLimit);
    this.#queue = this.#queue.slice(batchLimit);
    const results = this.#pipeline.submit(batch.map(({ call }) => call));
    for (const [index, { done }] of batch.entries()) {
      const result = results[index];
      if (result !== undefined) done(result);
    }
  }
}
