/** Runs tasks with the same key one after the other, in the order of their calls; different keys run side by side. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Not re-entrant: a task that waits for another task of its own key waits for ever. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(task);
    // The next in line waits for the end of this one, whether it succeeds or fails.
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }

  /** How many keys are held or waited for. */
  get size(): number {
    return this.#tails.size;
  }
}
