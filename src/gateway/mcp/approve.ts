import { acceptedContent, type InputRequests, type ServerContext } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { covers } from '../../kernel/caller.ts';
import { callOptions, type Operations } from './calls.ts';
import type { Asker } from './surface.ts';

const entries = z.object({
  approvals: z.array(
    z.object({
      id: z.string(),
      actor: z.string(),
      what: z.object({
        kind: z.string(),
        tool: z.string().nullable(),
        argv: z.array(z.string()).nullable(),
        command: z.string().nullable(),
        path: z.string().nullable(),
        operation: z.string().nullable(),
        cwd: z.string().nullable(),
      }),
      reason: z.string(),
      risk: z.string(),
    }),
  ),
});
type Entry = z.output<typeof entries>['approvals'][number];

const decided = z.object({ decision: z.enum(['approve', 'always', 'deny']), reason: z.string().optional() });

/** How many are asked for at once; the others stay in the inbox and come after these. */
const together = 5;

/**
 * Puts the requests for approval of a run to the person behind the client. Only a person who may answer is asked: an agent's client
 * has nobody to ask, and answers by the tools if its scopes allow it.
 */
export class Approvals {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** Carries out what the person has answered. What was declined or left open stays in the inbox. */
  async take(asker: Asker, context: ServerContext): Promise<void> {
    const { inputResponses: responses = {} } = context.mcpReq;
    if (!mayAnswer(asker)) return;
    for (const id of Object.keys(responses)) {
      const { data } = decided.safeParse(acceptedContent(responses, id));
      if (data === undefined) continue;
      const { decision, reason } = data;
      const [operation, input] =
        decision === 'deny'
          ? ['approval.deny', { approvals: [id], ...(reason === undefined || reason === '' ? {} : { reason }) }]
          : ['approval.approve', { approvals: [id], always: decision === 'always' }];
      await this.#operations.call(String(operation), input, callOptions(asker, context));
    }
  }

  /** What is to be asked now; undefined when nothing waits, or nobody can be asked. */
  async questions(asker: Asker, run: string, context: ServerContext): Promise<InputRequests | undefined> {
    if (!mayAnswer(asker) || asker.elicits !== true) return undefined;
    const input = { run, state: ['open'], limit: 50 };
    const { approvals } = entries.parse(
      await this.#operations.call('approval.list', input, callOptions(asker, context)),
    );
    // Who has just declined to answer is not asked the same again.
    const seen = context.mcpReq.inputResponses ?? {};
    const left = approvals.filter(({ id }) => !(id in seen)).slice(0, together);
    return left.length === 0 ? undefined : Object.fromEntries(left.map((entry) => [entry.id, question(entry)]));
  }
}

function mayAnswer({ caller }: Asker): boolean {
  const { actor, scopes } = caller;
  return actor.kind === 'user' && covers(scopes, 'approval:answer') && covers(scopes, 'approval:read');
}

function question({ id, actor, what, reason, risk }: Entry): InputRequests[string] {
  const deed = what.argv?.join(' ') ?? what.command ?? what.path ?? what.operation ?? what.kind;
  const where = what.cwd === null ? '' : ` in ${what.cwd}`;
  return {
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: `${actor} wants (${risk} risk)${where}:\n${deed.slice(0, 4_000)}\n${reason} (${id})`,
      requestedSchema: {
        type: 'object',
        properties: {
          decision: {
            type: 'string',
            title: 'Decision',
            oneOf: [
              { const: 'approve', title: 'Approve' },
              { const: 'always', title: 'Approve, and never ask for exactly this again' },
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
