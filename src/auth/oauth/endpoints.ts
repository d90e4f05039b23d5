/** The endpoints of OAuth that programs call, and the table of all. Loaded with the first request to one of them. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../kernel/error.ts';
import type { Call, Reader } from '../../kernel/handler.ts';
import { sha256 } from '../../kernel/hash.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Browser, type BrowserOptions, need, refuse, type Visit } from './browser.ts';
import { registrationOf } from './client.ts';
import { challengeOf, newRefreshToken } from './codes.ts';
import { type Client, oauthOps, type Outcome } from './contract.ts';
import { Documents, type DocumentOptions, isDocument } from './document.ts';
import { type Fields, formOf, jsonOf, sendFault, sendJson } from './exchange.ts';
import { Fault } from './fault.ts';
import { readToken } from './jwt.ts';
import type { SigningKeys } from './keys.ts';
import { accessMs, refreshMs } from './lifetimes.ts';
import {
  resourceMetadata,
  resourceMetadataPath,
  resourceOf,
  resourcePaths,
  serverMetadata,
  serverMetadataPath,
} from './metadata.ts';
import { Quota } from './quota.ts';
import { clientBy, grantById, liveKey, refreshBy } from './views.ts';

export interface EndpointOptions extends Omit<BrowserOptions, 'client'> {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly call: Call;
  readonly keys: SigningKeys;
  readonly documents: Omit<DocumentOptions, 'clock'>;
}

/** New clients from one address in an hour. */
const registrations = 60;
/** Documents of clients that are called for, for one address in an hour. */
const fetches = 120;

