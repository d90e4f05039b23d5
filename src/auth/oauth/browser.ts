/**
 * What a browser is led through: request of the client, sign-in, second factor, consent, answer. Until client and address are known to
 * belong together nothing is sent anywhere; after that every refusal goes to the client.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../kernel/error.ts';
import type { Call, Reader } from '../../kernel/handler.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Prover } from '../prover.ts';
import { hasFactor, type UserRow } from '../views.ts';
import { type Client, oauthOps } from './contract.ts';
import { newCode } from './codes.ts';
import { cookieOf, described, type Fields, formOf, queryOf, sendOn, sendPage } from './exchange.ts';
import { Fault } from './fault.ts';
import { type Asked, type Flow, Flows, same, type SignedIn } from './flows.ts';
import { codeMs, flowMs, grantMs } from './lifetimes.ts';
import { resourceOf } from './metadata.ts';
import { codePage } from './pages/code.ts';
import { consentPage } from './pages/consent.ts';
import { errorPage } from './pages/error.ts';
import { signInPage } from './pages/sign-in.ts';
import { pageHeaders } from './pages/style.ts';
import { isLoopback, redirectFits, redirectTo, shownRedirect } from './redirect.ts';
import { rolesIn, shownScopes } from './scopes.ts';

export interface BrowserOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly prover: Prover;
  /** Calls as MAOS itself. */
  readonly call: Call;
  /** Told of every sign-in that failed, and from where: for the audit. */
  readonly refused: (from: string, code: AppError['code']) => void;
  /** Cookies go over TLS only. */
  readonly secure: boolean;
  /** The client of an id, asked anew where it describes itself in a document. */
  readonly client: (id: string, from: string) => Promise<Client>;
}

/** One request, and where it comes from. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** How this server was called. */
  readonly origin: string;
  /** The address, as attempts are counted. */
  readonly from: string;
}

const longestState = 2_000;
const challengeShape = /^[A-Za-z0-9_-]{43}$/;

export class Browser {
  readonly #options: BrowserOptions;
  readonly #flows: Flows;

  constructor(options: BrowserOptions) {
    this.#options = options;
    this.#flows = new Flows(options.clock);
  }

