import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';
import { roles } from './roles.ts';

const role = z.enum(roles).describe('What this may do: docs/permissions.md shows it.');
const team = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'Use lower-case letters, digits, dot, dash and underscore.');
const teams = z
  .array(team)
  .min(1)
  .max(50)
  .nullable()
  .describe('The teams whose things this may see; null: those of all teams.');
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'Use lower-case letters, digits, dot, dash and underscore.')
  .describe('The name to log in with; a name is never given twice.');
const password = z.string().min(10, 'Use at least 10 characters.').max(1_000).describe('The password.');
const code = z.string().min(6).max(40).describe('The six digits of the authenticator app, or a recovery code.');
const userId = z.string().min(1).max(120).describe('The user: name or id.');
const scope = z.string().regex(/^(?:\*|[a-z]+:(?:[a-z]+|\*))$/, 'Write task:read, task:* or *.');
const keyId = z.string().min(1).max(120).describe('The id of the key.');

/** Somebody who can log in. */
export const user = z.strictObject({
  id: z.string(),
  name: z.string(),
  role,
  teams,
  disabled: z.boolean(),
  secondFactor: z.boolean().describe('A login asks for a code as well.'),
  createdAt: z.int(),
});
export type User = z.output<typeof user>;

/** A person’s session, from a password to its end. */
export const login = z.strictObject({
  id: z.string(),
  user: z.string(),
  createdAt: z.int(),
  seenAt: z.int().describe('When it was last used, to within the hour.'),
  expiresAt: z.int(),
});
export type Login = z.output<typeof login>;

/** A key for a program. */
export const key = z.strictObject({
  id: z.string(),
  name: z.string(),
  owner: z.string().describe('Who made it: the key can never do more than they can.'),
  scopes: z.array(z.string()),
  teams: z.array(z.string()).nullable(),
  createdAt: z.int(),
  expiresAt: z.int().nullable(),
});
export type Key = z.output<typeof key>;

const hash = z.string().describe('SHA-256 of a token.');
const passwordHash = z.string().describe('Argon2id.');

/** The stream of each is the id of the user, the login, the key or the agent. No token, password or code is in them. */
export const authEvents = {
  userCreated: event('user.created', () => z.strictObject({ name: z.string(), role, teams, password: passwordHash })),
  userUpdated: event('user.updated', () => z.strictObject({ role, teams, disabled: z.boolean() })),
  userRemoved: event('user.removed', () => z.strictObject({})),
  passwordSet: event('user.password_set', () => z.strictObject({ password: passwordHash })),
  /** A second factor was begun; it counts once a code has shown that the app has it. */
  factorBegun: event('user.factor_begun', () => z.strictObject({ secret: z.string().describe('A sealed envelope.') })),
  factorConfirmed: event('user.factor_confirmed', () => z.strictObject({ step: z.int(), recovery: z.array(hash) })),
  factorRemoved: event('user.factor_removed', () => z.strictObject({})),
  /** A code was used: it and all earlier ones are spent. */
  codeUsed: event('user.code_used', () => z.strictObject({ step: z.int() })),
  recoveryUsed: event('user.recovery_used', () => z.strictObject({ hash })),
  loginCreated: event('login.created', () => z.strictObject({ user: z.string(), hash, expiresAt: z.int() })),
  loginSeen: event('login.seen', () => z.strictObject({})),
  loginEnded: event('login.ended', () => z.strictObject({})),
  keyCreated: event('key.created', () =>
    z.strictObject({
      name: z.string(),
      owner: z.string().nullable().describe('A user’s id; null: the owner of the machine.'),
      hash,
      scopes: z.array(scope),
      teams,
      expiresAt: z.int().nullable(),
    }),
  ),
  keyRevoked: event('key.revoked', () => z.strictObject({})),
  /** An agent’s session was given a token; it dies with the session. */
  tokenIssued: event('agent.token_issued', () =>
    z.strictObject({ generation: z.int(), hash, role, teams: z.array(z.string()).nullable() }),
  ),
};

