import type { Actor } from '../kernel/actor.ts';
import { AppError } from '../kernel/error.ts';
import { sameToken } from './token.ts';

/** The headers that the guard looks at, in lower case, as node:http gives them. */
export interface GuardedHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly authorization?: string | undefined;
  /** Browsers cannot set headers on a WebSocket: there the token comes as the subprotocol `bearer.<token>`. */
  readonly 'sec-websocket-protocol'?: string | undefined;
}

export interface GuardOptions {
  readonly token: string;
  /** The port that the server is bound to. */
  readonly port: number;
  /** Origins besides our own whose pages may call, for example a dashboard under development. */
  readonly origins?: readonly string[];
}

/** Decides who a request comes from. Pure: the same headers always give the same answer. */
export interface Guard {
  /** Refuses requests of other sites and for other names (DNS rebinding). */
  admit(headers: GuardedHeaders): void;
  /** `admit`, then the token. */
  authenticate(headers: GuardedHeaders): Actor;
}

const loopback = ['127.0.0.1', 'localhost', '[::1]'];
const localUser: Actor = { kind: 'user', id: 'local' };

/** The guard of a server on loopback. */
export function createGuard({ token, port, origins = [] }: GuardOptions): Guard {
  const hosts = new Set(loopback.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])));
  const allowed = new Set([...[...hosts].map((host) => `http://${host}`), ...origins]);

  const admit = ({ host, origin }: GuardedHeaders): void => {
    if (host === undefined || !hosts.has(host.toLowerCase())) {
      throw new AppError('forbidden', `This server is not "${shorten(host ?? '')}".`, {
        fix: `Call it as http://127.0.0.1:${port}.`,
      });
    }
    if (origin !== undefined && !allowed.has(origin.toLowerCase())) {
      throw new AppError('forbidden', `Pages of "${shorten(origin)}" may not call this server.`, {
        fix: 'Call it from a program, or from a page that this server gave.',
      });
    }
  };

  const authenticate = (headers: GuardedHeaders): Actor => {
    admit(headers);
    const given = bearer(headers);
    if (given !== undefined && sameToken(given, token)) return localUser;
    throw new AppError(
      'unauthenticated',
      given === undefined ? 'The request carries no token.' : 'The token is not the one of this server.',
      {
        fix: 'Send "Authorization: Bearer <token>"; the token is in the file "token" in MAOS_HOME.',
      },
    );
  };

  return { admit, authenticate };
}

function bearer(headers: GuardedHeaders): string | undefined {
  const direct = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  return direct ?? /(?:^|,)\s*bearer\.([^\s,]+)/.exec(headers['sec-websocket-protocol'] ?? '')?.[1];
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
