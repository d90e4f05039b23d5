import type { Cancel } from '../../kernel/clock.ts';

/**
 * One slow timer for everything that is watched: what a file watcher missed (a full inotify queue, a file system without
 * notifications) is seen a second later. It runs only while something is watched and never keeps the server alive.
 */
export class Pulse {
  readonly #beats = new Set<() => void>();
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  add(beat: () => void): Cancel {
    this.#beats.add(beat);
    this.#timer ??= setInterval(() => this.#run(), this.#everyMs).unref();
    return () => {
      this.#beats.delete(beat);
      if (this.#beats.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #run(): void {
    for (const beat of [...this.#beats]) beat();
  }
}
