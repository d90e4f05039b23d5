import type {
  CallToolRequestParams,
  CallToolResult,
  CompleteRequestParams,
  CompleteResult,
  GetPromptRequestParams,
  GetPromptResult,
  InputRequiredResult,
  Prompt,
  ReadResourceResult,
  Resource,
  ResourceTemplateType,
  ServerCapabilities,
  ServerContext,
  ServerOptions,
  Tool,
} from '@modelcontextprotocol/server';
import type { Caller } from '../../kernel/caller.ts';
import type { Lease } from '../door.ts';

/** Who sent a request, and which list of tools it asked for. Found anew for every request, from its token and its address. */
export interface Asker {
  readonly caller: Caller;
  /** `?toolset=`; null: the one that fits the caller. */
  readonly toolset: string | null;
  /** Aborted when the credential has ended before the request was answered. */
  readonly ended: AbortSignal;
  /** For what stays after the request: a resource that is watched. */
  readonly lease: Lease;
  /** Whether the client can put a question to its user; known while a tool is called. */
  readonly elicits?: boolean;
}

/** What a tool may answer: its result, or a question that the client puts to its user first. */
export type ToolAnswer = CallToolResult | InputRequiredResult;

/** Work that goes on after its call was answered, as the tasks extension tells it. */
export interface TaskStatus {
  readonly taskId: string;
  readonly status: 'working' | 'input_required' | 'completed' | 'cancelled' | 'failed';
  readonly statusMessage?: string;
  readonly createdAt: string;
  readonly lastUpdatedAt: string;
  readonly ttlMs: number | null;
  readonly pollIntervalMs?: number;
  /** What the call would have answered, once it is over. */
  readonly result?: CallToolResult;
  readonly error?: { readonly code: number; readonly message: string };
  readonly inputRequests?: Readonly<Record<string, unknown>>;
}

/** Carries on what a client was given a handle for. */
export interface Tasks {
  get(asker: Asker, taskId: string): Promise<TaskStatus>;
  cancel(asker: Asker, taskId: string): Promise<void>;
  answer(asker: Asker, taskId: string, responses: Readonly<Record<string, unknown>>): Promise<void>;
}

/** What an MCP server shows, whatever its transport and the revision that its client speaks. */
export interface Surface {
  readonly instructions: string;
  readonly capabilities: ServerCapabilities;
  readonly options?: Pick<ServerOptions, 'cacheHints' | 'requestState'>;
  readonly tasks?: Tasks;
  tools(asker: Asker): Tool[];
  call(asker: Asker, params: CallToolRequestParams, context: ServerContext): Promise<ToolAnswer>;
  resources(asker: Asker): Promise<Resource[]>;
  templates(asker: Asker): ResourceTemplateType[];
  read(asker: Asker, uri: string, context: ServerContext): Promise<ReadResourceResult>;
  /** The streams of the log whose records change a resource; refuses one that does not exist or is not for this caller. */
  streams(asker: Asker, uri: string): Promise<readonly string[]>;
  prompts(asker: Asker): Prompt[];
  prompt(
    asker: Asker,
    params: GetPromptRequestParams,
    context: ServerContext,
  ): Promise<GetPromptResult | InputRequiredResult>;
  complete(asker: Asker, params: CompleteRequestParams): Promise<CompleteResult>;
}