export class Endpoints {
  readonly #options: EndpointOptions;
  readonly #browser: Browser;
  readonly #documents: Documents;
  readonly #registrations: Quota;
  readonly #fetches: Quota;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#documents = new Documents({ ...options.documents, clock: options.clock });
    this.#registrations = new Quota(options.clock, registrations);
    this.#fetches = new Quota(options.clock, fetches);
    this.#browser = new Browser({ ...options, client: (id, from) => this.#client(id, from) });
  }

  /** Answers one request; what it throws is a defect. */
  async handle(path: string, visit: Visit): Promise<void> {
    const { response } = visit;
    const page = /^\/oauth\/(authorize|sign-in|code|consent)$/.exec(path)?.[1];
    try {
      if (page === 'authorize') await this.#browser.authorize(visit);
      else if (page === 'sign-in' || page === 'code' || page === 'consent') await this.#browser.step(page, visit);
      else await this.#program(path, visit);
    } catch (error) {
      const fault = faultOf(error);
      if (page === undefined) sendFault(response, fault);
      else
        refuse(response, fault.status, {
          title: 'This app cannot be let in',
          message: fault.message,
          fix: 'Nothing was given away. Go back to the app, or tell its maker.',
        });
    }
  }

  async #program(path: string, { request, response, origin, from }: Visit): Promise<void> {
    switch (path) {
      case serverMetadataPath:
        return sendJson(response, 200, serverMetadata(origin));
      case '/oauth/jwks':
        await this.#options.keys.prepare();
        return sendJson(response, 200, this.#options.keys.jwks());
      case '/oauth/register':
        return sendJson(response, 201, await this.#register(await jsonOf(request), from));
      case '/oauth/token':
        if (request.headers.authorization !== undefined)
          throw new Fault('invalid_client', 'Clients here are public: send client_id in the form, and no secret.', 401);
        return sendJson(response, 200, await this.#token(await formOf(request), origin));
      case '/oauth/revoke':
        await this.#revoke(await formOf(request));
        return sendJson(response, 200, {});
      default: {
        const resource = path.slice(resourceMetadataPath.length);
        return sendJson(response, 200, resourceMetadata(origin, resource === '' ? resourcePaths[0] : resource));
      }
    }
  }

  /** RFC 7591. The answer says what the client is, not what it asked to be. */
  async #register(given: unknown, from: string): Promise<Record<string, unknown>> {
    const registration = registrationOf(given);
    this.#registrations.take(from);
    const { id, name, uri, redirectUris, createdAt } = await this.#options.call(oauthOps.register, registration);
    return {
      client_id: id,
      client_id_issued_at: Math.floor(createdAt / 1_000),
      client_name: name,
      ...(uri === null ? {} : { client_uri: uri }),
      redirect_uris: redirectUris,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  /** The client of an id. One with a document is what the document says now. */
  async #client(id: string, from: string): Promise<Client> {
    const { reader, clock, call } = this.#options;
    const known = clientBy(reader, id, clock.now());
    if (!isDocument(id)) {
      if (known === undefined || known.id !== id) throw unknownClient(401);
      return known;
    }
    // Every page of the web can send a browser here, and each document is a call of this server.
    if (!this.#documents.has(id)) this.#fetches.take(from);
    const registration = await this.#documents.get(id);
    if (known === undefined) this.#registrations.take(from);
    return call(oauthOps.register, registration);
  }

  async #token(form: Fields, origin: string): Promise<Record<string, unknown>> {
    const { reader, clock, call, keys } = this.#options;
    const kind = need(form, 'grant_type');
    const clientId = need(form, 'client_id');
    const client = clientBy(reader, clientId, clock.now());
    // By its public name: an id of ours is not one of a client that has a document.
    if (client === undefined || (client.document ?? client.id) !== clientId) throw unknownClient(401);
    const asked = form.get('resource');
    const resource = asked === undefined ? null : resourceOf(asked, origin);
    if (resource === undefined) throw new Fault('invalid_target', 'The resource is not one of this server.');
    await keys.prepare();
    const { token, hash } = newRefreshToken();
    const given = { client: client.id, resource, refresh: hash, refreshExpiresAt: clock.now() + refreshMs };
    let outcome: Outcome;
    if (kind === 'authorization_code') {
      const challenge = challengeOf(need(form, 'code_verifier'));
      if (challenge === undefined) throw new Fault('invalid_grant', 'The code_verifier is not one.');
      const code = sha256(need(form, 'code'));
      outcome = await call(oauthOps.exchange, {
        ...given,
        code,
        challenge,
        redirectUri: form.get('redirect_uri') ?? null,
      });
    } else if (kind === 'refresh_token') {
      outcome = await call(oauthOps.refresh, { ...given, was: sha256(need(form, 'refresh_token')) });
    } else throw new Fault('unsupported_grant_type', 'The grant_type is neither authorization_code nor refresh_token.');
    if ('refused' in outcome) throw new Fault(outcome.code, outcome.refused);
    const iat = Math.floor(clock.now() / 1_000);
    const scope = outcome.scope.join(' ');
    const accessToken = await keys.sign({
      iss: origin,
      aud: outcome.resource,
      sub: outcome.user,
      client_id: clientId,
      scope,
      grant: outcome.grant,
      iat,
      exp: iat + accessMs / 1_000,
      jti: randomUUID(),
    });
    return {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: accessMs / 1_000,
      refresh_token: token,
      scope,
    };
  }

  /** RFC 7009: with either token the whole grant ends. A token that is none of ours needs no answer of its own. */
  async #revoke(form: Fields): Promise<void> {
    const { reader, clock, call } = this.#options;
    const token = need(form, 'token');
    const now = clock.now();
    const read = readToken(token, (kid) => liveKey(reader, kid, now)?.public);
    const row = read === undefined ? refreshBy(reader, sha256(token)) : grantById(reader, read.claims.grant);
    if (row === undefined || row.ended_at !== null) return;
    const clientId = form.get('client_id');
    if (clientId !== undefined && clientBy(reader, clientId, now)?.id !== row.client)
      throw new Fault('invalid_grant', 'The token was given to another client.');
    await call(oauthOps.close, { grant: row.id, owner: null, reason: 'client' });
  }
}

function unknownClient(status: number): Fault {
  return new Fault('invalid_client', 'This client is not known here: it has to register first.', status);
}

function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (!(error instanceof AppError)) throw error;
  const wait = error.details?.['retryAfterMs'];
  const seconds = typeof wait === 'number' ? Math.ceil(wait / 1_000) : undefined;
  switch (error.code) {
    case 'exhausted':
      return new Fault('slow_down', error.message, 429, seconds);
    case 'unavailable':
      return new Fault('temporarily_unavailable', error.message, 503, seconds);
    case 'unauthenticated':
      return new Fault('access_denied', error.message, 401);
    default:
      return new Fault('invalid_request', error.message, 400);
  }
}
