import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The folders of one session. A host gives a folder up for good when it finds that nothing was started there (the server
 * died between the request and the start), so the next attempt of the same session has a folder of its own beside it:
 * `3`, `3.1`, `3.2`. At most one of them ever holds a process.
 */
function attemptFolder(folder: string, attempt: number): string {
  return attempt === 0 ? folder : `${folder}.${attempt}`;
}

/** The attempts that were made so far, in order. */
export function attempts(folder: string): string[] {
  const made: string[] = [];
  while (existsSync(attemptFolder(folder, made.length))) made.push(attemptFolder(folder, made.length));
  return made;
}

/** Where the session's output is: its newest attempt. */
export function currentAttempt(folder: string): string {
  return attempts(folder).at(-1) ?? folder;
}

/** A folder in which nothing was tried yet. */
export function nextAttempt(folder: string): string {
  return attemptFolder(folder, attempts(folder).length);
}

/**
 * Which records of the log were carried out on this session's process: a message or an interrupt, unlike a stop, is
 * not harmless when it is repeated after a crash.
 */
export class Handled {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, 'handled');
  }

  has(position: number): boolean {
    return existsSync(this.#path) && readFileSync(this.#path, 'utf8').split('\n').includes(String(position));
  }

  add(position: number): void {
    appendFileSync(this.#path, `${position}\n`, { mode: 0o600 });
  }
}
