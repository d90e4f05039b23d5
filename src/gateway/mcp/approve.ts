import { acceptedContent, type InputRequests, type ServerContext } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { covers } from '../../kernel/caller.ts';
import { AppError } from '../../kernel/error.ts';
import { isRecord } from './answer.ts';
import { callOptions, type Operations } from './calls.ts';
import type { Asker } from './surface.ts';

const entry = z.object({
  id: z.string(),
  state: z.string(),
  actor: z.string(),
  covers: z.string(),
  hidden: z.string().nullable(),
  what: z.object({
    kind: z.string(),
    tool: z.string().nullable(),
    argv: z.array(z.string()).nullable(),
    command: z.string().nullable(),
    path: z.string().nullable(),
    operation: z.string().nullable(),
    cwd: z.string().nullable(),
    input: z.string().nullable(),
  }),
  reason: z.string(),
  risk: z.string(),
});
const entries = z.object({ approvals: z.array(entry) });
type Entry = z.output<typeof entry>;
const named = z.object({ approvals: z.array(z.string()).min(1) });

const decided = z.object({ decision: z.enum(['approve', 'always', 'deny']), reason: z.string().optional() });

/** How many are asked for at once; the others stay in the inbox and come after these. */
const together = 5;

/**
 * Puts requests for approval to the person behind the client. Only a person who may answer is asked: an agent's client has nobody to
 * ask, and has a vote of its own where a rule asks agents.
 */
export class Approvals {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** Carries out what the person has answered. What was declined or left open stays in the inbox. */
  async take(asker: Asker, context: ServerContext): Promise<void> {
    if (!mayAnswer(asker)) return;
    for (const id of Object.keys(context.mcpReq.inputResponses ?? {})) await this.#carryOut(asker, id, context);
  }

  /**
   * What a call that waits for an approval is to be answered: calls it again once the person behind the client has agreed, or asks
   * them; throws what the call was refused with where nobody can be asked.
   */
  async ask<Result>(
    asker: Asker,
    context: ServerContext,
    call: () => Promise<Result>,
  ): Promise<{ readonly output: Result } | { readonly questions: InputRequests }> {
    try {
      return { output: await call() };
    } catch (error) {
      const id = waitsFor(error);
      if (id === undefined || !canAsk(asker)) throw error;
      // An answer counts for the request that the person was asked about, and for no other.
      if (await this.#carryOut(asker, id, context)) return { output: await call() };
      const questions = await this.#about(asker, [id], context);
      if (questions === undefined) throw error;
      return { questions };
    }
  }

  /** A program that a model drives answers nothing in a person's name: it puts the requests that it names to them. */
  async put(
    asker: Asker,
    input: unknown,
    context: ServerContext,
  ): Promise<{ readonly output: unknown } | { readonly questions: InputRequests }> {
    const { data } = named.safeParse(input);
    if (data === undefined || !canAsk(asker)) throw ofPeople();
    const ids = await Promise.all(data.approvals.map(async (id) => (await this.#entry(asker, id)).id));
    for (const id of ids) await this.#carryOut(asker, id, context);
    const questions = await this.#about(asker, ids, context);
    if (questions !== undefined) return { questions };
    return { output: { approvals: await Promise.all(ids.map((id) => this.#raw(asker, id))) } };
  }

  /** Whether the person has answered this one, and that was recorded. */
  async #carryOut(asker: Asker, id: string, { mcpReq }: ServerContext): Promise<boolean> {
    const { data } = decided.safeParse(acceptedContent(mcpReq.inputResponses, id));
    if (data === undefined) return false;
    const { decision, reason } = data;
    const [operation, input] =
      decision === 'deny'
        ? ['approval.deny', { approvals: [id], ...(reason === undefined || reason === '' ? {} : { reason }) }]
        : ['approval.approve', { approvals: [id], always: decision === 'always' }];
    // Without the key of the request, which belongs to the call that waits.
    await this.#operations.call(String(operation), input, callOptions(asker));
    return true;
  }

  /** Who has just declined to answer is not asked the same again. */
  async #about(asker: Asker, ids: readonly string[], { mcpReq }: ServerContext): Promise<InputRequests | undefined> {
    const seen = mcpReq.inputResponses ?? {};
    const found = await Promise.all(ids.filter((id) => !(id in seen)).map((id) => this.#entry(asker, id)));
    return questionsOf(found.filter(({ state }) => state === 'open'));
  }

  #raw(asker: Asker, approval: string): Promise<unknown> {
    return this.#operations.call('approval.get', { approval }, callOptions(asker));
  }

  async #entry(asker: Asker, approval: string): Promise<Entry> {
    return entry.parse(await this.#raw(asker, approval));
  }

  /** What is to be asked now; undefined when nothing waits, or nobody can be asked. */
  async questions(asker: Asker, run: string, context: ServerContext): Promise<InputRequests | undefined> {
    if (!canAsk(asker)) return undefined;
    const input = { run, state: ['open'], limit: 50 };
    const { approvals } = entries.parse(
      await this.#operations.call('approval.list', input, callOptions(asker, context)),
    );
    // Who has just declined to answer is not asked the same again.
    const seen = context.mcpReq.inputResponses ?? {};
    return questionsOf(approvals.filter(({ id }) => !(id in seen)));
  }
}

function questionsOf(found: readonly Entry[]): InputRequests | undefined {
  const left = found.slice(0, together);
  return left.length === 0 ? undefined : Object.fromEntries(left.map((one) => [one.id, question(one)]));
}

/** The request that a refused call waits for. */
function waitsFor(error: unknown): string | undefined {
  const details = error instanceof AppError && error.code === 'forbidden' ? error.details : undefined;
  const { approval, waits } = isRecord(details) ? details : {};
  return waits === true && typeof approval === 'string' ? approval : undefined;
}

function ofPeople(): AppError {
  return new AppError(
    'forbidden',
    'A program that a model drives answers no request for approval in a person’s name.',
    {
      fix: 'Ask them to do it: maos inbox, then maos approve or maos deny. A client that can put a question to its user (elicitation) is asked itself.',
    },
  );
}

function canAsk(asker: Asker): boolean {
  return mayAnswer(asker) && asker.elicits === true;
}

function mayAnswer({ caller }: Asker): boolean {
  const { actor, scopes } = caller;
  return actor.kind === 'user' && covers(scopes, 'approval:answer') && covers(scopes, 'approval:read');
}

function question({ id, actor, what, reason, risk, covers, hidden }: Entry): InputRequests[string] {
  const name = what.operation ?? what.tool;
  const done = what.argv?.join(' ') ?? what.command ?? what.path ?? what.kind;
  const input = what.input === null ? '' : ` ${what.input}`;
  const deed = `${what.kind === 'operation' || what.kind === 'api' ? `${name ?? ''} ` : ''}${done}${input}`;
  const always = { const: 'always', title: `Approve, and never ask again for ${covers}` };
  const where = what.cwd === null ? '' : ` in ${what.cwd}`;
  return {
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: `${actor} wants (${risk} risk)${where}:\n${deed.slice(0, 4_000)}\n${hidden === null ? '' : `${hidden}\n`}${reason} (${id})`,
      requestedSchema: {
        type: 'object',
        properties: {
          decision: {
            type: 'string',
            title: 'Decision',
            oneOf: [
              { const: 'approve', title: 'Approve' },
              ...(hidden === null ? [always] : []),
              { const: 'deny', title: 'Deny' },
            ],
          },
          reason: { type: 'string', title: 'Why not', description: 'Told to whoever asked.', maxLength: 2_000 },
        },
        required: ['decision'],
      },
    },
  };
}
