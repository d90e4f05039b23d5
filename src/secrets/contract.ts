import * as z from 'zod';
import { event } from '../kernel/event.ts';
import { operation } from '../kernel/operation.ts';

/** How long a value may be; a private key or a certificate chain fits. */
const longestValue = 64 * 1024;

const secretName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,99}$/, 'Is not a name: a letter, then letters, digits, _ . or -.')
  .describe('The name of the secret.');

const secretText = secretName.describe('The secret: its name, or its id.');

const team = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'Use lower-case letters, digits, dot, dash and underscore.');
const ofTeam = team
  .nullable()
  .describe('Whose it is: only what is done for this team is given it. null: for what belongs to no team.');

/** What may be known of a secret: everything but its value. */
export const secret = z.strictObject({
  id: z.string(),
  name: z.string(),
  team: ofTeam,
  shared: z.array(z.string()).describe('Further teams that are given it.'),
  from: z.string().nullable().describe('The variable of the server that holds its value; null: MAOS keeps the value.'),
  setAt: z.int().describe('When it was last given a value.'),
  setBy: z.string().describe('Who gave it that value.'),
  values: z.int().describe('How many values it has had.'),
  usedAt: z.int().nullable().describe('When a session was last given it.'),
});
export type Secret = z.output<typeof secret>;

const keyring = z.strictObject({
  kind: z.enum(['file', 'passphrase', 'keyring']).describe('How the master key is kept.'),
  keys: z
    .array(z.strictObject({ id: z.string(), at: z.int() }))
    .describe('The data keys; the last one closes what is sealed from now on.'),
});

const session = {
  agent: z.string().describe('The id of the agent.'),
  generation: z.int().min(1),
} as const;

/** The stream is the secret’s id, but for `keyed`: there it is the agent’s. Values are in the log only in envelopes. */
export const secretEvents = {
  /** Records of an older MAOS say nothing of a team. */
  set: event('secret.set', () => z.strictObject({ name: z.string(), sealed: z.string(), team: ofTeam.optional() })),
  linked: event('secret.linked', () => z.strictObject({ name: z.string(), variable: z.string(), team: ofTeam })),
  shared: event('secret.shared', () => z.strictObject({ with: z.array(z.string()) })),
  removed: event('secret.removed', () => z.strictObject({})),
  used: event('secret.used', () => z.strictObject({ session: z.string() })),
  keyed: event('session.keyed', () => z.strictObject({ generation: z.int(), publicKey: z.string() })),
};

const used = {
  names: z.array(secretName).min(1),
  session: z.string(),
  team: ofTeam.describe('Of the session: it is given secrets of its team, and those that are shared with it.'),
} as const;

