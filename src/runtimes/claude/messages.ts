import * as z from 'zod';
import { once } from '../../kernel/once.ts';

/**
 * The lines of `claude --output-format stream-json` that MAOS understands. Loose on purpose: a new field or a new kind of
 * line must not break a running fleet, so what is not named here is ignored.
 */
const init = once(() =>
  z.object({
    type: z.literal('system'),
    subtype: z.literal('init'),
    session_id: z.string(),
    model: z.string().nullish(),
  }),
);

const apiRetry = once(() =>
  z.object({
    type: z.literal('system'),
    subtype: z.literal('api_retry'),
    attempt: z.number(),
    max_retries: z.number(),
    error: z.string().nullish(),
    error_status: z.number().nullish(),
  }),
);

const backgroundTasks = once(() =>
  z.object({
    type: z.literal('system'),
    subtype: z.literal('background_tasks_changed'),
    tasks: z.array(z.unknown()),
  }),
);

const tokens = once(() =>
  z.object({
    input_tokens: z.number().nullish(),
    output_tokens: z.number().nullish(),
    cache_read_input_tokens: z.number().nullish(),
    cache_creation_input_tokens: z.number().nullish(),
  }),
);

const block = once(() =>
  z.union([
    z.object({ type: z.literal('text'), text: z.string() }),
    z.object({ type: z.literal('tool_use'), name: z.string(), input: z.record(z.string(), z.unknown()).catch({}) }),
    z.object({ type: z.string().transform(() => 'other' as const) }),
  ]),
);

const assistant = once(() =>
  z.object({
    type: z.literal('assistant'),
    /** Set when a subagent speaks. */
    parent_tool_use_id: z.string().nullish(),
    message: z.object({
      id: z.string(),
      model: z.string().nullish(),
      content: z.array(block()),
      usage: tokens().nullish(),
    }),
  }),
);

const modelUsage = once(() =>
  z.object({
    inputTokens: z.number(),
    outputTokens: z.number(),
    cacheReadInputTokens: z.number().default(0),
    cacheCreationInputTokens: z.number().default(0),
  }),
);

const rateLimit = once(() =>
  z.object({
    type: z.literal('rate_limit_event'),
    rate_limit_info: z.object({
      status: z.string(),
      /** Seconds since the epoch. */
      resetsAt: z.number().nullish(),
    }),
  }),
);

/** A field that may be missing or may change its type: the result itself must be understood whatever happens to it. */
function lenient<Schema extends z.ZodType>(schema: Schema): z.ZodType<z.infer<Schema> | null> {
  return schema
    .nullish()
    .transform((value) => value ?? null)
    .catch(null);
}

const result = once(() =>
  z.object({
    type: z.literal('result'),
    subtype: z.string().catch('unknown'),
    is_error: z.boolean().catch(false),
    result: lenient(z.string()),
    errors: lenient(z.array(z.string())),
    stop_reason: lenient(z.string()),
    terminal_reason: lenient(z.string()),
    api_error_status: lenient(z.number()),
    total_cost_usd: lenient(z.number()),
    modelUsage: lenient(z.record(z.string(), modelUsage())),
    structured_output: lenient(z.unknown()),
  }),
);

/** One understood line. */
export const claudeLine = once(() =>
  z.discriminatedUnion('type', [
    z.discriminatedUnion('subtype', [init(), apiRetry(), backgroundTasks()]),
    assistant(),
    rateLimit(),
    result(),
  ]),
);

export type ClaudeLine = z.infer<ReturnType<typeof claudeLine>>;
export type ClaudeResult = z.infer<ReturnType<typeof result>>;
export type ClaudeRetry = z.infer<ReturnType<typeof apiRetry>>;
export type ClaudeAssistant = z.infer<ReturnType<typeof assistant>>;
