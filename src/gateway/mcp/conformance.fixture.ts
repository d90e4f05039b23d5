/** For tests: what the official conformance suite calls by name, shown through this door in place of MAOS's operations. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
  type InputRequests,
  type CallToolResult,
  type GetPromptResult,
  type InputRequiredResult,
  MissingRequiredClientCapabilityError,
  type Prompt,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
  type ServerContext,
  type Tool,
} from '@modelcontextprotocol/server';
import * as z from 'zod';
import { tasksExtension } from './protocol.ts';
import type { Surface, ToolAnswer } from './surface.ts';
import { FixtureTasks } from './tasks.fixture.ts';

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const wav = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';

const codec = createRequestStateCodec({ key: 'a key of the tests, which is long enough', ttlSeconds: 60 });
const text = (said: string): CallToolResult => ({ content: [{ type: 'text', text: said }] });
const embedded = (uri: string) =>
  ({
    type: 'resource',
    resource: { uri, mimeType: 'text/plain', text: 'This is an embedded resource content.' },
  }) as const;

type Arguments = Readonly<Record<string, unknown>>;
type Run = (input: Arguments, context: ServerContext) => ToolAnswer | Promise<ToolAnswer>;
type Properties = Readonly<Record<string, object>>;

const form = (message: string, properties: Properties, required: string[] = Object.keys(properties)) => ({
  method: 'elicitation/create' as const,
  params: {
    mode: 'form' as const,
    message,
    requestedSchema: { type: 'object' as const, properties: elicited.parse(properties), required },
  },
});
/** The forms below are what the suite dictates. */
const elicited = z.record(z.string(), z.any());
const sample = (question: string) => ({
  method: 'sampling/createMessage' as const,
  params: { messages: [{ role: 'user' as const, content: { type: 'text' as const, text: question } }], maxTokens: 100 },
});

const name = { name: { type: 'string' } };
const asked = z.object({ name: z.string() });

/** The answer of the client to one question of the round before. */
function accepted(context: ServerContext, key: string): Record<string, unknown> | undefined {
  return acceptedContent(context.mcpReq.inputResponses, key);
}

function capabilitiesOf({ mcpReq }: ServerContext): Record<string, unknown> {
  const declared = z.object({ [CLIENT_CAPABILITIES_META_KEY]: z.record(z.string(), z.unknown()) });
  return declared.safeParse(mcpReq.envelope).data?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
}

const ask = (inputRequests: InputRequests, requestState?: string): InputRequiredResult =>
  inputRequired({ inputRequests, ...(requestState === undefined ? {} : { requestState }) });

async function log(context: ServerContext): Promise<CallToolResult> {
  for (const message of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await context.mcpReq.log('info', message);
    await delay(50);
  }
  return text('Logged.');
}

async function progress({ mcpReq }: ServerContext): Promise<CallToolResult> {
  const progressToken = mcpReq._meta?.progressToken;
  for (const done of [0, 50, 100]) {
    if (progressToken !== undefined) {
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: done, total: 100 } });
    }
    await delay(50);
  }
  return text('Done.');
}

const choices = (prefix: string, title: string) =>
  ['1', '2', '3'].map((n) => ({ const: `${prefix}${n}`, title: `${title} ${n}` }));
const options = ['option1', 'option2', 'option3'];

/** A tool that asks for one form and tells what came back. */
async function elicit(context: ServerContext, request: ReturnType<typeof form>): Promise<CallToolResult> {
  const { action, content } = await context.mcpReq.elicitInput(request.params);
  return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
}

async function stateful(context: ServerContext): Promise<ToolAnswer> {
  if (context.mcpReq.requestState() !== undefined && accepted(context, 'confirm') !== undefined)
    return text('state-ok');
  return ask({ confirm: form('Please confirm', { ok: { type: 'boolean' } }) }, await codec.mint({ step: 1 }));
}

async function rounds(context: ServerContext): Promise<ToolAnswer> {
  const step = z.object({ step: z.number() }).safeParse(context.mcpReq.requestState()).data?.step ?? 0;
  if (step === 0) return ask({ step1: form('Step 1: What is your name?', name) }, await codec.mint({ step: 1 }));
  if (step === 1) {
    const color = form('Step 2: What is your favorite color?', { color: { type: 'string' } });
    return ask({ step2: color }, await codec.mint({ step: 2 }));
  }
  return text('All rounds are over.');
}

