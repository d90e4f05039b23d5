import type { ServerResponse } from 'node:http';
import { originOf, originsOf, type Address } from '../auth/guard.ts';
import { oauthActions } from '../auth/oauth/actions.ts';
import type { Endpoints } from '../auth/oauth/endpoints.ts';
import { Grants } from '../auth/oauth/grants.ts';
import type { SigningKeys } from '../auth/oauth/keys.ts';
import { challenge, resourceMetadataPath, resourcePaths, serverMetadataPath } from '../auth/oauth/metadata.ts';
import type { Prover } from '../auth/prover.ts';
import type { ExtraRoute } from '../gateway/door.ts';
import type { GatewayOptions } from '../gateway/server.ts';
import { systemClock } from '../kernel/clock.ts';
import type { ErrorCode } from '../kernel/error.ts';
import type { Call, Handler, Reader } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import type { Keys } from '../kernel/seal.ts';

export interface OAuthOptions {
  readonly reader: Reader;
  readonly keys: () => Promise<Keys>;
  readonly prover: Prover;
  /** Calls as MAOS itself. */
  readonly call: Call;
  /** Told of every sign-in in the browser that failed. */
  readonly refused: (from: string, code: ErrorCode) => void;
  /** Documents of clients are read from private addresses too. */
  readonly innerClients: boolean;
}

/** Access that people give to programs in a browser. */
export interface OAuth {
  readonly handlers: readonly Handler[];
  readonly grants: Grants;
  readonly challenge: NonNullable<GatewayOptions['challenge']>;
  /** Tells where the server is called, once that is known. */
  serve(address: Address): void;
  readonly routes: readonly ExtraRoute[];
}

const gets = [
  ...['', ...resourcePaths].map((path) => `${resourceMetadataPath}${path}`),
  serverMetadataPath,
  '/oauth/jwks',
  '/oauth/authorize',
  '/oauth/sign-in',
  '/oauth/code',
  '/oauth/consent',
];
const posts = ['/oauth/register', '/oauth/token', '/oauth/revoke', '/oauth/sign-in', '/oauth/code', '/oauth/consent'];

/** Puts the parts of OAuth together. All but the check of tokens is loaded with the first request to it. */
export function makeOAuth(options: OAuthOptions): OAuth {
  const { reader, keys, prover, call, refused, innerClients } = options;
  const grants = new Grants({ reader, clock: systemClock });
  let secure = false;
  let signing: Promise<SigningKeys> | undefined;
  const signingKeys = (): Promise<SigningKeys> =>
    (signing ??= import('../auth/oauth/keys.ts').then(
      (loaded) => new loaded.SigningKeys({ reader, clock: systemClock, newId, keys, call }),
    ));
  let opened: Promise<Endpoints> | undefined;
  const open = async (): Promise<Endpoints> => {
    const loading = [import('../auth/oauth/endpoints.ts'), signingKeys(), import('node:dns/promises')] as const;
    const [loaded, signer, { lookup }] = await Promise.all(loading);
    const documents = { lookup: (host: string) => lookup(host, { all: true }), inner: innerClients };
    return new loaded.Endpoints({ reader, clock: systemClock, prover, call, refused, secure, keys: signer, documents });
  };
  const handle: ExtraRoute['handle'] = async (request, response: ServerResponse, caller) => {
    const endpoints = await (opened ??= open());
    const [path = ''] = (request.url ?? '').split('?', 1);
    const origin = originOf(request.headers.host ?? '', secure);
    await endpoints.handle(path, { request, response, origin, from: caller.credential ?? '' });
  };
  const route = (method: 'GET' | 'POST') => (path: string) => ({ method, path, open: true, handle }) as const;
  return {
    handlers: oauthActions(signingKeys),
    grants,
    challenge: ({ headers, url = '' }) =>
      challenge(originOf(headers.host ?? '', secure), url.split('?', 1)[0] ?? '', headers.authorization !== undefined),
    serve: (address) => {
      secure = address.secure === true;
      grants.serves(originsOf(address));
    },
    routes: [...gets.map(route('GET')), ...posts.map(route('POST'))],
  };
}
