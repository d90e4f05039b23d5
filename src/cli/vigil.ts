import { AppError } from '../kernel/error.ts';
import type { Shell } from './command.ts';
import type { Connection } from './connection.ts';

const between = 3_000;

/**
 * A client that follows connects again after a cut, for as long as it takes. When its server has gone, nothing would ever
 * come: two looks in a row that do not find it stop the following. Returns whether that happened.
 */
export function keepVigil({ clock, server }: Shell, connection: Connection, stop: AbortController): () => boolean {
  if (connection.embedded) return () => false;
  let missed = 0;
  let url: string | undefined;
  let cancel = (): void => undefined;
  const look = async (): Promise<void> => {
    // A file that is being written is as good as none.
    const running = await server.running().catch(() => undefined);
    url ??= running?.url;
    missed = running === undefined || running.url !== url ? missed + 1 : 0;
    if (missed >= 2) stop.abort();
    else plan();
  };
  const plan = (): void => {
    if (!stop.signal.aborted) cancel = clock.after(between, () => void look());
  };
  stop.signal.addEventListener('abort', () => cancel(), { once: true });
  plan();
  return () => missed >= 2;
}

/** What a follower is told then. */
export function serverGone(next: string): AppError {
  return new AppError('unavailable', 'The server has gone. Agents that work go on.', { fix: `Go on with: ${next}` });
}