const refusedLogin = 'The name, the password or the code is wrong, or the user is disabled: it is not told which.';

/** Users, as an administrator sees them. */
const userOps = {
  createUser: operation({
    name: 'user.create',
    summary: 'Creates a user who can log in with a password.',
    effect: 'write',
    scope: 'user:write',
    input: () => z.strictObject({ name, role: role.default('viewer'), teams: teams.default(null), password }),
    output: () => user,
    route: 'POST /users',
    positional: ['name'],
    secrets: ['password'],
    refusals: { conflict: 'There is, or was, a user of this name.' },
  }),
  listUsers: operation({
    name: 'user.list',
    summary: 'Lists the users.',
    effect: 'read',
    scope: 'user:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ users: z.array(user) }),
    route: 'GET /users',
  }),
  getUser: operation({
    name: 'user.get',
    summary: 'Shows a user.',
    effect: 'read',
    scope: 'user:read',
    input: () => z.strictObject({ user: userId }),
    output: () => user,
    route: 'GET /users/:user',
    positional: ['user'],
  }),
  updateUser: operation({
    name: 'user.update',
    summary:
      'Changes the role or the teams of a user, or disables them, which ends their logins and stops their keys at once.',
    effect: 'write',
    scope: 'user:write',
    input: () =>
      z.strictObject({
        user: userId,
        role: role.optional(),
        teams: teams.optional(),
        disabled: z.boolean().optional(),
      }),
    output: () => user,
    route: 'PATCH /users/:user',
    positional: ['user'],
    refusals: { conflict: 'They would take their own access away.' },
  }),
  resetPassword: operation({
    name: 'user.reset',
    summary: 'Gives a user a new password, which ends their logins.',
    effect: 'write',
    scope: 'user:write',
    input: () =>
      z.strictObject({
        user: userId,
        password,
        removeFactor: z.boolean().default(false).describe('Also take the second factor away, when the device is lost.'),
      }),
    output: () => user,
    route: 'POST /users/:user/reset',
    positional: ['user'],
    secrets: ['password'],
  }),
  removeUser: operation({
    name: 'user.remove',
    summary: 'Removes a user with their logins and keys; what they did stays in the log.',
    effect: 'destroy',
    scope: 'user:write',
    input: () => z.strictObject({ user: userId }),
    output: () => user,
    route: 'DELETE /users/:user',
    positional: ['user'],
    refusals: { conflict: 'They would take their own access away.' },
  }),
} as const;