const tools: Readonly<Record<string, Run>> = {
  test_simple_text: () => text('This is a simple text response for testing.'),
  test_image_content: () => ({ content: [{ type: 'image', data: png, mimeType: 'image/png' }] }),
  test_audio_content: () => ({ content: [{ type: 'audio', data: wav, mimeType: 'audio/wav' }] }),
  test_embedded_resource: () => ({ content: [embedded('test://embedded-resource')] }),
  test_multiple_content_types: () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: png, mimeType: 'image/png' },
      embedded('test://mixed-content-resource'),
    ],
  }),
  test_tool_with_logging: (_input, context) => log(context),
  test_logging_tool: (_input, context) => log(context),
  test_tool_with_progress: (_input, context) => progress(context),
  test_error_handling: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  test_sampling: async (input, context) => {
    const { content } = await context.mcpReq.requestSampling(sample(String(input['prompt'])).params);
    return text(`LLM response: ${JSON.stringify(content)}`);
  },
  test_elicitation: (input, context) =>
    elicit(context, form(String(input['message']), { username: { type: 'string' }, email: { type: 'string' } })),
  test_elicitation_sep1034_defaults: (_input, context) =>
    elicit(
      context,
      form(
        'Please confirm',
        {
          name: { type: 'string', default: 'John Doe' },
          age: { type: 'integer', default: 30 },
          score: { type: 'number', default: 95.5 },
          status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
          verified: { type: 'boolean', default: true },
        },
        [],
      ),
    ),
  test_elicitation_sep1330_enums: (_input, context) =>
    elicit(
      context,
      form(
        'Please choose',
        {
          untitledSingle: { type: 'string', enum: options },
          titledSingle: { type: 'string', oneOf: choices('value', 'Option') },
          legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
          untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
          titledMulti: { type: 'array', items: { anyOf: choices('value', 'Choice') } },
        },
        [],
      ),
    ),
  test_missing_capability: (_input, context) => {
    if (capabilitiesOf(context)['sampling'] === undefined)
      throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
    return text('The client can sample.');
  },
  test_streaming_elicitation: (_input, context) => progress(context),
  test_input_required_result_elicitation: (_input, context) => {
    const answer = asked.safeParse(accepted(context, 'user_name'));
    return answer.success ? text(`Hello, ${answer.data.name}!`) : ask({ user_name: form('What is your name?', name) });
  },
  test_input_required_result_sampling: (_input, context) => {
    const answer = context.mcpReq.inputResponses?.['capital_question'];
    return answer === undefined
      ? ask({ capital_question: sample('What is the capital of France?') })
      : text(JSON.stringify(answer));
  },
  test_input_required_result_list_roots: (_input, context) => {
    const answer = context.mcpReq.inputResponses?.['client_roots'];
    return answer === undefined
      ? ask({ client_roots: { method: 'roots/list', params: {} } })
      : text(JSON.stringify(answer));
  },
  test_input_required_result_request_state: (_input, context) => stateful(context),
  test_input_required_result_tampered_state: (_input, context) => stateful(context),
  test_input_required_result_multiple_inputs: async (_input, context) => {
    if (accepted(context, 'user_name') !== undefined) return text('All three were answered.');
    return ask(
      {
        user_name: form('What is your name?', name),
        greeting: sample('Generate a greeting'),
        client_roots: { method: 'roots/list', params: {} },
      },
      await codec.mint({ step: 1 }),
    );
  },
  test_input_required_result_multi_round: (_input, context) => rounds(context),
  test_input_required_result_capabilities: (_input, context) => {
    const declared = capabilitiesOf(context);
    return ask({
      ...(declared['elicitation'] === undefined ? {} : { user_name: form('What is your name?', name) }),
      ...(declared['sampling'] === undefined ? {} : { greeting: sample('Generate a greeting') }),
    });
  },
};

const described = (tool: string): Tool => ({
  name: tool,
  description: `A fixture of the conformance suite: ${tool}.`,
  inputSchema: { type: 'object' },
});