/** What can be done with secrets. No operation that a person or an agent can call gives a value back. */
export const secretOps = {
  set: operation({
    name: 'secret.set',
    summary: 'Gives a secret a value; the shell reads it from its standard input.',
    detail:
      'The value is sealed before it is written anywhere. Sessions that run keep the value that they were given; earlier values stay known for hiding them in what is shown.',
    effect: 'write',
    scope: 'secret:write',
    input: () =>
      z.strictObject({
        name: secretName,
        value: z
          .string()
          .min(1)
          .max(longestValue)
          .refine((value) => !value.includes('\0'), 'Holds a zero byte.')
          .describe('The value.'),
        team: ofTeam.optional(),
      }),
    output: () => secret,
    route: 'PUT /secrets/:name',
    positional: ['name'],
    secrets: ['value'],
    refusals: { unavailable: 'The keys cannot be opened.' },
  }),
  link: operation({
    name: 'secret.link',
    summary:
      'Makes a secret of a variable of the server’s environment: its value is read there when a session is started.',
    detail:
      'Only for callers that are bound to no team, because the environment of the server is nobody’s. A team whose secret it is needs no right to it.',
    effect: 'write',
    scope: 'secret:write',
    input: () =>
      z.strictObject({
        name: secretName,
        variable: z
          .string()
          .regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, 'Is not the name of a variable.')
          .refine((name) => !name.startsWith('MAOS_'), 'Is a variable of MAOS itself.')
          .describe('Its name in the environment of the server.'),
        team: ofTeam.optional(),
      }),
    output: () => secret,
    route: 'POST /secrets/:name/link',
    positional: ['name', 'variable'],
  }),
  share: operation({
    name: 'secret.share',
    summary: 'Says which other teams are given a secret as well; what they were given before they keep.',
    effect: 'write',
    scope: 'secret:write',
    input: () =>
      z.strictObject({
        name: secretText,
        with: z.array(team).max(100).describe('All of them; none: nobody else is given it any more.'),
      }),
    output: () => secret,
    route: 'POST /secrets/:name/share',
    positional: ['name'],
    refusals: { not_found: 'There is no secret of this name.', conflict: 'Secrets of several teams have this name.' },
  }),
  list: operation({
    name: 'secret.list',
    summary: 'Lists the secrets: their names, when and by whom they were set. Never a value.',
    effect: 'read',
    scope: 'secret:read',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ secrets: z.array(secret) }),
    route: 'GET /secrets',
  }),
  remove: operation({
    name: 'secret.remove',
    summary: 'Forgets a secret: no session is given it any more.',
    detail: 'Its sealed values stay in the log, which is never changed. End the credential itself where it was issued.',
    effect: 'destroy',
    scope: 'secret:write',
    input: () => z.strictObject({ name: secretText }),
    output: () => secret,
    route: 'DELETE /secrets/:name',
    positional: ['name'],
    refusals: { not_found: 'There is no secret of this name.', conflict: 'Secrets of several teams have this name.' },
  }),
  rotate: operation({
    name: 'secret.rotate',
    summary: 'Makes a new master key and a new data key; what was sealed before stays readable.',
    detail:
      'With keep, the master key is kept in another way from now on. A kill at any moment leaves the old keys or the new ones.',
    effect: 'write',
    scope: 'secret:rotate',
    input: () =>
      z.strictObject({
        keep: z.enum(['file', 'keyring']).optional().describe('How the new master key is kept. Default: as before.'),
      }),
    output: () => keyring,
    route: 'POST /secrets/rotate',
    refusals: { unavailable: 'The keys cannot be opened, or the keyring of the system cannot be used.' },
  }),
  protect: operation({
    name: 'secret.protect',
    summary: 'As rotate, and closes the keys with a passphrase from now on, which the shell asks for.',
    detail:
      'No key is kept on the disk then: each later start of the server needs the passphrase, in the file that MAOS_PASSPHRASE_FILE names or in MAOS_PASSPHRASE.',
    effect: 'write',
    scope: 'secret:rotate',
    input: () => z.strictObject({ passphrase: z.string().min(8).max(1_000).describe('The new passphrase.') }),
    output: () => keyring,
    route: 'POST /secrets/protect',
    secrets: ['passphrase'],
    refusals: { unavailable: 'The keys cannot be opened.' },
  }),
  keys: operation({
    name: 'secret.keys',
    summary: 'Tells how the master key is kept and how old the data keys are.',
    effect: 'read',
    scope: 'secret:read',
    input: () => z.strictObject({}),
    output: () => keyring,
    route: 'GET /secrets/keys',
  }),
  record: operation({
    name: 'secret.record',
    summary: 'Records a sealed value.',
    effect: 'write',
    scope: 'secret:write',
    input: () => z.strictObject({ id: z.string(), name: secretName, sealed: z.string(), team: ofTeam.default(null) }),
    output: () => secret,
    route: 'POST /secrets/record',
    internal: true,
    refusals: { conflict: 'The name was given to another secret meanwhile.' },
  }),
  reveal: operation({
    name: 'secret.reveal',
    summary: 'Gives the values of secrets to a session that is being started, and records that it was given them.',
    effect: 'write',
    scope: 'secret:reveal',
    input: () => z.strictObject(used),
    output: () => z.strictObject({ values: z.record(z.string(), z.string()) }),
    route: 'POST /secrets/reveal',
    secrets: ['values'],
    internal: true,
    refusals: { not_found: 'There is no secret of one of the names.' },
  }),
  use: operation({
    name: 'secret.use',
    summary: 'Records that a session is given secrets; refuses a name that is not there.',
    effect: 'write',
    scope: 'secret:reveal',
    input: () => z.strictObject(used),
    output: () => z.strictObject({}),
    route: 'POST /secrets/use',
    internal: true,
    refusals: { not_found: 'There is no secret of one of the names.' },
  }),
  recordSigner: operation({
    name: 'signer.record',
    summary: 'Records the public half of the key that a session signs with.',
    effect: 'write',
    scope: 'agent:write',
    input: () => z.strictObject({ ...session, publicKey: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }),
    output: () => z.strictObject({}),
    route: 'POST /signers',
    internal: true,
  }),
  signer: operation({
    name: 'signer.get',
    summary: 'Shows the public half of the key that a session of an agent signs with (Ed25519, base64url).',
    effect: 'read',
    scope: 'agent:read',
    input: () => z.strictObject(session),
    output: () => z.strictObject({ signer: z.string(), publicKey: z.string(), at: z.int() }),
    route: 'GET /signers/:agent/:generation',
    positional: ['agent', 'generation'],
    refusals: { not_found: 'The session has no key.' },
  }),
} as const;