/** What callers see and change of themselves. */
const accountOps = {
  account: operation({
    name: 'account.get',
    summary: 'Shows who the caller is and what it may do.',
    effect: 'read',
    scope: 'account:read',
    input: () => z.strictObject({}),
    output: () =>
      z.strictObject({
        actor: z.string(),
        scopes: z.array(z.string()),
        teams: z.array(z.string()).nullable(),
        credential: z.string().nullable(),
      }),
    route: 'GET /account',
  }),
  changePassword: operation({
    name: 'account.password',
    summary: 'Changes the caller’s password, which ends all their logins.',
    effect: 'write',
    scope: 'account:write',
    input: () =>
      z.strictObject({ current: z.string().min(1).max(1_000).describe('The password until now.'), password }),
    output: () => z.strictObject({}),
    route: 'POST /account/password',
    secrets: ['current', 'password'],
    refusals: {
      unauthenticated: 'The current password is wrong.',
      exhausted: 'Too many wrong ones; it says how long to wait.',
    },
  }),
  enrol: operation({
    name: 'account.enrol',
    summary:
      'Begins a second factor: gives a secret for an authenticator app. It counts once account.confirm has seen a code.',
    effect: 'write',
    scope: 'account:write',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ secret: z.string(), uri: z.string().describe('For a QR code.') }),
    route: 'POST /account/factor',
    secrets: ['secret', 'uri'],
    refusals: { conflict: 'There is one already.' },
  }),
  confirm: operation({
    name: 'account.confirm',
    summary: 'Confirms the second factor with a code of the app; shows ten recovery codes, once.',
    effect: 'write',
    scope: 'account:write',
    input: () => z.strictObject({ code }),
    output: () => z.strictObject({ recovery: z.array(z.string()) }),
    route: 'POST /account/factor/confirm',
    positional: ['code'],
    secrets: ['recovery'],
    refusals: { unauthenticated: 'The code is wrong.', conflict: 'No second factor was begun.' },
  }),
  unenrol: operation({
    name: 'account.unenrol',
    summary: 'Takes the second factor away; asks for the password and a code.',
    effect: 'write',
    scope: 'account:write',
    input: () => z.strictObject({ password: z.string().min(1).max(1_000).describe('The password.'), code }),
    output: () => z.strictObject({}),
    route: 'POST /account/factor/remove',
    positional: ['code'],
    secrets: ['password'],
    refusals: { unauthenticated: refusedLogin },
  }),
  createLogin: operation({
    name: 'login.create',
    summary:
      'Logs in with name and password, and with a code where the user has a second factor; the token is shown once.',
    effect: 'write',
    scope: 'login:write',
    input: () =>
      z.strictObject({
        name: z.string().min(1).max(120).describe('The name of the user.'),
        password: z.string().min(1).max(1_000).describe('The password.'),
        code: code.optional(),
      }),
    output: () => z.strictObject({ login, token: z.string() }),
    route: 'POST /logins',
    positional: ['name'],
    open: true,
    secrets: ['password', 'token'],
    refusals: { unauthenticated: refusedLogin, exhausted: 'Too many wrong attempts; it says how long to wait.' },
  }),
  listLogins: operation({
    name: 'login.list',
    summary: 'Lists the caller’s logins; an administrator sees those of all users.',
    effect: 'read',
    scope: 'login:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ logins: z.array(login) }),
    route: 'GET /logins',
  }),
  endLogin: operation({
    name: 'login.end',
    summary: 'Ends a login: its token is refused from then on. Without one: the login that this call came with.',
    effect: 'write',
    scope: 'login:write',
    input: () => z.strictObject({ login: z.string().min(1).max(120).optional().describe('The id of the login.') }),
    output: () => login,
    route: 'POST /logins/end',
    positional: ['login'],
  }),
} as const;

/** Keys for programs. */
const keyOps = {
  createKey: operation({
    name: 'key.create',
    summary: 'Makes a key for a program; it is shown once. It can do no more than whoever makes it, now and later.',
    effect: 'write',
    scope: 'key:write',
    input: () =>
      z.strictObject({
        name: z.string().min(1).max(80).describe('What it is for.'),
        role: role.optional(),
        scopes: z.array(scope).min(1).max(50).optional().describe('Instead of a role: exactly these.'),
        teams: teams.optional().describe('Default: those of its maker.'),
        expiresInDays: z.int().min(1).max(3_650).nullable().default(90).describe('null: never.'),
      }),
    output: () => z.strictObject({ key, token: z.string() }),
    route: 'POST /keys',
    positional: ['name'],
    secrets: ['token'],
    refusals: { forbidden: 'It would be able to do more than its maker, or its maker is not a person.' },
  }),
  listKeys: operation({
    name: 'key.list',
    summary: 'Lists the caller’s keys; an administrator sees all.',
    effect: 'read',
    scope: 'key:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ keys: z.array(key) }),
    route: 'GET /keys',
  }),
  revokeKey: operation({
    name: 'key.revoke',
    summary: 'Revokes a key: it is refused from then on, also on connections that are open.',
    effect: 'destroy',
    scope: 'key:write',
    input: () => z.strictObject({ key: keyId }),
    output: () => key,
    route: 'DELETE /keys/:key',
    positional: ['key'],
  }),
} as const;

