/** For tests: the tools of the conformance suite whose work goes on after the call. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  acceptedContent,
  type CallToolResult,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { takesTasks, tasksExtension } from './protocol.ts';
import type { Asker, Tasks, TaskStatus, ToolAnswer } from './surface.ts';

type Run = (input: Readonly<Record<string, unknown>>, context: ServerContext) => ToolAnswer | Promise<ToolAnswer>;
type End = Pick<TaskStatus, 'status' | 'result' | 'error'>;
type Live = { status: TaskStatus; readonly settle: (end: End) => void };

const text = (said: string): CallToolResult => ({ content: [{ type: 'text', text: said }] });
const done = (said: string): End => ({ status: 'completed', result: text(said) });

/** Tasks in memory. */
export class FixtureTasks implements Tasks {
  readonly #tasks = new Map<string, Live>();

  readonly tools: Readonly<Record<string, Run>> = {
    greet: (input) => text(`Hello, ${String(input['name'])}!`),
    slow_compute: async (input, context) => {
      const work = async (): Promise<End> => {
        await delay(Number(input['seconds'] ?? 0) * 1_000, undefined, { ref: false });
        return done('Computed.');
      };
      return takesTasks(context) ? this.#start(work) : ((await work()).result ?? text(''));
    },
    failing_job: (_input, context) => {
      required(context);
      return this.#start(async () => ({ status: 'completed', result: { ...text('It failed.'), isError: true } }));
    },
    protocol_error_job: () =>
      this.#start(async () => ({ status: 'failed', error: { code: -32603, message: 'It broke.' } })),
    confirm_delete: () => this.#ask(['confirm']),
    multi_input: () => this.#ask(['first', 'second']),
    test_tool_with_task: (_input, context) => {
      required(context);
      const answer = acceptedContent(context.mcpReq.inputResponses, 'user_name');
      if (answer !== undefined) return this.#start(async () => done(`Hello, ${JSON.stringify(answer)}`));
      const properties = { name: { type: 'string' as const } };
      return inputRequired({
        inputRequests: {
          user_name: inputRequired.elicit({ message: 'Who are you?', requestedSchema: { type: 'object', properties } }),
        },
      });
    },
  };

  async get(_asker: Asker, taskId: string): Promise<TaskStatus> {
    return this.#find(taskId).status;
  }

  async cancel(_asker: Asker, taskId: string): Promise<void> {
    this.#find(taskId).settle({ status: 'cancelled' });
  }

  async answer(_asker: Asker, taskId: string, responses: Readonly<Record<string, unknown>>): Promise<void> {
    const task = this.#find(taskId);
    const { inputRequests: waiting = {}, ...status } = task.status;
    const left = Object.entries(waiting).filter(([key]) => !(key in responses));
    if (left.length === 0) task.settle(done('Answered.'));
    else task.status = { ...status, inputRequests: Object.fromEntries(left) };
  }

  #find(taskId: string): Live {
    const task = this.#tasks.get(taskId);
    if (task === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown task: ${taskId}`);
    return task;
  }

  #start(work: () => Promise<End>): CallToolResult {
    const task = this.#make('working');
    void work().then(task.settle);
    return { content: [], ...task.status, resultType: 'task' };
  }

  #ask(keys: readonly string[]): CallToolResult {
    const task = this.#make('input_required');
    const handle = { content: [], ...task.status, resultType: 'task' };
    const requestedSchema = { type: 'object', properties: { confirm: { type: 'boolean' } } };
    const request = { method: 'elicitation/create', params: { mode: 'form', message: 'Really?', requestedSchema } };
    task.status = { ...task.status, inputRequests: Object.fromEntries(keys.map((key) => [key, request])) };
    return handle;
  }

  #make(status: TaskStatus['status']): Live {
    const at = new Date().toISOString();
    const taskId = randomUUID();
    const settle = (end: End): void => {
      const { inputRequests: _, ...before } = task.status;
      if (before.status === 'working' || before.status === 'input_required')
        task.status = { ...before, ...end, lastUpdatedAt: new Date().toISOString() };
    };
    const task: Live = {
      status: { taskId, status, createdAt: at, lastUpdatedAt: at, ttlMs: 60_000, pollIntervalMs: 200 },
      settle,
    };
    this.#tasks.set(taskId, task);
    return task;
  }
}

function required(context: ServerContext): void {
  if (takesTasks(context)) return;
  throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [tasksExtension]: {} } } });
}
