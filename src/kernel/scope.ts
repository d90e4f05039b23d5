/** What a scope closes: called once, last registered first. */
export type Cleanup = () => void | Promise<void>;

/**
 * Owns what has to be undone: timers, watchers, children. Closing a scope aborts its signal and those of its children at
 * once, then runs its cleanups (closing a child is one of them) in reverse order, one after the other; every cleanup runs
 * even if another one throws. A child that was closed by itself is forgotten.
 */
export class Scope {
  readonly #controller = new AbortController();
  readonly #cleanups = new Set<Cleanup>();
  readonly #children = new Set<Scope>();
  #closing: Promise<void> | undefined;
  #finished = false;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get closed(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Registers a cleanup; on a scope that is being closed it is still waited for, on a closed one it runs at once. */
  defer(cleanup: Cleanup): void {
    if (this.#finished) void cleanup();
    else this.#cleanups.add(() => cleanup());
  }

  /** A scope that closes with this one. */
  child(): Scope {
    const child = new Scope();
    if (this.#finished) {
      void child.close();
      return child;
    }
    const close = (): Promise<void> => child.close();
    this.#cleanups.add(close);
    this.#children.add(child);
    child.#forget = () => {
      this.#cleanups.delete(close);
      this.#children.delete(child);
    };
    if (this.closed) child.#abort();
    return child;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #forget = (): void => {};

  #abort(): void {
    this.#controller.abort();
    for (const child of this.#children) child.#abort();
  }

  async #close(): Promise<void> {
    this.#abort();
    const errors: unknown[] = [];
    for (let next = this.#takeLast(); next !== undefined; next = this.#takeLast()) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#finished = true;
    this.#forget();
    if (errors.length > 0) throw new AggregateError(errors, 'A scope did not close cleanly.');
  }

  #takeLast(): Cleanup | undefined {
    const last = [...this.#cleanups].at(-1);
    if (last !== undefined) this.#cleanups.delete(last);
    return last;
  }
}