const factor = z.strictObject({
  step: z.int().nullable().describe('The step of time of a code.'),
  recovery: hash.nullable().describe('Of a recovery code.'),
});

/** What the actions of this room report once passwords and codes were looked at. */
const reportOps = {
  recordUser: operation({
    name: 'user.record',
    summary: 'Records a user whose password was hashed.',
    effect: 'write',
    scope: 'user:write',
    input: () => z.strictObject({ name, role, teams, password: passwordHash }),
    output: () => user,
    route: 'POST /users/record',
    internal: true,
  }),
  recordPassword: operation({
    name: 'user.rekey',
    summary: 'Records a new password.',
    effect: 'write',
    scope: 'user:write',
    input: () =>
      z.strictObject({
        user: z.string(),
        /** The hash that was compared; null: an administrator sets it. */
        was: passwordHash.nullable(),
        password: passwordHash,
        removeFactor: z.boolean(),
      }),
    output: () => user,
    route: 'POST /users/rekey',
    internal: true,
  }),
  recordFactor: operation({
    name: 'user.factor',
    summary: 'Records a step in the life of a second factor.',
    effect: 'write',
    scope: 'user:write',
    input: () =>
      z.strictObject({
        user: z.string(),
        step: z.discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('begun'), secret: z.string() }),
          z.strictObject({ kind: z.literal('confirmed'), secret: z.string(), step: z.int(), recovery: z.array(hash) }),
          z.strictObject({ kind: z.literal('removed'), factor }),
        ]),
      }),
    output: () => user,
    route: 'POST /users/factor',
    internal: true,
  }),
  recordLogin: operation({
    name: 'login.record',
    summary: 'Records a login whose password and code were right; refuses when they no longer are.',
    effect: 'write',
    scope: 'login:write',
    input: () => z.strictObject({ user: z.string(), password: passwordHash, factor, hash, expiresAt: z.int() }),
    output: () => login,
    route: 'POST /logins/record',
    internal: true,
  }),
  touchLogin: operation({
    name: 'login.touch',
    summary: 'Records that a login is in use.',
    effect: 'write',
    scope: 'login:write',
    input: () => z.strictObject({ login: z.string() }),
    output: () => z.strictObject({}),
    route: 'POST /logins/touch',
    internal: true,
  }),
  closeLogin: operation({
    name: 'login.close',
    summary: 'Records the end of a login.',
    effect: 'write',
    scope: 'login:write',
    input: () => z.strictObject({ login: z.string(), user: z.string().nullable().describe('Only if it is theirs.') }),
    output: () => login,
    route: 'POST /logins/close',
    internal: true,
  }),
  closeKey: operation({
    name: 'key.close',
    summary: 'Records that a key was revoked.',
    effect: 'write',
    scope: 'key:write',
    input: () => z.strictObject({ key: z.string(), owner: z.string().nullable().describe('Only if it is theirs.') }),
    output: () => key,
    route: 'POST /keys/close',
    internal: true,
  }),
  recordKey: operation({
    name: 'key.record',
    summary: 'Records a key.',
    effect: 'write',
    scope: 'key:write',
    input: () => authEvents.keyCreated.schema,
    output: () => key,
    route: 'POST /keys/record',
    internal: true,
  }),
  issueToken: operation({
    name: 'token.issue',
    summary: 'Records the token of an agent’s session.',
    effect: 'write',
    scope: 'agent:run',
    input: () =>
      z.strictObject({
        agent: z.string(),
        generation: z.int(),
        hash,
        role,
        teams: z.array(z.string()).nullable(),
      }),
    output: () => z.strictObject({}),
    route: 'POST /tokens/issue',
    internal: true,
  }),
} as const;

/** What can be done with users, logins and keys. */
export const authOps = { ...userOps, ...accountOps, ...keyOps, ...reportOps } as const;
