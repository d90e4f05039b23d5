import { type Caller, localCaller } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import { sameToken } from './token.ts';

/** The headers that the guard looks at, in lower case, as node:http gives them. */
export interface GuardedHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly authorization?: string | undefined;
  /** Browsers cannot set headers on a WebSocket: there the token comes as the subprotocol `bearer.<token>`. */
  readonly 'sec-websocket-protocol'?: string | undefined;
}

/** Knows the credentials that were given out: `authenticator.ts`, and others beside it. */
export interface Credentials {
  /** Who a token stands for by now, where it counts for this path; undefined: nobody, and nothing tells why. */
  callerOf(token: string, path: string): Caller | undefined;
  /** The same caller by now; undefined once its credential has ended. */
  renew(caller: Caller): Caller | undefined;
  /** Whether a record may have changed an answer. */
  concerns(record: LogRecord): boolean;
}

export interface GuardOptions {
  /** The token of whoever owns the machine. */
  readonly token: string;
  /** Asked in this order for all other tokens. */
  readonly credentials?: readonly Credentials[];
  /** The port that the server is bound to. */
  readonly port: number;
  /** The server speaks TLS. */
  readonly secure?: boolean;
  /** Names and addresses by which the server may be called, besides those of loopback. */
  readonly names?: readonly string[];
  /** Origins besides our own whose pages may call, for example a dashboard under development. */
  readonly origins?: readonly string[];
}

/** Decides who a request comes from. */
export interface Guard {
  /** Refuses requests of other sites and for other names (DNS rebinding). */
  admit(headers: GuardedHeaders): void;
  /** `admit`, then the token. */
  authenticate(headers: GuardedHeaders, path: string): Caller;
  /** The same caller by now; refuses one whose credential has ended. */
  renew(caller: Caller): Caller;
  concerns(record: LogRecord): boolean;
}

const loopback = ['127.0.0.1', 'localhost', '[::1]'];

/** Where a server can be called: its port, whether it speaks TLS, and names besides those of loopback. */
export type Address = Pick<GuardOptions, 'port' | 'secure' | 'names'>;

/** By what it is called in the header Host. */
function hostsOf({ port, secure = false, names = [] }: Address): string[] {
  const usual = port === (secure ? 443 : 80);
  const called = [...loopback, ...names.map((name) => (name.includes(':') ? `[${name}]` : name).toLowerCase())];
  return called.flatMap((name) => (usual ? [name, `${name}:${port}`] : [`${name}:${port}`]));
}

/** The origins that are this server. */
export function originsOf(address: Address): string[] {
  return hostsOf(address).map((host) => originOf(host, address.secure));
}

/** The origin of a host that the guard has let pass, as everybody writes it: without the port that goes without saying. */
export function originOf(host: string, secure = false): string {
  return new URL(`${secure ? 'https' : 'http'}://${host}`).origin;
}

/** The guard of a server on loopback, or of one that goes by other names too. */
export function createGuard({
  token,
  port,
  origins = [],
  credentials = [],
  secure = false,
  names = [],
}: GuardOptions): Guard {
  const scheme = secure ? 'https' : 'http';
  const hosts = new Set(hostsOf({ port, secure, names }));
  const allowed = new Set([...[...hosts].map((host) => `${scheme}://${host}`), ...origins]);

  const admit = ({ host, origin }: GuardedHeaders): void => {
    if (host === undefined || !hosts.has(host.toLowerCase())) {
      throw new AppError('forbidden', `This server is not "${shorten(host ?? '')}".`, {
        fix: `Call it as ${scheme}://127.0.0.1:${port}.`,
      });
    }
    if (origin !== undefined && !allowed.has(origin.toLowerCase())) {
      throw new AppError('forbidden', `Pages of "${shorten(origin)}" may not call this server.`, {
        fix: 'Call it from a program, or from a page that this server gave.',
      });
    }
  };

  const authenticate = (headers: GuardedHeaders, path: string): Caller => {
    admit(headers);
    const given = bearer(headers);
    if (given !== undefined && sameToken(given, token)) return localCaller;
    const found = given === undefined ? undefined : first(credentials, (some) => some.callerOf(given, path));
    if (found !== undefined) return found;
    throw unauthenticated(
      given === undefined ? 'The request carries no token.' : 'The token is not one that this server knows.',
    );
  };

  const renew = (caller: Caller): Caller => {
    if (caller.credential === null) return caller;
    const found = first(credentials, (some) => some.renew(caller));
    if (found !== undefined) return found;
    throw unauthenticated('The credential has ended.');
  };

  return { admit, authenticate, renew, concerns: (record) => credentials.some((some) => some.concerns(record)) };
}

function first<Item, Found>(items: readonly Item[], find: (item: Item) => Found | undefined): Found | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function unauthenticated(message: string): AppError {
  return new AppError('unauthenticated', message, {
    fix: 'Send "Authorization: Bearer <token>": that of a login, a key, or the file "token" in MAOS_HOME.',
  });
}

function bearer(headers: GuardedHeaders): string | undefined {
  const direct = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  return direct ?? /(?:^|,)\s*bearer\.([^\s,]+)/.exec(headers['sec-websocket-protocol'] ?? '')?.[1];
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
