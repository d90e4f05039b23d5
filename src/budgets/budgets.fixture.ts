import { agentOps, type Session } from '../agents/contract.ts';
import { agentHandlers, type AgentServiceOptions } from '../agents/service.ts';
import { agentView } from '../agents/views.ts';
import { errorFrom } from '../kernel/error.ts';
import type { InputOf, Operation } from '../kernel/operation.ts';
import { approvalHandlers } from '../policy/approvals/service.ts';
import { approvalView } from '../policy/approvals/views.ts';
import { projectOps } from '../projects/contract.ts';
import { projectHandlers } from '../projects/service.ts';
import { projectView } from '../projects/views.ts';
import { openTestCore, type TestCore } from '../tasks/core.fixture.ts';
import { payer } from './contract.ts';
import { promiseFor } from './ledger.ts';
import { budgetHandlers } from './service.ts';
import { budgetView } from './views.ts';

/** A session, with what its program has told so far. */
export interface Begun {
  readonly agent: string;
  readonly generation: number;
  readonly promised: NonNullable<Session['promised']>;
}

/** For tests: projects, agents, approvals and budgets on a real core. An agent’s task is its budget’s subject as it stands. */
export class Purse {
  readonly core: TestCore;
  readonly project: string;
  readonly #offsets = new Map<string, number>();

  constructor() {
    const can = { prompt: true, steer: true, interrupt: true, resume: true, structuredOutput: true, conflicts: true };
    const runtimes = new Map([
      ['fake', { ...can, usage: true }],
      ['mute', { ...can, usage: false }],
    ]);
    this.core = openTestCore(
      [projectView, agentView, budgetView, approvalView],
      [
        ...projectHandlers,
        ...agentHandlers({ runtimes, transcripts: '/transcripts', reserve }),
        ...approvalHandlers,
        ...budgetHandlers,
      ],
    );
    this.project = this.core.call(projectOps.record, { path: '/srv/shop', name: 'shop' }).id;
  }

  /** A new agent of the project; its limits are those of each of its sessions. */
  agent(limits: { budgetUsd?: number; budgetTokens?: number } = {}, runtime = 'fake'): string {
    return this.core.call(agentOps.create, { runtime, limits, project: this.project }).id;
  }

  /** Starts a session, or throws why no budget has anything left for it. */
  start(agent: string, task: string | null = null): Begun {
    const { session } = this.core.call(agentOps.start, { agent, prompt: 'work', cwd: '/', task });
    if (session === null || session.promised === null) throw new Error('Nothing was promised.');
    return { agent, generation: session.generation, promised: session.promised };
  }

  /** What it has used altogether by now. */
  uses({ agent, generation }: Begun, costUsd: number | null, tokens: number): void {
    const offset = (this.#offsets.get(agent) ?? 0) + 1;
    this.#offsets.set(agent, offset);
    const usage = { inputTokens: tokens, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd };
    const nothing = { providerSession: null, model: null, action: null, waiting: null };
    this.core.call(agentOps.reportObserved, { agent, generation, offset, usage, ...nothing });
  }

  ends({ agent, generation }: Begun, usage: { costUsd: number | null; tokens: number } | null = null): void {
    const offset = (this.#offsets.get(agent) ?? 0) + 1;
    this.#offsets.set(agent, offset);
    this.core.call(agentOps.reportEnded, {
      agent,
      generation,
      offset,
      exit: 'exit 0',
      outcome: { kind: 'succeeded', result: '', structured: null },
      usage:
        usage === null
          ? null
          : {
              inputTokens: usage.tokens,
              outputTokens: 0,
              cacheReadTokens: 0,
              cacheWriteTokens: 0,
              costUsd: usage.costUsd,
            },
    });
  }

  /** Calls as a person does. */
  person<Op extends Operation>(operation: Op, input: InputOf<Op>): void {
    const parsed: unknown = operation.input.parse(input);
    const actor = { kind: 'user', id: 'local' } as const;
    const calls = [{ operation: operation.name, input: parsed, actor, call: 'call_1', trace: 'trace_1' }];
    for (const result of this.core.pipeline.submit(calls)) if (!result.ok) throw errorFrom(result.error);
  }

  /** Whether its agent was told to stop. */
  isStopped({ agent }: Begun): boolean {
    return this.core.call(agentOps.get, { agent }).state === 'stopping';
  }
}

const reserve: NonNullable<AgentServiceOptions['reserve']> = (
  ctx,
  { id, project, limits, runtime },
  { task },
  tells,
) => {
  const payers = [
    payer('fleet'),
    ...(project === null ? [] : [payer('project', project)]),
    payer('agent', id),
    ...(task === null ? [] : [payer('task', task)]),
  ];
  const wish = { usd: limits.budgetUsd ?? null, tokens: limits.budgetTokens ?? null };
  return promiseFor(ctx.db, { payers, wish, runtime, tellsUsage: tells }, ctx.now);
};
