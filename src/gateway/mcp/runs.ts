import { inputRequired, type ServerContext } from '@modelcontextprotocol/server';
import * as z from 'zod';
import type { Clock } from '../../kernel/clock.ts';
import { notFound } from '../../kernel/error.ts';
import { refuseInput } from '../refuse.ts';
import { resultOf } from './answer.ts';
import type { Approvals } from './approve.ts';
import { callOptions, type Operations, type RunFacts, runFacts } from './calls.ts';
import { type Extra, schemaOf } from './tools.ts';
import type { Asker, Tasks, TaskStatus, ToolAnswer } from './surface.ts';
import type { Watch } from './watch.ts';

export interface RunsOptions {
  readonly operations: Operations;
  readonly watch: Watch;
  readonly clock: Clock;
  readonly approvals: Approvals;
}

const waitInput = z.strictObject({
  run: z.string().min(1).max(120).describe('The run: its name, its id, or a unique beginning of it.'),
  seconds: z.int().min(1).max(600).default(45).describe('How long to wait at most; call again to go on waiting.'),
});

/** Waiting for a run, for clients that cannot be handed a task. */
export const runWait: Extra = {
  scope: 'run:read',
  tool: {
    name: 'run_wait',
    title: 'Wait for run',
    description:
      'Waits until a run has ended or needs a person, or the time is over, and shows it. Tells progress meanwhile, and puts requests for approval to the user where the client can; cancelling ends the waiting, not the run.',
    inputSchema: { ...schemaOf(waitInput, 'input'), type: 'object' },
    annotations: { title: 'Wait for run', readOnlyHint: true, destructiveHint: false, idempotentHint: true },
  },
};

const pollMs = 2_000;

/**
 * Runs as work that goes on after its call was answered. A run's id is the id of its task: it was in the log before the client
 * got it, and every later server knows it.
 */
export class Runs implements Tasks {
  readonly #options: RunsOptions;
  readonly #approvals: Approvals;

  constructor(options: RunsOptions) {
    this.#options = options;
    this.#approvals = options.approvals;
  }

  /** The handle of a run that was just created. */
  handle(output: unknown): Record<string, unknown> {
    const { result: _, ...status } = statusOf(runFacts.parse(output), output);
    return { ...status, resultType: 'task' };
  }

  async get(asker: Asker, taskId: string): Promise<TaskStatus> {
    const output = await this.#run(asker, taskId);
    return statusOf(runFacts.parse(output), output);
  }

  /** Cancelling what is over changes nothing. */
  async cancel(asker: Asker, taskId: string): Promise<void> {
    const { state } = runFacts.parse(await this.#run(asker, taskId));
    if (isOpen(state))
      await this.#options.operations.call(
        'run.stop',
        { run: taskId, reason: 'cancelled over MCP' },
        callOptions(asker),
      );
  }

  /** A run asks its questions in the inbox of approvals, not of the client that started it. */
  async answer(asker: Asker, taskId: string): Promise<void> {
    await this.#run(asker, taskId);
  }

  async wait(asker: Asker, input: unknown, context: ServerContext): Promise<ToolAnswer> {
    const parsed = waitInput.safeParse(input ?? {});
    if (!parsed.success) throw refuseInput('run.wait', parsed.error, waitInput);
    const { clock, watch, operations } = this.#options;
    const { run, seconds } = parsed.data;
    const until = clock.now() + seconds * 1_000;
    const signal = AbortSignal.any([context.mcpReq.signal, asker.ended]);
    const read = (id: string): Promise<unknown> => operations.call('run.get', { run: id }, callOptions(asker, context));
    await this.#approvals.take(asker, context);
    let facts = runFacts.parse(await read(run));
    for (;;) {
      // Watched before it is read, so that nothing that happens in between is missed.
      const change = new Change(signal);
      const stop = watch.add([facts.id, ...facts.steps.map(({ task }) => task)], change.happened);
      const cancel = clock.after(Math.max(0, until - clock.now()), change.happened);
      try {
        const output = await read(facts.id);
        facts = runFacts.parse(output);
        const questions = isOpen(facts.state) ? await this.#approvals.questions(asker, facts.id, context) : undefined;
        if (questions !== undefined) return inputRequired({ inputRequests: questions });
        if (facts.state !== 'running' || clock.now() >= until || signal.aborted) return resultOf(output);
        await this.#tell(facts, context);
        await change.promise;
        asker.ended.throwIfAborted();
      } finally {
        stop();
        cancel();
      }
    }
  }

  async #tell({ name, counts, steps }: RunFacts, { mcpReq }: ServerContext): Promise<void> {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined) return;
    const progress = counts['done'] ?? 0;
    const params = {
      progressToken,
      progress,
      total: steps.length,
      message: `${name}: ${progress} of ${steps.length} tasks done`,
    };
    await mcpReq.notify({ method: 'notifications/progress', params });
  }

  #run(asker: Asker, taskId: string): Promise<unknown> {
    if (!taskId.startsWith('run_')) throw notFound('task', taskId, 'Use the taskId that the call gave.');
    return this.#options.operations.call('run.get', { run: taskId }, callOptions(asker));
  }
}

/** One change that somebody waits for; the waiting ends with the request too. */
class Change {
  readonly promise: Promise<void>;
  readonly happened: () => void;

  constructor(signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.promise = promise;
    this.happened = () => resolve();
    signal.addEventListener('abort', this.happened, { once: true });
    if (signal.aborted) resolve();
  }
}

function isOpen(state: string): boolean {
  return state === 'running' || state === 'waiting';
}

function statusOf({ id, state, since, reason, createdAt }: RunFacts, output: unknown): TaskStatus {
  const times = { createdAt: new Date(createdAt).toISOString(), lastUpdatedAt: new Date(since).toISOString() };
  const task = { taskId: id, ...times, ttlMs: null, pollIntervalMs: pollMs };
  if (state === 'cancelled')
    return { ...task, status: 'cancelled', ...(reason === null ? {} : { statusMessage: reason }) };
  if (!isOpen(state)) {
    const result = resultOf(output);
    return { ...task, status: 'completed', result: state === 'succeeded' ? result : { ...result, isError: true } };
  }
  const waits =
    state === 'waiting' ? { statusMessage: `It waits for a person: ${reason ?? 'no reason was given'}` } : {};
  return { ...task, status: 'working', ...waits };
}
