/**
 * Stands before what agents and tasks do.
 *
 * G1  Nothing passes that the rules do not allow and nobody has approved.
 * G2  The same deed asks once: its subject finds the entry again, also after a restart.
 * G3  Whoever waits is answered at once by the server that hears the answer, and asks again when that one is gone.
 */
import { actorName } from '../../kernel/actor.ts';
import type { Caller } from '../../kernel/caller.ts';
import type { Clock } from '../../kernel/clock.ts';
import { action, type Call, type Handler, type Reactor } from '../../kernel/handler.ts';
import type { OutputOf, ParsedOf } from '../../kernel/operation.ts';
import type { Action, Decision } from '../contract.ts';
import { type Approval, approvalEvents, approvalOps, type What } from './contract.ts';
import { deedOf, diffOf } from './tool.ts';

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
  readonly clock: Clock;
}

/** For whom something is decided. */
export interface Errand {
  readonly subject: string;
  readonly agent?: string;
  readonly task?: string;
  readonly run?: string;
  readonly diff?: string | null;
  readonly standing?: boolean;
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
    const { subject, agent, task, run, diff, standing } = errand;
    const entry = await call(approvalOps.ask, {
      subject,
      actor: actorName(deed.actor),
      agent: agent ?? null,
      task: task ?? null,
      run: run ?? null,
      what: whatOf(deed, diff ?? null),
      rule,
      reason,
      risk,
      standing: standing ?? false,
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
    const verdict = await this.decide(call, deed, {
      subject: `tool:${agent ?? actorName(deed.actor)}:${input.session}:${input.call}`,
      diff: diffOf(input.tool, input.input),
      ...(agent === undefined ? {} : { agent }),
      ...given('task', place?.task),
      ...given('run', place?.run),
    });
    if (verdict.effect !== 'wait' || verdict.entry === null) return answerOf(verdict);
    return answerOf(verdictOf(await this.answered(call, verdict.entry.id, input.waitMs, signal)));
  }

  /** An agent's token says who it is; without one, whoever has the person's own token says for whom it asks. */
  #deed({ actor: caller }: Caller, input: ParsedOf<typeof approvalOps.gate>): Action {
    const { tool, agent, cwd } = input;
    const actor = caller.kind === 'agent' || agent === undefined ? caller : ({ kind: 'agent', id: agent } as const);
    const place = actor.kind === 'agent' ? this.#options.placeOf(actor.id) : undefined;
    const workspace = place?.workspace ?? input.workspace;
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
}

function given<Name extends string>(name: Name, value: string | null | undefined): { [Key in Name]?: string } {
  const none: { [Key in Name]?: string } = {};
  return value === null || value === undefined ? none : { ...none, [name]: value };
}

function whatOf(deed: Action, diff: string | null): What {
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
