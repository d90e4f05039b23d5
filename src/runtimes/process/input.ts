import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { conflict } from '../../kernel/error.ts';
import type { FolderWatch } from './folder-watch.ts';
import type { SessionFiles } from './wrapper.ts';

/** Opens a FIFO for writing without ever waiting; undefined when nobody reads it. */
function openFifo(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/** Whether the wrapper's helper has passed on the whole first input (it empties the file when it has). */
function firstDelivered(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}

/**
 * The write end of a session's stdin. Messages go out whole and in order; a pipe that is full is waited for by the
 * event loop, never by blocking it. Nothing stays open between two messages.
 */
export class SessionInput {
  readonly #files: SessionFiles;
  readonly #watch: FolderWatch;
  #queue: Promise<unknown> = Promise.resolve();
  #closed: string | undefined;
  #abandoned = false;
  #active: Socket | undefined;

  constructor(files: SessionFiles, watch: FolderWatch) {
    this.#files = files;
    this.#watch = watch;
  }

  write(text: string): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#refusal(this.#closed));
    const written = this.#queue.then(() => this.#send(text));
    this.#queue = written.catch(() => undefined);
    return written;
  }

  /** Lets the program see the end of its input, after all that was written before. */
  close(): void {
    this.#closed ??= 'its input was closed';
    this.#queue = this.#queue.then(() => {
      const hold = openFifo(this.#files.hold);
      if (hold === undefined) return;
      writeSync(hold, '\n');
      closeSync(hold);
    });
  }

  /** Gives up: writes that are under way are rejected. */
  abandon(why: string): void {
    this.#closed = why;
    this.#abandoned = true;
    this.#watch.wake();
    this.#active?.destroy(this.#refusal(why));
  }

  #refusal(why: string): Error {
    return conflict(`The message was not delivered: ${why}.`, {
      fix: 'Start the task again, or resume its conversation, and send the message there.',
    });
  }

  async #send(text: string): Promise<void> {
    await this.#watch.until(() => this.#abandoned || firstDelivered(this.#files.first));
    if (this.#abandoned) throw this.#refusal(this.#closed ?? 'the program has ended');
    const fd = openFifo(this.#files.stdin);
    if (fd === undefined) throw this.#refusal('the program takes no input, or has ended');
    const socket = new Socket({ fd, readable: false, writable: true });
    this.#active = socket;
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.write(text, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      throw this.#refusal(`the program no longer reads (${error instanceof Error ? error.message : String(error)})`);
    } finally {
      this.#active = undefined;
      socket.destroy();
    }
  }
}