  /** `GET /oauth/authorize` */
  async authorize(visit: Visit): Promise<void> {
    const { request, response, origin } = visit;
    if (this.#options.reader.get('SELECT 1 FROM user WHERE removed = 0 LIMIT 1') === undefined) {
      return refuse(response, 409, {
        title: 'Nobody can sign in yet',
        message:
          'This MAOS has no users: so far it knows the owner of the machine only, who comes in without a password.',
        fix: 'Make a user in a shell, then connect again: maos user create NAME --role coordinator',
      });
    }
    const query = queryOf(request);
    const client = await this.#options.client(need(query, 'client_id'), visit.from);
    const redirectUri = need(query, 'redirect_uri');
    if (!redirectFits(client.redirectUris, redirectUri))
      throw new Fault('invalid_request', 'The redirect_uri is not one that this app has registered.');
    const state = query.get('state');
    try {
      const asked = askedIn(query, { client, redirectUri, issuer: origin, state });
      const { flow, cookie } = this.#flows.begin(asked);
      sendOn(response, pathOf('sign-in', flow), { 'set-cookie': this.#cookie(flow, cookie) });
    } catch (error) {
      // Anybody registers any address, or describes it: without a person nobody is sent to one that is not of this machine (RFC 9700, 4.11.2).
      if (!(error instanceof Fault) || !isLoopback(redirectUri)) throw error;
      const answer = { error: error.code, error_description: described(error.message) };
      sendOn(response, redirectTo(redirectUri, { ...answer, state, iss: origin }));
    }
  }

  /** `GET` and `POST /oauth/sign-in`, `/oauth/code`, `/oauth/consent` */
  async step(step: 'sign-in' | 'code' | 'consent', visit: Visit): Promise<void> {
    const { request, response } = visit;
    const flow = this.#flowOf(request);
    if (flow === undefined) return over(response);
    const user = this.#user(flow);
    const due = user === undefined ? 'sign-in' : flow.signedIn?.done === true ? 'consent' : 'code';
    if (request.method !== 'POST')
      return due === step ? this.#show(step, flow, response, user) : sendOn(response, pathOf(due, flow));
    const form = await formOf(request);
    if (!same(form.get('csrf') ?? '', flow.csrf)) {
      return refuse(response, 403, {
        title: 'This form is not from here',
        message: 'What was sent did not come from a page of this server.',
        fix: 'Go back to the app and connect again.',
      });
    }
    if (due !== step) return sendOn(response, pathOf(due, flow));
    if (user === undefined) {
      const attempt = (): Promise<SignedIn> => this.#signIn(form, visit.from);
      return this.#attempt('sign-in', flow, response, visit.from, attempt, form.get('name'));
    }
    if (step === 'code') {
      const attempt = (): Promise<SignedIn> => this.#code(user, form, visit.from);
      return this.#attempt(step, flow, response, visit.from, attempt);
    }
    return this.#decide(flow, user, form, response);
  }

  #flowOf(request: IncomingMessage): Flow | undefined {
    const id = queryOf(request).get('flow') ?? '';
    return this.#flows.find(id, cookieOf(request, cookieName(id)));
  }

  /** One attempt to prove who one is; what was wrong is said on the page that asked. */
  async #attempt(
    step: 'sign-in' | 'code',
    flow: Flow,
    response: ServerResponse,
    from: string,
    attempt: () => Promise<SignedIn>,
    name?: string,
  ): Promise<void> {
    let signedIn: SignedIn;
    try {
      signedIn = await attempt();
    } catch (error) {
      if (!(error instanceof AppError) || (error.code !== 'unauthenticated' && error.code !== 'exhausted')) throw error;
      this.#options.refused(from, error.code);
      const many = error.code === 'exhausted';
      const problem = many
        ? `Too many attempts have failed. ${error.fix ?? ''}`.trim()
        : step === 'code'
          ? 'This code is wrong or was used before.'
          : 'The name or the password is wrong, or the user is disabled.';
      return this.#show(step, flow, response, undefined, {
        status: many ? 429 : 401,
        problem,
        ...(name === undefined ? {} : { name }),
      });
    }
    this.#goOn(flow, response, signedIn);
  }

  #goOn(flow: Flow, response: ServerResponse, signedIn: SignedIn | undefined): void {
    const { cookie } = this.#flows.signIn(flow, signedIn);
    sendOn(response, pathOf(signedIn === undefined ? 'sign-in' : signedIn.done ? 'consent' : 'code', flow), {
      'set-cookie': this.#cookie(flow, cookie),
    });
  }

  async #signIn(form: Fields, from: string): Promise<SignedIn> {
    const { reader, prover, call } = this.#options;
    const name = (form.get('name') ?? '').slice(0, 120);
    const row = await prover.password(
      { name, source: { key: from, known: false } },
      Prover.known(reader, name),
      (form.get('password') ?? '').slice(0, 1_000),
    );
    const done = !hasFactor(row);
    if (done)
      await call(oauthOps.prove, { user: row.id, password: row.password, factor: { step: null, recovery: null } });
    return { user: row.id, password: row.password, done };
  }

  async #code(row: UserRow, form: Fields, from: string): Promise<SignedIn> {
    const { reader, prover, call } = this.#options;
    const code = (form.get('code') ?? '').replaceAll(/\s/g, '').slice(0, 40);
    const factor = await prover.code(reader, { name: row.name, source: { key: from, known: false } }, row, code);
    await call(oauthOps.prove, { user: row.id, password: row.password, factor });
    return { user: row.id, password: row.password, done: true };
  }

  /** Whoever signed in to this flow, if nothing has changed since. */
  #user({ signedIn }: Flow): UserRow | undefined {
    if (signedIn === undefined) return undefined;
    const row = this.#options.reader.get<UserRow>('SELECT * FROM user WHERE id = ?', signedIn.user);
    const stands = row?.disabled === 0 && row.removed === 0 && row.password === signedIn.password;
    return stands ? row : undefined;
  }

  async #decide(flow: Flow, row: UserRow, form: Fields, response: ServerResponse): Promise<void> {
    const { client, redirectUri, state, issuer, challenge, scope, resource } = flow.asked;
    const decision = form.get('decision');
    if (decision === 'leave') return this.#goOn(flow, response, undefined);
    if (decision !== 'allow' && decision !== 'deny')
      throw new Fault('invalid_request', 'The form says neither allow nor deny.');
    // Of two answers to one question the first counts, also when both were on their way before either was there.
    if (!this.#flows.end(flow)) return over(response);
    const headers = { 'set-cookie': this.#cookie(flow, '') };
    if (decision === 'deny') {
      const answer = { error: 'access_denied', error_description: 'The user denied the access.' };
      return sendOn(response, redirectTo(redirectUri, { ...answer, state, iss: issuer }), headers);
    }
    const now = this.#options.clock.now();
    const { code, hash } = newCode();
    await this.#options.call(oauthOps.record, {
      client: client.id,
      user: row.id,
      password: row.password,
      scope: [...scope],
      resource,
      redirectUri,
      challenge,
      code: hash,
      codeExpiresAt: now + codeMs,
      expiresAt: now + grantMs,
    });
    sendOn(response, redirectTo(redirectUri, { code, state, iss: issuer }), headers);
  }

  #show(
    step: 'sign-in' | 'code' | 'consent',
    flow: Flow,
    response: ServerResponse,
    user: UserRow | undefined,
    { status = 200, ...more }: { status?: number; problem?: string; name?: string } = {},
  ): void {
    const { client, redirectUri, scope } = flow.asked;
    const shown = {
      client: { name: client.name, uri: client.uri, verified: client.document !== null },
      redirect: shownRedirect(redirectUri),
      action: pathOf(step, flow),
      csrf: flow.csrf,
    };
    const page =
      step === 'consent' && user !== undefined
        ? consentPage({ ...shown, user: user.name, scopes: shownScopes(scope, user.role) })
        : step === 'code'
          ? codePage({ ...shown, ...more })
          : signInPage({ ...shown, ...more });
    sendPage(response, status, page, pageHeaders(step === 'consent' ? redirectUri : undefined));
  }

  /** `value` left empty: the browser forgets it. */
  #cookie({ id }: Flow, value: string): string {
    const age = value === '' ? 0 : flowMs / 1_000;
    const secure = this.#options.secure ? '; Secure' : '';
    return `${cookieName(id)}=${value}; Path=/oauth; Max-Age=${age}; HttpOnly; SameSite=Lax${secure}`;
  }
}

