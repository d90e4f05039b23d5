import { nearest } from '../kernel/nearest.ts';
import type { Operation } from '../kernel/operation.ts';
import { HttpError } from './problem.ts';

/** Below this path stand the routes of all operations. */
const apiPrefix = '/api/v1';

export interface Route {
  readonly operation: Operation;
  readonly method: string;
  /** `/api/v1/tasks/:task/claim` */
  readonly path: string;
  readonly params: readonly string[];
}

/** The route that an operation is given by its contract. */
export function routeOf(operation: Operation): Route {
  const [method = '', path = ''] = operation.route.split(' ');
  const params = path.split('/').flatMap((part) => (part.startsWith(':') ? [part.slice(1)] : []));
  return { operation, method, path: `${apiPrefix}${path}`, params };
}

interface Node {
  readonly fixed: Map<string, Node>;
  param: Node | undefined;
  readonly methods: Map<string, Route>;
}

const emptyNode = (): Node => ({ fixed: new Map(), param: undefined, methods: new Map() });

/** Finds routes. A fixed segment wins over a parameter, and the search goes back when it led nowhere. */
export class Router {
  readonly routes: readonly Route[];
  readonly #root = emptyNode();

  constructor(operations: readonly Operation[], reserved: readonly string[]) {
    this.routes = operations.map(routeOf);
    for (const route of this.routes) this.#add(route, reserved);
  }

  /** The route and its decoded path parameters. Refuses unknown paths (404, naming the nearest) and methods (405). */
  find(method: string, path: string): { readonly route: Route; readonly params: readonly string[] } {
    const others = new Set<string>();
    const sought = { method: method === 'HEAD' ? 'GET' : method, segments: path.split('/'), others };
    const found = search(sought, this.#root, 1, []);
    if (found !== undefined) return { route: found.route, params: found.values.map(decode) };
    if (others.size === 0) throw this.#unknown(method, path);
    const allow = [...others].toSorted().join(', ');
    throw new HttpError(405, 'invalid', `${path} does not take ${method}.`, `It takes ${allow}.`, { allow });
  }

  #add(route: Route, reserved: readonly string[]): void {
    if (reserved.includes(`${route.method} ${route.path}`))
      throw new Error(`${route.operation.name}: ${route.path} is reserved.`);
    let node = this.#root;
    for (const part of route.path.split('/').slice(1)) {
      if (part.startsWith(':')) node = node.param ??= emptyNode();
      else {
        const next = node.fixed.get(part) ?? emptyNode();
        node.fixed.set(part, next);
        node = next;
      }
    }
    const other = node.methods.get(route.method);
    if (other !== undefined)
      throw new Error(`${route.operation.name} and ${other.operation.name} have the same route.`);
    node.methods.set(route.method, route);
  }

  #unknown(method: string, path: string): HttpError {
    const known = this.routes.map((route) => `${route.method} ${route.path}`);
    const guess = path.length > 200 ? undefined : nearest(`${method} ${path}`, known);
    const fix = guess === undefined ? '/openapi.json lists the routes.' : `Did you mean ${guess}?`;
    return new HttpError(404, 'not_found', `There is nothing at ${method} ${path.slice(0, 200)}.`, fix);
  }
}

interface Sought {
  readonly method: string;
  readonly segments: readonly string[];
  /** Collects the methods of paths that fit but for their method. */
  readonly others: Set<string>;
}

function search(
  sought: Sought,
  node: Node,
  index: number,
  values: readonly string[],
): { route: Route; values: readonly string[] } | undefined {
  const segment = sought.segments[index];
  if (segment === undefined) {
    const route = node.methods.get(sought.method);
    if (route !== undefined) return { route, values };
    for (const method of node.methods.keys()) sought.others.add(method);
    return undefined;
  }
  const fixed = node.fixed.get(segment);
  const found = fixed === undefined ? undefined : search(sought, fixed, index + 1, values);
  if (found !== undefined || node.param === undefined || segment === '') return found;
  return search(sought, node.param, index + 1, [...values, segment]);
}

function decode(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new HttpError(
      400,
      'invalid',
      `"${segment.slice(0, 100)}" in the path is not percent-encoded UTF-8.`,
      'Encode it with encodeURIComponent.',
    );
  }
}
