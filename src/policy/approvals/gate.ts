/**
 * Stands before what agents and tasks do.
 *
 * G1  Nothing passes that the rules do not allow and nobody has approved.
 * G2  The same deed asks once: its subject finds the entry again, also after a restart.
 * G3  Whoever waits is answered at once by the server that hears the answer, and asks again when that one is gone.
 */
import { type Actor, actorName } from '../../kernel/actor.ts';
import { type Caller, localCaller } from '../../kernel/caller.ts';
import type { Clock } from '../../kernel/clock.ts';
import { AppError, notFound } from '../../kernel/error.ts';
import { action, type Call, type Handler, type Reactor } from '../../kernel/handler.ts';
import { canonicalJson } from '../../kernel/hash.ts';
import type { Mask } from '../../kernel/mask.ts';
import type { OutputOf, ParsedOf } from '../../kernel/operation.ts';
import type { Action, Decision } from '../contract.ts';
import { type Approval, approvalEvents, approvalOps, type What } from './contract.ts';
import { deedOf, diffOf, inputOf, longestDiff } from './tool.ts';

/** What a rule says about those who are asked. */
export interface Asking {
  readonly quorum: number | null;
  readonly answerWithinMs: number | null;
}

/** What MAOS knows of an agent that is about to do something. */
export interface Place {
  readonly workspace: string | null;
  readonly task: string | null;
  readonly run: string | null;
  readonly role: string | null;
  readonly team: string | null;
}

export interface GateOptions {
  readonly judge: (action: Action) => Decision | Promise<Decision>;
  readonly asking: (rule: string | null) => Asking;
  readonly placeOf: (agent: string) => Place | undefined;
  /** What hides secrets in what is asked: it is kept, and shown to others than those who know them. */
  readonly mask: () => Promise<Mask>;
  readonly clock: Clock;
}

/** For whom something is decided. */
export interface Errand {
  readonly subject: string;
  readonly agent?: string;
  readonly task?: string;
  readonly run?: string;
  readonly diff?: string | null;
  readonly input?: string | null;
  /** What of the deed is not shown. */
  readonly hidden?: string | null;
  readonly standing?: boolean;
  /** The idempotency key of the call: the same key gets the same answer. */
  readonly key?: string | undefined;
  /** What was refused may be asked anew after a while. */
  readonly again?: boolean;
}

/** `entry` is what somebody was asked; null when the rules alone have decided. */
export interface Verdict {
  readonly effect: 'allow' | 'block' | 'wait';
  readonly reason: string;
  readonly rule: string | null;
  readonly entry: Approval | null;
}

type Answer = OutputOf<typeof approvalOps.gate>;

export class Gate {
  readonly #options: GateOptions;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** What holds for a deed now; asks for an approval where the rules want one. */
  async decide(call: Call, deed: Action, errand: Errand): Promise<Verdict> {
    const decision = await this.#options.judge(deed);
    const { effect, rule, reason } = decision;
    return effect === 'ask' ? this.asked(call, deed, decision, errand) : { effect, rule, reason, entry: null };
  }

  /** What holds for a deed that the rules want somebody to be asked about. */
  async asked(
    call: Call,
    deed: Action,
    { rule, reason, risk }: Decision,
    errand: Errand,
  ): Promise<Verdict & { readonly entry: Approval }> {
    const { subject, agent, task, run, diff, input, hidden, standing, key, again } = errand;
    const mask = await this.#options.mask();
    const plain = whatOf(deed, diff ?? null, input ?? null);
    const what = mask.data(plain);
    const masked = canonicalJson(what) === canonicalJson(plain) ? null : 'secrets in it are not shown';
    const entry = await call(approvalOps.ask, {
      subject,
      actor: actorName(deed.actor),
      agent: agent ?? null,
      task: task ?? null,
      run: run ?? null,
      team: deed.team ?? null,
      what,
      hidden: hidden ?? masked,
      rule,
      reason: mask.text(reason),
      risk,
      standing: standing ?? false,
      key: key ?? null,
      again: again ?? false,
      ...this.#options.asking(rule),
    });
    return verdictOf(entry);
  }

  /** Resolves when an entry is answered, or after `ms`. */
  async answered(call: Call, approval: string, ms: number, signal: AbortSignal): Promise<Approval> {
    const woken = Promise.withResolvers<void>();
    const known = this.#waiting.get(approval) ?? new Set();
    this.#waiting.set(approval, known.add(woken.resolve));
    const cancel = this.#options.clock.after(ms, woken.resolve);
    signal.addEventListener('abort', () => woken.resolve(), { once: true });
    try {
      const entry = await call(approvalOps.get, { approval });
      if (entry.state !== 'open') return entry;
      await woken.promise;
      return await call(approvalOps.get, { approval });
    } finally {
      cancel();
      known.delete(woken.resolve);
      if (known.size === 0) this.#waiting.delete(approval);
    }
  }

