import * as z from 'zod';
import { event } from '../../kernel/event.ts';
import { operation } from '../../kernel/operation.ts';
import { roles } from '../roles.ts';

const hash = z.string().describe('SHA-256 of a token or code.');
const scope = z.array(z.enum(roles)).min(1);
const grantId = z.string().min(1).max(120).describe('The id of the grant.');
const clientKey = z.string().min(1).max(120).describe('The id of the client.');

/** A program that people let act for them. */
export const client = z.strictObject({
  id: z.string(),
  name: z.string().describe('What it calls itself.'),
  uri: z.string().nullable(),
  document: z.string().nullable().describe('Where it is described (client ID metadata); null: it registered itself.'),
  redirectUris: z.array(z.string()),
  createdAt: z.int(),
  grants: z.int().describe('How many people’s access it has now.'),
});
export type Client = z.output<typeof client>;

/** What a user has let a client do. */
export const grant = z.strictObject({
  id: z.string(),
  user: z.string(),
  client: z.string(),
  clientName: z.string(),
  scope,
  resource: z.string().describe('The address for which its tokens count.'),
  createdAt: z.int(),
  usedAt: z.int().describe('When it was last given a token.'),
  expiresAt: z.int(),
});
export type Grant = z.output<typeof grant>;

const signingKey = z.strictObject({
  kid: z.string(),
  madeAt: z.int(),
  endsAt: z.int().nullable().describe('When tokens of this key count no more; null: it signs.'),
});
export type SigningKey = z.output<typeof signingKey>;

/** What was registered of a client, by itself or by its document. */
export const registration = z.strictObject({
  name: z.string(),
  uri: z.string().nullable(),
  document: z.string().nullable(),
  redirectUris: z.array(z.string()),
});
export type Registration = z.output<typeof registration>;

/** Why a grant ended. */
const reason = z.enum(['asked', 'client', 'code replayed', 'refresh token replayed', 'client removed']);

const granted = z.strictObject({
  client: z.string(),
  user: z.string().describe('The id of the user.'),
  scope,
  resource: z.string(),
  redirectUri: z.string(),
  code: hash,
  codeExpiresAt: z.int(),
  challenge: z.string(),
  expiresAt: z.int(),
});

const keyMade = z.strictObject({
  kid: z.string(),
  publicKey: z.string().describe('Ed25519, base64url.'),
  sealed: z.string().describe('The private half, in an envelope.'),
  /** When tokens of all earlier keys count no more. */
  othersEndAt: z.int(),
});

/** The stream is the id of the client or the grant; of keys it is `oauth`. No token, code or open private key is in them. */
export const oauthEvents = {
  registered: event('client.registered', () => registration),
  removed: event('client.removed', () => z.strictObject({})),
  granted: event('grant.created', () => granted),
  /** The code was exchanged for the first tokens. */
  exchanged: event('grant.exchanged', () => z.strictObject({ refresh: hash, refreshExpiresAt: z.int() })),
  refreshed: event('grant.refreshed', () => z.strictObject({ was: hash, refresh: hash, refreshExpiresAt: z.int() })),
  revoked: event('grant.revoked', () => z.strictObject({ reason })),
  keyMade: event('oauth.key_made', () => keyMade),
};

/** For people and administrators. */
const shownOps = {
  listGrants: operation({
    name: 'grant.list',
    summary: 'Lists the programs that the caller has given access by OAuth; an administrator sees those of all users.',
    effect: 'read',
    scope: 'grant:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ grants: z.array(grant) }),
    route: 'GET /grants',
  }),
  revokeGrant: operation({
    name: 'grant.revoke',
    summary: 'Ends the access of a program: its tokens are refused from then on, also on connections that are open.',
    effect: 'destroy',
    scope: 'grant:write',
    input: () => z.strictObject({ grant: grantId }),
    output: () => grant,
    route: 'DELETE /grants/:grant',
    positional: ['grant'],
  }),
  listClients: operation({
    name: 'client.list',
    summary: 'Lists the programs that are known as OAuth clients.',
    effect: 'read',
    scope: 'client:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ clients: z.array(client) }),
    route: 'GET /clients',
  }),
  removeClient: operation({
    name: 'client.remove',
    summary: 'Forgets an OAuth client and ends all access that people have given it. It may register again.',
    effect: 'destroy',
    scope: 'client:write',
    input: () => z.strictObject({ client: clientKey }),
    output: () => client,
    route: 'DELETE /clients/:client',
    positional: ['client'],
  }),
  rotate: operation({
    name: 'oauth.rotate',
    summary: 'Makes a new key to sign access tokens with; tokens of earlier keys count until they expire.',
    detail: 'With endNow they count no more at once: clients then get new ones with their refresh tokens.',
    effect: 'write',
    scope: 'oauth:rotate',
    input: () =>
      z.strictObject({
        endNow: z.boolean().default(false).describe('Tokens of earlier keys are refused from now on.'),
      }),
    output: () => z.strictObject({ keys: z.array(signingKey) }),
    route: 'POST /oauth/rotate',
    refusals: { unavailable: 'The keys that seal it cannot be opened.' },
  }),
} as const;

