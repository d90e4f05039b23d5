import {
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
  type CallToolRequestParams,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { Clock } from '../../kernel/clock.ts';
import { AppError } from '../../kernel/error.ts';
import { nearest } from '../../kernel/nearest.ts';
import { aliases, translated } from './alias.ts';
import { errorResult, isRecord, resultOf } from './answer.ts';
import { Approvals } from './approve.ts';
import { callOptions, type Operations } from './calls.ts';
import { prompts, promptOf } from './prompts.ts';
import { takesTasks, tasksExtension } from './protocol.ts';
import { Resources } from './resources.ts';
import { Runs, runWait } from './runs.ts';
import type { Asker, Surface, ToolAnswer } from './surface.ts';
import { Tools } from './tools.ts';
import type { Watch } from './watch.ts';

const instructions = `MAOS runs fleets of coding agents on git repositories: a plan becomes tasks, each task an agent in a worktree of its own; what
passes its checks lands on the branch maos/<run>, and on yours only by run_merge. Begin with run_check and run_create, follow with
run_wait, judge with run_report and run_diff. An error tells what was wrong and what to do next. Ids may be shortened to a unique
beginning. ?toolset=all at the end of the address shows every tool.`;

export interface MaosOptions {
  readonly operations: Operations;
  readonly watch: Watch;
  readonly clock: Clock;
  readonly onFailure: (error: unknown, operation: string) => void;
}

/** What MAOS shows over MCP: its operations as tools, and what they read as resources. */
export function maosSurface({ operations, watch, clock, onFailure }: MaosOptions): Surface {
  const tools = new Tools(operations.operations, [runWait]);
  const resources = new Resources(operations);
  const approvals = new Approvals(operations);
  const runs = new Runs({ operations, watch, clock, approvals });
  const caller = new ToolCaller({ operations, tools, runs, approvals, onFailure });
  return {
    instructions,
    capabilities: {
      tools: {},
      resources: { subscribe: true },
      prompts: {},
      completions: {},
      extensions: { [tasksExtension]: {} },
    },
    tasks: runs,
    tools: (asker) => tools.list(asker),
    call: (asker, params, context) => caller.call(asker, params, context),
    resources: (asker) => resources.list(asker),
    templates: (asker) => resources.templates(asker),
    read: (asker, uri, context) => resources.read(asker, uri, context),
    streams: (asker, uri) => resources.streams(asker, uri),
    prompts: () => prompts,
    prompt: (_asker, { name, arguments: values = {} }) => Promise.resolve(promptOf(name, values)),
    complete: async (asker, { argument }) => {
      const values = await resources.complete(asker, argument.name, argument.value);
      return { completion: { values, total: values.length, hasMore: false } };
    },
  };
}

interface Parts {
  readonly operations: Operations;
  readonly tools: Tools;
  readonly runs: Runs;
  readonly approvals: Approvals;
  readonly onFailure: (error: unknown, operation: string) => void;
}

/** What only a person answers, and not the model that calls in their name. */
const personal = new Set(['approval.approve', 'approval.deny']);

class ToolCaller {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async call(asker: Asker, params: CallToolRequestParams, context: ServerContext): Promise<ToolAnswer> {
    const { name, arguments: input = {} } = params;
    const { tools, runs, onFailure } = this.#parts;
    const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
    const operation = alias === undefined ? tools.find(name)?.name : alias.operation;
    if (operation === undefined && name !== runWait.tool.name) throw this.#unknown(name);
    try {
      if (operation === undefined) return await runs.wait(asker, input, context);
      return await this.#operate(asker, operation, alias === undefined ? input : translated(alias, input), context);
    } catch (error) {
      if (!(error instanceof AppError)) onFailure(error, name);
      return errorResult(error);
    }
  }

  async #operate(asker: Asker, operation: string, input: unknown, context: ServerContext): Promise<ToolAnswer> {
    const { operations, runs, approvals } = this.#parts;
    const answers = personal.has(operation) && asker.caller.actor.kind === 'user';
    const call = (): Promise<unknown> => operations.call(operation, input, callOptions(asker, context));
    const answer = answers ? await approvals.put(asker, input, context) : await approvals.ask(asker, context, call);
    if ('questions' in answer) return inputRequired({ inputRequests: answer.questions });
    const { output } = answer;
    if (operation === 'run.create' && isRecord(output) && takesTasks(context))
      return { content: [], ...runs.handle(output) };
    return resultOf(output);
  }

  #unknown(name: string): ProtocolError {
    const guess = nearest(name, this.#parts.tools.names);
    const hint = guess === undefined ? 'tools/list shows the tools.' : `Did you mean "${guess}"?`;
    return new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool "${name.slice(0, 100)}". ${hint}`);
  }
}
