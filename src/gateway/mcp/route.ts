import type { Caller } from '../../kernel/caller.ts';
import type { Clock } from '../../kernel/clock.ts';
import { defaultLimits, type ExtraRoute, type FailurePlace, type Lease, type Limits, type LiveFeed } from '../door.ts';
import type { Operations } from './calls.ts';
import type { Endpoint } from './endpoint.ts';
import type { Surface } from './surface.ts';
import { Watch } from './watch.ts';

export interface McpOptions {
  readonly registry: Operations;
  readonly feed: LiveFeed;
  readonly clock: Clock;
  readonly version: string;
  readonly limits?: Partial<Limits>;
  /** What a caller has left of its calls, as headers. */
  readonly rates?: (caller: Caller) => Readonly<Record<string, string>>;
  readonly onFailure: (error: unknown, place: FailurePlace) => void;
  /** What is shown in place of MAOS's own operations: the fixtures of the conformance suite. */
  readonly surface?: Surface;
}

/** The door `/mcp` as the gateway takes it. */
export interface McpDoor {
  readonly routes: readonly ExtraRoute[];
  /** Ends what is open; called before the gateway waits for its open answers. */
  close(): Promise<void>;
}

/** Makes the door. What serves it is loaded with the first request: a server that nobody asks over MCP is spared the SDK. */
export function mcpDoor(options: McpOptions): McpDoor {
  let opened: Promise<Endpoint> | undefined;
  const handle: ExtraRoute['handle'] = async (request, response, caller: Caller, lease: Lease) => {
    const endpoint = await (opened ??= open(options));
    await endpoint.handle(request, response, caller, lease);
  };
  return {
    routes: (['GET', 'POST', 'DELETE'] as const).map((method) => ({ method, path: '/mcp', handle })),
    close: async () => (await opened)?.close(),
  };
}

async function open({
  registry,
  feed,
  clock,
  version,
  limits,
  onFailure,
  surface,
  rates,
}: McpOptions): Promise<Endpoint> {
  const { Endpoint: Server } = await import('./endpoint.ts');
  const failed = (error: unknown, operation: string): void =>
    onFailure(error, { operation: `mcp ${operation}`, trace: undefined });
  const watch = new Watch({ feed, clock, onFailure: (error) => failed(error, 'watch') });
  const shown =
    surface ?? (await import('./maos.ts')).maosSurface({ operations: registry, watch, clock, onFailure: failed });
  return new Server({
    surface: shown,
    watch,
    version,
    limits: { ...defaultLimits, ...limits },
    rates: rates ?? (() => ({})),
    onFailure,
  });
}