function over(response: ServerResponse): void {
  refuse(response, 400, {
    title: 'This page is over',
    message: 'The request of the app has ended, or was begun in another browser.',
    fix: 'Go back to the app and connect again.',
  });
}

/** Says on a page of our own why nothing goes on. */
export function refuse(
  response: ServerResponse,
  status: number,
  said: { readonly title: string; readonly message: string; readonly fix?: string },
): void {
  sendPage(response, status, errorPage(said), pageHeaders());
}

function pathOf(step: string, { id }: Flow): string {
  return `/oauth/${step}?flow=${id}`;
}

/** Each flow has its own, so that two tabs do not disturb each other and none is taken over from an earlier visit. */
function cookieName(id: string): string {
  return `maos_flow_${id.slice(0, 12)}`;
}

export function need(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value === undefined) throw new Fault('invalid_request', `The parameter ${name} is missing.`);
  return value;
}

/** The rest of a request, once it is known where its answer goes. */
function askedIn(query: Fields, sure: Pick<Asked, 'client' | 'redirectUri' | 'issuer' | 'state'>): Asked {
  const { state = '', issuer } = sure;
  if (state.length > longestState)
    throw new Fault('invalid_request', `The state is longer than ${longestState} characters.`);
  if (query.get('response_type') !== 'code')
    throw new Fault('unsupported_response_type', 'The response_type is not code.');
  if ((query.get('response_mode') ?? 'query') !== 'query')
    throw new Fault('invalid_request', 'The response_mode is not query.');
  if (query.has('request') || query.has('request_uri'))
    throw new Fault('invalid_request', 'Requests as objects are not taken.');
  if (query.get('prompt') === 'none') throw new Fault('login_required', 'A person has to be asked.');
  const challenge = need(query, 'code_challenge');
  if (query.get('code_challenge_method') !== 'S256')
    throw new Fault('invalid_request', 'The code_challenge_method is not S256.');
  if (!challengeShape.test(challenge))
    throw new Fault('invalid_request', 'The code_challenge is not a SHA-256 in base64url.');
  const scope = rolesIn(query.get('scope'));
  if (scope === undefined) throw new Fault('invalid_scope', 'None of the scopes is one of this server.');
  const resource = resourceOf(query.get('resource'), issuer);
  if (resource === undefined) throw new Fault('invalid_target', 'The resource is not one of this server.');
  return { ...sure, challenge, scope, resource };
}