const refusedGrant = z.strictObject({
  refused: z.string(),
  code: z.enum(['invalid_grant', 'invalid_target']),
});
const askedFor = z.string().nullable().describe('The resource that was named; null: none.');
const issue = z.strictObject({
  grant: z.string(),
  user: z.string(),
  scope,
  resource: z.string(),
});
/** What a token is made for; or why there is none. */
const outcome = z.union([issue, refusedGrant]);
export type Outcome = z.output<typeof outcome>;

/** What the endpoints report. Replays come to light in a command, so that of two at once one is the second. */
const reportOps = {
  register: operation({
    name: 'client.register',
    summary: 'Records a client.',
    effect: 'write',
    scope: 'client:write',
    input: () => registration,
    output: () => client,
    route: 'POST /clients/register',
    internal: true,
    refusals: { exhausted: 'There are too many clients.' },
  }),
  prove: operation({
    name: 'oauth.prove',
    summary: 'Uses up the code of a second factor at a sign-in whose password was right.',
    effect: 'write',
    scope: 'grant:write',
    input: () =>
      z.strictObject({
        user: z.string(),
        password: z.string().describe('Argon2id.'),
        factor: z.strictObject({ step: z.int().nullable(), recovery: hash.nullable() }),
      }),
    output: () => z.strictObject({}),
    route: 'POST /oauth/prove',
    internal: true,
  }),
  record: operation({
    name: 'grant.record',
    summary: 'Records that a user lets a client act for them, and the code that says so.',
    effect: 'write',
    scope: 'grant:write',
    input: () =>
      granted.extend({
        password: z
          .string()
          .describe('Argon2id; the grant is refused when the password was changed since the sign-in.'),
      }),
    output: () => z.strictObject({ grant: z.string() }),
    route: 'POST /grants/record',
    internal: true,
  }),
  exchange: operation({
    name: 'grant.exchange',
    summary: 'Exchanges a code for the first tokens. A code that comes again ends the grant.',
    effect: 'write',
    scope: 'grant:write',
    input: () =>
      z.strictObject({
        code: hash,
        client: z.string(),
        redirectUri: z.string().nullable(),
        resource: askedFor,
        challenge: z.string().describe('Of the verifier that came with the code.'),
        refresh: hash,
        refreshExpiresAt: z.int(),
      }),
    output: () => outcome,
    route: 'POST /grants/exchange',
    internal: true,
  }),
  refresh: operation({
    name: 'grant.refresh',
    summary: 'Exchanges a refresh token for new tokens. One that comes again ends the grant.',
    effect: 'write',
    scope: 'grant:write',
    input: () =>
      z.strictObject({
        was: hash,
        client: z.string(),
        resource: askedFor,
        refresh: hash,
        refreshExpiresAt: z.int(),
      }),
    output: () => outcome,
    route: 'POST /grants/refresh',
    internal: true,
  }),
  close: operation({
    name: 'grant.close',
    summary: 'Records the end of a grant.',
    effect: 'write',
    scope: 'grant:write',
    input: () =>
      z.strictObject({
        grant: z.string(),
        owner: z.string().nullable().describe('Only if it is theirs.'),
        reason,
      }),
    output: () => grant,
    route: 'POST /grants/close',
    internal: true,
  }),
  recordKey: operation({
    name: 'oauth.record',
    summary: 'Records a signing key.',
    effect: 'write',
    scope: 'oauth:rotate',
    input: () =>
      keyMade.extend({
        was: z.string().nullable().describe('The key that signed until now; refused when it is another one.'),
      }),
    output: () => z.strictObject({ keys: z.array(signingKey) }),
    route: 'POST /oauth/record',
    internal: true,
  }),
} as const;

/** What can be done with clients, grants and signing keys. */
export const oauthOps = { ...shownOps, ...reportOps } as const;
