import { watch, type FSWatcher } from 'node:fs';
import type { Cancel } from '../../kernel/clock.ts';
import type { Pulse } from './pulse.ts';

/** Called with the name of the file that changed, or null for "look at everything". */
export type FolderListener = (name: string | null) => void;

/** Tells when something in a session's folder changes. One watcher a session, whatever is waited for. */
export class FolderWatch {
  readonly #listeners = new Set<FolderListener>();
  readonly #stopBeat: Cancel;
  #watcher: FSWatcher | undefined;
  #closed = false;

  constructor(folder: string, pulse: Pulse) {
    this.#stopBeat = pulse.add(() => this.#tell(null));
    try {
      this.#watcher = watch(folder, (_kind, name) => this.#tell(name));
      this.#watcher.on('error', () => this.#unwatch());
    } catch {
      // Out of watches, or the folder is gone: the pulse alone has to do.
      this.#unwatch();
    }
  }

  listen(listener: FolderListener): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves as soon as `check` is true; it is asked now and after every change. Rejects when the watch is closed. */
  until(check: () => boolean): Promise<void> {
    if (check()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const cancel = this.listen(() => {
        const done = check();
        if (!done && !this.#closed) return;
        cancel();
        if (done) resolve();
        else reject(new Error('The session is no longer watched.'));
      });
    });
  }

  /** Has every listener look again. */
  wake(): void {
    this.#tell(null);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch();
    this.#stopBeat();
    this.#tell(null);
    this.#listeners.clear();
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #tell(name: string | null): void {
    for (const listener of [...this.#listeners]) listener(name);
  }
}
