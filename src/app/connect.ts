import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connect, Connection, RunningServer, Wanted } from '../cli/connection.ts';
import { localCaller } from '../kernel/caller.ts';
import { systemClock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import { get, https } from '../kernel/http.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Operation, InputOf, OutputOf } from '../kernel/operation.ts';
import { tlsOptions, type Trust } from '../kernel/trust.ts';
import { homeFolder, placesIn } from './places.ts';
import type { Server } from './server.ts';

/** How long another short command may hold the log before the caller is told that it is taken. */
const patienceMs = 5_000;

/** The server that answers on this home folder, or undefined. A file that a killed server left is not believed. */
export async function findServer(home: string): Promise<RunningServer | undefined> {
  const file = placesIn(home).server;
  const found = existsSync(file) ? runningServer(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
  if (found === undefined || !isAlive(found.pid)) return undefined;
  return (await answers(found)) ? found : undefined;
}

/** Checked by hand: a short command that finds a server loads no library. */
function runningServer(data: unknown): RunningServer | undefined {
  if (typeof data !== 'object' || data === null || !('url' in data) || !('pid' in data)) return undefined;
  const { url, pid } = data;
  if (typeof url !== 'string' || typeof pid !== 'number') return undefined;
  const trust = 'trust' in data && typeof data.trust === 'string' ? data.trust : undefined;
  const name = 'name' in data && typeof data.name === 'string' ? data.name : undefined;
  return { url, pid, ...trustIn(trust, name) };
}

/** The certificate in a file, as something to trust; nothing without a file. */
function trustIn(file: string | undefined, name: string | undefined): { readonly trust?: Trust } {
  if (file === undefined || file === '' || !existsSync(file)) return {};
  const ca = readFileSync(file, 'utf8');
  return { trust: name === undefined || name === '' ? { ca } : { ca, name } };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function answers({ url, trust }: RunningServer): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (response: IncomingMessage): void => {
      response.resume();
      resolve(response.statusCode === 200);
    };
    const options = { timeout: 2_000, agent: false } as const;
    const request = url.startsWith('https:')
      ? https().get(`${url}/health`, { ...options, ...tlsOptions(trust) }, answer)
      : get(`${url}/health`, options, answer);
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

export interface ConnectOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

/** How the shell reaches MAOS: the server that runs, else one inside this process. */
export function connector({ environment, version }: ConnectOptions): Connect {
  return async ({ acts }) => {
    const home = homeFolder(environment);
    // An agent calls as itself, with what it was started with.
    const { MAOS_URL: url, MAOS_TOKEN: token } = environment;
    if (url !== undefined && token !== undefined)
      return remote({ url, ...trustIn(environment['MAOS_CA'], environment['MAOS_CA_NAME']) }, token);
    const until = systemClock.now() + patienceMs;
    for (;;) {
      const running = await findServer(home);
      if (running !== undefined) return remote(running, await localToken(home));
      try {
        const { startTogether } = await import('./together.ts');
        return embedded(await startTogether({ version, acts, listens: acts, environment }));
      } catch (error) {
        // Another short command may be at work: it is gone in a moment.
        const locked =
          error instanceof AppError && error.code === 'unavailable' && error.message.includes('Another MAOS');
        if (!locked || systemClock.now() > until) throw error;
        await delay(50);
      }
    }
  };
}

async function localToken(home: string): Promise<string> {
  const { readToken } = await import('../auth/token.ts');
  return readToken(placesIn(home).token);
}

async function remote({ url, trust }: Pick<RunningServer, 'url' | 'trust'>, token: string): Promise<Connection> {
  const { createClient } = await import('../gateway/client.ts');
  const client = createClient({ url, token, ...(trust === undefined ? {} : { trust }) });
  return {
    embedded: false,
    call: (operation, input, extras) =>
      client.call(operation, input, extras?.key === undefined ? {} : { key: extras.key }),
    follow: (after, wanted, signal) => client.follow({ after, filter: filterOf(wanted), signal }),
    close: async () => client.close(),
  };
}

function filterOf({ streams, types }: Wanted): { streams?: string[]; types?: string[] } {
  return {
    ...(streams === undefined ? {} : { streams: [...streams] }),
    ...(types === undefined ? {} : { types: [...types] }),
  };
}

async function embedded(server: Server): Promise<Connection> {
  const { matcher } = await import('../gateway/filter.ts');
  return {
    embedded: true,
    call: async <Op extends Operation>(
      operation: Op,
      input: InputOf<Op>,
      extras?: { readonly key?: string },
    ): Promise<OutputOf<Op>> => {
      const output = await server.registry.call(operation.name, input, {
        caller: localCaller,
        ...(extras?.key === undefined ? {} : { key: extras.key }),
      });
      // `Registry.call` has just parsed the output with this operation's schema.
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return output as OutputOf<Op>;
    },
    follow: (after, wanted, signal) => followEmbedded(server, after, matcher(filterOf(wanted)), signal),
    close: () => server.close(),
  };
}

async function* followEmbedded(
  server: Server,
  after: number,
  fits: (record: LogRecord) => boolean,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  for await (const record of server.engine.feed.follow({ after, signal })) if (fits(record)) yield record;
}
