import * as z from 'zod';
import { once } from '../../kernel/once.ts';
import { event } from '../../kernel/event.ts';
import { operation } from '../../kernel/operation.ts';
import { actionKinds, risks } from '../contract.ts';

const id = z.string().min(1).max(80);
const text = z.string().max(4_000);
const longText = z.string().max(300_000);

/** open: waits for answers. approved and denied: answered. expired: nobody answered in time, which counts as denied. */
export const approvalState = z.enum(['open', 'approved', 'denied', 'expired']);
export type ApprovalState = z.output<typeof approvalState>;

/** What somebody wants to do, as whoever answers has to see it. */
const what = once(() =>
  z.strictObject({
    kind: z.enum(actionKinds),
    tool: text.nullable().default(null).describe('The agent’s tool.'),
    argv: z.array(longText).nullable().default(null),
    command: longText.nullable().default(null).describe('A line for a shell.'),
    path: text.nullable().default(null),
    access: z.enum(['read', 'write', 'delete']).nullable().default(null),
    host: text.nullable().default(null),
    method: text.nullable().default(null),
    operation: text.nullable().default(null),
    cwd: text.nullable().default(null),
    workspace: text.nullable().default(null).describe('The top folder of the agent’s workspace.'),
    input: longText
      .nullable()
      .default(null)
      .describe('What the tool is called with, as JSON, where nothing else says it.'),
    diff: longText.nullable().default(null).describe('What it would change, where that is known.'),
  }),
);
export type What = z.output<ReturnType<typeof what>>;

/** Who has to agree. */
const needs = z.strictObject({
  person: z.boolean().describe('A person: always.'),
  agents: z.int().min(0).describe('So many agents, none of them the one that asks.'),
});
export type Needs = z.output<typeof needs>;

const asked = once(
  () =>
    ({
      subject: z.string().min(1).max(300).describe('What it is about; asked again, the same entry answers.'),
      actor: z.string().max(300).describe('Who wants to do it: agent:…, user:…, system:…'),
      agent: id.nullable().default(null),
      task: id.nullable().default(null),
      run: id.nullable().default(null),
      what: what(),
      rule: z.string().max(100).nullable().describe('The rule that asks.'),
      reason: text,
      risk: z.enum(risks),
      standing: z
        .boolean()
        .default(false)
        .describe('Whoever asks looks again, so a refusal can still be turned into an approval.'),
      team: z.string().max(100).nullable().default(null).describe('The team of whoever asks.'),
      hidden: text.nullable().default(null).describe('What of it is not shown; null: all of it is.'),
      key: z.string().max(200).nullable().default(null).describe('The idempotency key of the call that asks.'),
    }) as const,
);

/** An entry of the inbox. */
export const approval = once(() =>
  z.strictObject({
    id: z.string(),
    state: approvalState,
    actor: z.string(),
    agent: z.string().nullable(),
    task: z.string().nullable(),
    run: z.string().nullable(),
    what: what(),
    rule: z.string().nullable(),
    reason: z.string(),
    risk: z.enum(risks),
    needs,
    agreed: z.array(z.string()).describe('Who has agreed so far.'),
    since: z.int(),
    expiresAt: z.int().nullable(),
    answeredAt: z.int().nullable(),
    answer: z.string().nullable().describe('Why it was denied.'),
    always: z.boolean().describe('The same is not asked again.'),
    hidden: z.string().nullable().describe('What of it is not shown, so that nobody can say "always" to it.'),
    covers: z.string().describe('What an "always" is about.'),
  }),
);
export type Approval = z.output<ReturnType<typeof approval>>;

const requested = z.strictObject({ ...asked(), needs, expiresAt: z.int().nullable() });

/** The stream of each is the entry’s id. */
export const approvalEvents = {
  requested: event('approval.requested', () => requested),
  agreed: event('approval.agreed', () => z.strictObject({ always: z.boolean(), alone: z.boolean() })),
  approved: event('approval.approved', () => z.strictObject({ always: z.boolean() })),
  denied: event('approval.denied', () => z.strictObject({ reason: z.string() })),
  expired: event('approval.expired', () => z.strictObject({ reason: z.string() })),
  revoked: event('approval.revoked', () => z.strictObject({})),
  used: event('approval.used', () => z.strictObject({ key: z.string().nullable().default(null) })),
};

const some = z.array(id).min(1).max(200).describe('Ids, or the beginnings of some.');
const several = z.strictObject({ approvals: z.array(approval()) });
const answered = 'It was answered before.';

