import {
  CLIENT_CAPABILITIES_META_KEY,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import * as z from 'zod';
import { AppError } from '../../kernel/error.ts';
import type { Asker, Surface } from './surface.ts';

/** What a server is built with. */
export interface Protocol {
  readonly surface: Surface;
  readonly version: string;
  /** Who sent the request that is being handled. */
  readonly asker: (context: ServerContext) => Asker;
  /** For connections that can be told of changes later (2025-11-25); the newer revision has streams of its own. */
  readonly subscribe?: (asker: Asker, uri: string) => Promise<void>;
  readonly unsubscribe?: (uri: string) => void;
  readonly onFailure: (error: unknown, method: string) => void;
}

/** A server of the SDK over a surface. It is cheap: one is made for each request of 2026-07-28, one for each session of 2025-11-25. */
export function buildServer(protocol: Protocol): Server {
  const { surface, version } = protocol;
  const { capabilities, instructions, options } = surface;
  const server = new Server({ name: 'maos', title: 'MAOS', version }, { ...options, capabilities, instructions });
  if (capabilities.tools !== undefined) serveTools(server, protocol);
  if (capabilities.resources !== undefined) serveResources(server, protocol);
  if (capabilities.prompts !== undefined) servePrompts(server, protocol);
  if (capabilities.completions !== undefined) {
    server.setRequestHandler('completion/complete', ({ params }, context) =>
      guarded(protocol, 'completion/complete', () => surface.complete(protocol.asker(context), params)),
    );
  }
  if (surface.tasks !== undefined) serveTasks(server, protocol);
  return server;
}

function serveTools(server: Server, protocol: Protocol): void {
  const { surface, asker } = protocol;
  server.setRequestHandler('tools/list', (_request, context) =>
    guarded(protocol, 'tools/list', () => ({ tools: surface.tools(asker(context)) })),
  );
  server.setRequestHandler('tools/call', ({ params }, context) =>
    guarded(protocol, 'tools/call', () => {
      // Of this request, or of the handshake of its session.
      const elicits = server.getClientCapabilities()?.elicitation !== undefined;
      return surface.call({ ...asker(context), elicits }, params, context);
    }),
  );
}

function serveResources(server: Server, protocol: Protocol): void {
  const { surface, asker, subscribe, unsubscribe } = protocol;
  server.setRequestHandler('resources/list', (_request, context) =>
    guarded(protocol, 'resources/list', async () => ({ resources: await surface.resources(asker(context)) })),
  );
  server.setRequestHandler('resources/templates/list', (_request, context) =>
    guarded(protocol, 'resources/templates/list', () => ({ resourceTemplates: surface.templates(asker(context)) })),
  );
  server.setRequestHandler('resources/read', ({ params }, context) =>
    guarded(protocol, 'resources/read', () => surface.read(asker(context), params.uri, context)),
  );
  if (subscribe === undefined || unsubscribe === undefined) return;
  server.setRequestHandler('resources/subscribe', ({ params }, context) =>
    guarded(protocol, 'resources/subscribe', async () => {
      await subscribe(asker(context), params.uri);
      return {};
    }),
  );
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    unsubscribe(params.uri);
    return {};
  });
}

function servePrompts(server: Server, protocol: Protocol): void {
  const { surface, asker } = protocol;
  server.setRequestHandler('prompts/list', (_request, context) =>
    guarded(protocol, 'prompts/list', () => ({ prompts: surface.prompts(asker(context)) })),
  );
  server.setRequestHandler('prompts/get', ({ params }, context) =>
    guarded(protocol, 'prompts/get', () => surface.prompt(asker(context), params, context)),
  );
}

const byTask = z.looseObject({ taskId: z.string().max(200) });

/** The extension of 2026-07-28 for work that goes on after its call was answered (SEP-2663). */
export const tasksExtension = 'io.modelcontextprotocol/tasks';

const declares = z.object({
  [CLIENT_CAPABILITIES_META_KEY]: z.object({ extensions: z.object({ [tasksExtension]: z.unknown().nonoptional() }) }),
});

/** Whether the client of this request knows what a task is: it says so in every request. */
export function takesTasks({ mcpReq }: ServerContext): boolean {
  return declares.safeParse(mcpReq.envelope).success;
}

function needTasks(context: ServerContext): void {
  if (takesTasks(context)) return;
  throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [tasksExtension]: {} } } });
}

/** The tasks extension of 2026-07-28 (SEP-2663). */
function serveTasks(server: Server, protocol: Protocol): void {
  const { asker, surface } = protocol;
  const { tasks } = surface;
  if (tasks === undefined) return;
  server.setRequestHandler('tasks/get', { params: byTask }, ({ taskId }, context) =>
    guarded(protocol, 'tasks/get', async () => {
      needTasks(context);
      return { ...(await tasks.get(asker(context), taskId)) };
    }),
  );
  server.setRequestHandler('tasks/cancel', { params: byTask }, ({ taskId }, context) =>
    guarded(protocol, 'tasks/cancel', async () => {
      needTasks(context);
      await tasks.cancel(asker(context), taskId);
      return {};
    }),
  );
  server.setRequestHandler('tasks/update', { params: byTask }, ({ taskId }, context) =>
    guarded(protocol, 'tasks/update', async () => {
      needTasks(context);
      // The SDK takes the answers out of the params.
      await tasks.answer(asker(context), taskId, context.mcpReq.inputResponses ?? {});
      return {};
    }),
  );
}

/** A refusal becomes an error of the protocol with its code and its fix; a defect is told to the journal, not to the client. */
async function guarded<Result>(
  { onFailure }: Protocol,
  method: string,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    if (error instanceof AppError) throw refusal(error);
    onFailure(error, method);
    throw new ProtocolError(
      ProtocolErrorCode.InternalError,
      'The server failed on this request; maos doctor says why.',
    );
  }
}

function refusal(error: AppError): ProtocolError {
  const { code, message, fix } = error;
  const text = fix === undefined ? message : `${message} ${fix}`;
  return new ProtocolError(ProtocolErrorCode.InvalidParams, text, {
    code,
    message,
    ...(fix === undefined ? {} : { fix }),
  });
}
