import { close, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import type { FolderWatch } from './folder-watch.ts';

const readFd = promisify(read);
const closeFd = promisify(close);
const chunkSize = 64 * 1024;

/** A reader of a growing file. */
export interface Follower {
  stop(): void;
  readonly drained: Promise<void>;
}

/**
 * Reads `path` from `offset` on as it grows. One read at a time and one chunk in memory at a time, whatever the size of
 * the file: the next read begins when the consumer has returned. `ended` tells that nothing more will be written.
 */
export function followFile(
  path: string,
  offset: number,
  watch: FolderWatch,
  ended: Promise<unknown>,
  onChunk: (chunk: Buffer, endOffset: number) => void,
): Follower {
  const fd = openSync(path, 'r');
  const scratch = Buffer.allocUnsafeSlow(chunkSize);
  const drained = Promise.withResolvers<void>();
  let position = offset;
  let stopped = false;
  let changed = false;
  let pumping: Promise<void> | undefined;

  const readRest = async (): Promise<void> => {
    while (!stopped) {
      changed = false;
      const { bytesRead } = await readFd(fd, scratch, 0, chunkSize, position);
      if (stopped) return;
      if (bytesRead > 0) {
        position += bytesRead;
        onChunk(Buffer.from(scratch.subarray(0, bytesRead)), position);
      } else if (!changed) return;
    }
  };
  const pump = (): Promise<void> => {
    changed = true;
    pumping ??= readRest().finally(() => (pumping = undefined));
    return pumping;
  };
  const finish = async (): Promise<void> => {
    cancel();
    try {
      await pumping;
      if (!stopped) await pump();
    } finally {
      stopped = true;
      await closeFd(fd);
    }
  };
  const fail = (error: unknown): void => {
    stopped = true;
    drained.reject(error);
  };
  const cancel = watch.listen((name) => {
    if (name === null || name === 'stdout') pump().catch(fail);
  });
  // Whoever awaits it sees the failure; whoever does not must not bring the server down.
  drained.promise.catch(() => undefined);
  const stopping = Promise.withResolvers<void>();
  void Promise.race([ended, stopping.promise]).then(finish).then(drained.resolve, fail);
  pump().catch(fail);
  return {
    drained: drained.promise,
    stop: () => {
      stopped = true;
      stopping.resolve();
    },
  };
}
