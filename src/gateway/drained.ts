import type { ServerResponse } from 'node:http';

/** Resolves when a response takes more again, when its client has gone, or when `signal` is aborted. */
export function drained(response: ServerResponse, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
    signal?.addEventListener('abort', done, { once: true });
    if (response.destroyed || signal?.aborted === true) done();
  });
}
