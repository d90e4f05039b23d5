import type { ServerContext } from '@modelcontextprotocol/server';
import * as z from 'zod';
import type { CallOptions, Registry } from '../registry.ts';
import type { Asker } from './surface.ts';

/** How this door calls operations: by name, and looking only at what it needs of their outputs. */
export type Operations = Pick<Registry, 'call' | 'operations'>;

/** The key under which a client may repeat a call that writes, in the `_meta` of its request. */
const keyName = 'maos/idempotency-key';
const traceparent = /^00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Who calls, and what the request brought along: the trace that it belongs to, its key, and the signal of its cancellation. */
export function callOptions({ caller, ended }: Asker, context?: ServerContext): CallOptions {
  const options = { caller };
  if (context === undefined) return options;
  const { _meta: meta = {}, signal } = context.mcpReq;
  const parent = meta['traceparent'];
  const trace = typeof parent === 'string' ? traceparent.exec(parent)?.[1] : undefined;
  const key = meta[keyName];
  return {
    ...options,
    signal: AbortSignal.any([signal, ended]),
    ...(trace === undefined ? {} : { trace }),
    ...(typeof key === 'string' ? { key } : {}),
  };
}

/** What this door knows of a run. */
export const runFacts = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  since: z.number(),
  reason: z.string().nullable(),
  createdAt: z.number(),
  counts: z.record(z.string(), z.number()),
  steps: z.array(z.object({ id: z.string(), task: z.string() })),
});
export type RunFacts = z.output<typeof runFacts>;

export const runLists = z.object({
  runs: z.array(z.object({ id: z.string(), name: z.string(), state: z.string(), createdAt: z.number() })),
});

export const agentLists = z.object({
  agents: z.array(z.object({ id: z.string(), name: z.string(), generation: z.number() })),
});