/** Everything that a schema may say has to arrive as it was written. */
const schemaTool: Tool = {
  ...described('json_schema_2020_12_tool'),
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
      address: {
        $anchor: 'addressDef',
        type: 'object',
        properties: { street: { type: 'string' }, city: { type: 'string' } },
      },
    },
    properties: {
      name: { type: 'string' },
      address: { $ref: '#/$defs/address' },
      contactMethod: { type: 'string', enum: ['phone', 'email'] },
      phone: { type: 'string' },
      email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    // oxlint-disable-next-line unicorn/no-thenable
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
  },
};

const messages = (...content: GetPromptResult['messages'][number]['content'][]): GetPromptResult => ({
  messages: content.map((one) => ({ role: 'user', content: one })),
});
type Said = (values: Readonly<Record<string, string>>, context: ServerContext) => GetPromptResult | InputRequiredResult;

const prompts: Readonly<Record<string, { readonly needs: readonly string[]; readonly get: Said }>> = {
  test_simple_prompt: {
    needs: [],
    get: () => messages({ type: 'text', text: 'This is a simple prompt for testing.' }),
  },
  test_prompt_with_arguments: {
    needs: ['arg1', 'arg2'],
    get: ({ arg1, arg2 }) => messages({ type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  },
  test_prompt_with_embedded_resource: {
    needs: ['resourceUri'],
    get: ({ resourceUri = '' }) => messages(embedded(resourceUri), { type: 'text', text: 'Please process it.' }),
  },
  test_prompt_with_image: {
    needs: [],
    get: () => messages({ type: 'image', data: png, mimeType: 'image/png' }, { type: 'text', text: 'Please look.' }),
  },
  test_input_required_result_prompt: {
    needs: [],
    get: (_values, context) =>
      accepted(context, 'user_context') === undefined
        ? ask({ user_context: form('What context should the prompt use?', { context: { type: 'string' } }) })
        : messages({ type: 'text', text: 'With context.' }),
  },
};

function readFixture(uri: string): ReadResourceResult {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { contents: [{ uri, mimeType: 'application/json', text: data }] };
  }
  if (uri === 'test://static-binary') return { contents: [{ uri, mimeType: 'image/png', blob: png }] };
  if (uri === 'test://static-text' || uri === 'test://watched-resource')
    return { contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }] };
  throw new ResourceNotFoundError(uri);
}

/** The profile. Its tasks live as long as it does. */
export function conformanceSurface(): Surface {
  const tasks = new FixtureTasks();
  const runs: Readonly<Record<string, Run>> = { ...tools, ...tasks.tools };
  const resource = (uri: string, mimeType: string) => ({ uri, name: uri.slice('test://'.length), mimeType });
  return {
    instructions: 'Fixtures of the conformance suite.',
    capabilities: {
      tools: {},
      resources: { subscribe: true },
      prompts: {},
      completions: {},
      logging: {},
      extensions: { [tasksExtension]: {} },
    },
    options: {
      requestState: { verify: (state, context) => codec.verify(state, context) },
      cacheHints: { 'tools/list': { ttlMs: 1_000, cacheScope: 'public' } },
    },
    tasks,
    tools: () => [...Object.keys(runs).map(described), schemaTool],
    call: async (_asker, { name: tool, arguments: input = {} }, context) => {
      const run = Object.hasOwn(runs, tool) ? runs[tool] : undefined;
      if (run === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${tool}`);
      return run(input, context);
    },
    resources: async () => [
      resource('test://static-text', 'text/plain'),
      resource('test://static-binary', 'image/png'),
      resource('test://watched-resource', 'text/plain'),
    ],
    templates: () => [{ uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' }],
    read: async (_asker, uri) => readFixture(uri),
    streams: async (_asker, uri) => {
      readFixture(uri);
      return [uri];
    },
    prompts: () =>
      Object.entries(prompts).map(([prompt, { needs }]): Prompt => ({
        name: prompt,
        description: `A fixture of the conformance suite: ${prompt}.`,
        arguments: needs.map((argument) => ({ name: argument, required: true })),
      })),
    prompt: async (_asker, { name: prompt, arguments: values = {} }, context) => {
      const found = Object.hasOwn(prompts, prompt) ? prompts[prompt] : undefined;
      if (found === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown prompt: ${prompt}`);
      return found.get(values, context);
    },
    complete: async () => ({ completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false } }),
  };
}
