/** For tests: the door `/mcp` of a real gateway. */
import { createGuard, type Credentials } from '../../auth/guard.ts';
import { systemClock } from '../../kernel/clock.ts';
import { TestServer } from '../gateway.fixture.ts';
import type { Limits, LiveFeed } from '../door.ts';
import type { Registry } from '../registry.ts';
import type { Operations } from './calls.ts';
import { type McpDoor, mcpDoor } from './route.ts';
import type { Surface } from './surface.ts';

interface Options {
  readonly surface?: Surface;
  /** Everybody is let in whose Host and Origin are right: the conformance suite has no token. */
  readonly open?: boolean;
  readonly limits?: Partial<Limits>;
  /** Beside the token of the machine's owner. */
  readonly credentials?: Credentials;
}

/** A server with some notes as its operations, or with another surface. */
export class McpTestServer extends TestServer {
  #mcp: McpDoor | undefined;

  async serve({ surface, open = false, limits = {}, credentials }: Options = {}): Promise<void> {
    const { token } = this;
    const live = (): LiveFeed => {
      if (this.feed === undefined) throw new Error('The server was not started.');
      return this.feed;
    };
    const feed: LiveFeed = {
      get head() {
        return live().head;
      },
      follow: (options) => live().follow(options),
    };
    const started = (): Registry => {
      if (this.registry === undefined) throw new Error('The server was not started.');
      return this.registry;
    };
    const registry: Operations = {
      get operations() {
        return started().operations;
      },
      call: (...args) => started().call(...args),
    };
    const mcp = (this.#mcp = mcpDoor({
      registry,
      feed,
      clock: systemClock,
      version: '1.2.3',
      limits,
      onFailure: (error) => this.failures.push(error),
      ...(surface === undefined ? {} : { surface }),
    }));
    await this.start({
      extraRoutes: mcp.routes,
      limits,
      guard: (port: number) => {
        const guard = createGuard({
          token,
          port,
          ...(credentials === undefined ? {} : { credentials: [credentials] }),
        });
        if (!open) return guard;
        return {
          ...guard,
          authenticate: (headers, path) => guard.authenticate({ ...headers, authorization: `Bearer ${token}` }, path),
        };
      },
    });
  }

  override async stop(): Promise<void> {
    await this.#mcp?.close();
    await super.stop();
  }
}