/** The inbox: what agents and runs may do only when somebody says so. */
export const approvalOps = {
  list: operation({
    name: 'approval.list',
    summary: 'Lists what waits for somebody’s approval, the riskiest and oldest first, then what was answered.',
    effect: 'read',
    scope: 'approval:read',
    input: () =>
      z.strictObject({
        state: z.array(approvalState).optional().describe('Default: all of them.'),
        agent: id.optional(),
        task: id.optional(),
        run: id.optional(),
        limit: z.int().min(1).max(1_000).default(100),
      }),
    output: () => several,
    route: 'GET /approvals',
  }),
  get: operation({
    name: 'approval.get',
    summary: 'Shows one request for approval: who, what, why, how risky, since when.',
    effect: 'read',
    scope: 'approval:read',
    input: () => z.strictObject({ approval: id }),
    output: () => approval(),
    route: 'GET /approvals/:approval',
    positional: ['approval'],
  }),
  approve: operation({
    name: 'approval.approve',
    summary: 'Agrees to one or more requests; each goes on as soon as all have agreed who must.',
    detail:
      'An agent can agree only where the rule asks for agents beside a person, and never to what it wants to do itself. Agreeing twice changes nothing.',
    effect: 'write',
    scope: 'approval:answer',
    input: () =>
      z.strictObject({
        approvals: some,
        always: z
          .boolean()
          .default(false)
          .describe('Never ask again for what the entry’s `covers` says. Only a person can say so.'),
        alone: z
          .boolean()
          .default(false)
          .describe('A person decides without the agents that should agree as well; it stays on record.'),
      }),
    output: () => several,
    route: 'POST /approvals/approve',
    positional: ['approvals'],
    refusals: {
      conflict: answered,
      forbidden: 'An agent answers where no rule asks agents, or for itself, or says what only a person can.',
    },
  }),
  deny: operation({
    name: 'approval.deny',
    summary: 'Refuses one or more requests; whoever asked is told why.',
    effect: 'write',
    scope: 'approval:answer',
    input: () =>
      z.strictObject({
        approvals: some,
        reason: z.string().min(1).max(2_000).default('Nobody wants this.').describe('Told to whoever asked.'),
      }),
    output: () => several,
    route: 'POST /approvals/deny',
    positional: ['approvals'],
    refusals: { conflict: answered, forbidden: 'An agent answers where no rule asks agents, or for itself.' },
  }),
  revoke: operation({
    name: 'approval.revoke',
    summary: 'Takes back an "always": the next time, it is asked again.',
    effect: 'write',
    scope: 'approval:answer',
    input: () => z.strictObject({ approval: id }),
    output: () => approval(),
    route: 'POST /approvals/:approval/revoke',
    positional: ['approval'],
  }),
  gate: operation({
    name: 'approval.gate',
    summary: 'Asks the rules about a tool call that an agent’s program is about to make, and waits for the answer.',
    detail:
      'Called by the hooks of agent programs. "wait" means: nobody has answered yet, call again. The same call asks once.',
    effect: 'write',
    scope: 'policy:read',
    input: () =>
      z.strictObject({
        tool: z.string().min(1).max(300).describe('The tool, by the name that the program gives it.'),
        input: z.record(z.string(), z.unknown()).default({}).describe('What the tool is called with.'),
        call: z.string().min(1).max(200).describe('The id of the call: the same for the same call.'),
        session: z.string().max(100).default('').describe('The conversation.'),
        cwd: text.optional(),
        workspace: text.optional().describe('The top folder, where the server does not know it.'),
        agent: id.optional().describe('Who calls, when the token is that of the machine’s owner.'),
        waitMs: z.int().min(0).max(60_000).default(0).describe('How long to wait for an answer.'),
      }),
    output: () =>
      z.strictObject({
        effect: z.enum(['allow', 'block', 'wait']),
        reason: z.string(),
        rule: z.string().nullable(),
        approval: z.string().nullable().describe('The entry of the inbox, when somebody was asked.'),
      }),
    route: 'POST /approvals/gate',
    refusals: {
      forbidden: 'It asks for an agent that it is not.',
      not_found: 'The agent does not exist.',
      exhausted: 'Too much of it waits already; answer some of that first.',
    },
  }),
  ask: operation({
    name: 'approval.ask',
    summary: 'Puts a request into the inbox, or finds the one that is there.',
    effect: 'write',
    scope: 'approval:answer',
    input: () =>
      z.strictObject({
        ...asked(),
        quorum: z.int().min(1).max(100).nullable().default(null),
        answerWithinMs: z.int().min(1).nullable().default(null),
        again: z.boolean().default(false).describe('What was refused may be asked anew after a while.'),
      }),
    output: () => approval(),
    route: 'POST /approvals/ask',
    refusals: { exhausted: 'Too much waits already.' },
    internal: true,
  }),
  use: operation({
    name: 'approval.use',
    summary: 'Uses up an approval that was given for one time: the same deed asks anew.',
    effect: 'write',
    scope: 'approval:answer',
    input: () =>
      z.strictObject({
        approval: id,
        key: asked().key,
      }),
    output: () => approval(),
    route: 'POST /approvals/:approval/use',
    refusals: { conflict: 'It is not approved, or was used before.' },
    internal: true,
  }),
  lapse: operation({
    name: 'approval.lapse',
    summary: 'Closes what an agent asked that has ended meanwhile.',
    effect: 'write',
    scope: 'approval:answer',
    input: () => z.strictObject({ agent: id, reason: z.string().max(500) }),
    output: () => several,
    route: 'POST /approvals/lapse',
    internal: true,
  }),
  tick: operation({
    name: 'approval.tick',
    summary: 'Closes what nobody answered in time, and tells when the next is due.',
    effect: 'write',
    scope: 'approval:answer',
    input: () => z.strictObject({}),
    output: () => z.strictObject({ expired: z.int(), nextAt: z.int().nullable() }),
    route: 'POST /approvals/tick',
    internal: true,
  }),
} as const;