  /** Wakes those who wait for an answer. */
  reactor(): Reactor {
    const { approved, denied, expired } = approvalEvents;
    return {
      name: 'approval-gate',
      types: [approved.type, denied.type, expired.type],
      react: async ({ stream }) => {
        for (const wake of this.#waiting.get(stream) ?? []) wake();
      },
    };
  }

  handlers(): readonly Handler[] {
    return [action(approvalOps.gate, (ctx, input) => this.#tool(ctx, input))];
  }

  async #tool(
    { caller, call, signal }: { readonly caller: Caller; readonly call: Call; readonly signal: AbortSignal },
    input: ParsedOf<typeof approvalOps.gate>,
  ): Promise<Answer> {
    const deed = this.#deed(caller, input);
    const agent = deed.actor.kind === 'agent' ? deed.actor.id : undefined;
    const place = agent === undefined ? undefined : this.#options.placeOf(agent);
    if (deed.actor.kind !== 'agent' && answers.test(input.tool)) return { ...ofPeople, approval: null };
    const diff = diffOf(input.tool, input.input);
    const more = inputOf(input.tool, input.input);
    const whole = more.whole && (diff?.length ?? 0) < longestDiff;
    const verdict = await this.decide(call, deed, {
      subject: `tool:${agent ?? actorName(deed.actor)}:${input.session}:${input.call}`,
      diff,
      input: more.input,
      hidden: whole ? null : 'the end of it is cut off',
      ...(agent === undefined ? {} : { agent }),
      ...given('task', place?.task),
      ...given('run', place?.run),
    });
    if (verdict.effect !== 'wait' || verdict.entry === null) return answerOf(verdict);
    return answerOf(verdictOf(await this.answered(call, verdict.entry.id, input.waitMs, signal)));
  }

  #deed(caller: Caller, input: ParsedOf<typeof approvalOps.gate>): Action {
    const { tool, agent, cwd } = input;
    const actor = this.#asker(caller, agent);
    const place = actor.kind === 'agent' ? this.#options.placeOf(actor.id) : undefined;
    // Where an agent works is known; it has no say in that.
    const workspace = place === undefined ? input.workspace : (place.workspace ?? undefined);
    return {
      ...deedOf(tool, input.input, cwd),
      tool,
      actor,
      at: this.#options.clock.now(),
      ...(cwd === undefined ? {} : { cwd }),
      ...(workspace === undefined ? {} : { workspace }),
      ...given('role', place?.role),
      ...given('team', place?.team),
    };
  }

  /** An agent's token says who it is. The owner of the machine may say for which agent a hook of theirs asks, and nobody else. */
  #asker({ actor, credential }: Caller, agent: string | undefined): Actor {
    if (agent === undefined || (actor.kind === 'agent' && actor.id === agent)) return actor;
    const owner = localCaller.actor;
    if (actor.kind !== owner.kind || actor.id !== owner.id || credential !== null)
      throw new AppError('forbidden', `${actorName(actor)} does not speak for ${agent}.`, {
        fix: 'Use the token of that agent’s session (MAOS_TOKEN), or leave "agent" out.',
      });
    if (this.#options.placeOf(agent) === undefined) throw notFound('agent', agent, 'maos agent list shows them.');
    return { kind: 'agent', id: agent };
  }
}

/** With these a model would answer in a person's name. */
const answers = /^mcp__.*maos.*__approval_(?:approve|deny|revoke)$/i;
const ofPeople = {
  effect: 'block',
  reason: 'A model answers no request for a person. Ask them to do it: maos inbox, maos approve ID.',
  rule: null,
} as const;

function given<Name extends string>(name: Name, value: string | null | undefined): { [Key in Name]?: string } {
  const none: { [Key in Name]?: string } = {};
  return value === null || value === undefined ? none : { ...none, [name]: value };
}

function whatOf(deed: Action, diff: string | null, input: string | null): What {
  const { kind, tool, argv, command, path, access, host, method, operation, cwd, workspace } = deed;
  return {
    kind,
    tool: tool ?? null,
    argv: argv === undefined ? null : [...argv],
    command: command ?? null,
    path: path ?? null,
    access: access ?? null,
    host: host ?? null,
    method: method ?? null,
    operation: operation ?? null,
    cwd: cwd ?? null,
    workspace: workspace ?? null,
    input,
    diff,
  };
}

function verdictOf(entry: Approval): Verdict & { readonly entry: Approval } {
  const { state, rule, id } = entry;
  const who = entry.agreed.join(', ');
  switch (state) {
    case 'open':
      return { effect: 'wait', rule, entry, reason: `${entry.reason}. It waits for an approval: maos approve ${id}` };
    case 'approved':
      return { effect: 'allow', rule, entry, reason: `Approved by ${who} (${id}).` };
    case 'denied':
    case 'expired':
      return { effect: 'block', rule, entry, reason: `Not approved (${id}): ${entry.answer ?? entry.reason}` };
  }
}

function answerOf({ effect, reason, rule, entry }: Verdict): Answer {
  return { effect, reason, rule, approval: entry?.id ?? null };
}
