import { invalid } from '../kernel/error.ts';

/** What the graph functions look at: plan tasks and planned tasks both fit. */
export interface GraphNode {
  readonly id: string;
  readonly needs: readonly string[];
}

/** Ids that are given more than once, with the indexes of the later ones. */
export function duplicateIds(
  nodes: readonly GraphNode[],
): { readonly id: string; readonly index: number; readonly first: number }[] {
  const first = new Map<string, number>();
  const found: { id: string; index: number; first: number }[] = [];
  for (const [index, node] of nodes.entries()) {
    const earlier = first.get(node.id);
    if (earlier === undefined) first.set(node.id, index);
    else found.push({ id: node.id, index, first: earlier });
  }
  return found;
}

/** Needs that name no node: position of the node and of the need in it. */
export function unknownNeeds(
  nodes: readonly GraphNode[],
): { readonly need: string; readonly node: number; readonly index: number }[] {
  const known = new Set(nodes.map((node) => node.id));
  return nodes.flatMap(({ needs }, node) =>
    [...needs.entries()].filter(([, need]) => !known.has(need)).map(([index, need]) => ({ need, node, index })),
  );
}

/** Kahn's algorithm. `order` lacks the nodes that stand on a cycle or behind one. Needs without a node are ignored. */
function sort(nodes: readonly GraphNode[], ignored: ReadonlySet<string>): string[] {
  const active = new Map(nodes.filter((node) => !ignored.has(node.id)).map((node) => [node.id, new Set(node.needs)]));
  const open = new Map<string, number>();
  const dependents = new Map<string, string[]>();
  for (const [id, needs] of active) {
    const real = [...needs].filter((need) => active.has(need));
    open.set(id, real.length);
    for (const need of real) {
      const list = dependents.get(need);
      if (list === undefined) dependents.set(need, [id]);
      else list.push(id);
    }
  }
  const order = [...active.keys()].filter((id) => open.get(id) === 0);
  // `order` grows while it is walked: it is the queue as well as the result.
  for (const id of order) {
    for (const dependent of dependents.get(id) ?? []) {
      const left = (open.get(dependent) ?? 0) - 1;
      open.set(dependent, left);
      if (left === 0) order.push(dependent);
    }
  }
  return order;
}

/** Follows needs from `start` inside `stuck` until a node comes again: `[a, b, a]`, a needs b needs a. */
function walk(start: string, needsOf: ReadonlyMap<string, readonly string[]>, stuck: ReadonlySet<string>): string[] {
  const at = new Map<string, number>();
  const path: string[] = [];
  for (let id: string | undefined = start; id !== undefined; id = needsOf.get(id)?.find((need) => stuck.has(need))) {
    const seen = at.get(id);
    if (seen !== undefined) return [...path.slice(seen), id];
    at.set(id, path.length);
    path.push(id);
  }
  return [];
}

/** One cycle of every tangle, each in full and closed: `['a', 'b', 'a']`. It begins with the node that stands first in the plan. */
export function findCycles(nodes: readonly GraphNode[]): string[][] {
  const needsOf = new Map(nodes.map((node) => [node.id, node.needs]));
  const ignored = new Set<string>();
  const cycles: string[][] = [];
  for (;;) {
    const sorted = new Set(sort(nodes, ignored));
    const stuck = new Set([...needsOf.keys()].filter((id) => !sorted.has(id) && !ignored.has(id)));
    const [start] = stuck;
    if (start === undefined) return cycles;
    const ring = walk(start, needsOf, stuck).slice(1);
    const first = [...needsOf.keys()].find((id) => ring.includes(id)) ?? start;
    const turn = ring.indexOf(first);
    cycles.push([...ring.slice(turn), ...ring.slice(0, turn), first]);
    for (const id of ring) ignored.add(id);
  }
}

/** Every id after all that it needs; otherwise in the given order. Refuses a cycle by naming it in full. */
export function topologicalOrder(nodes: readonly GraphNode[]): string[] {
  const order = sort(nodes, new Set());
  if (order.length < new Set(nodes.map((node) => node.id)).size) {
    const cycle = findCycles(nodes)[0] ?? [];
    throw invalid(`These tasks wait for each other: ${cycle.join(' → ')}.`, { fix: 'Remove one of these needs.' });
  }
  return order;
}

/** Answers "all that this node needs, directly or not"; remembers what it has computed. Safe on cycles. */
export function transitiveNeeds(nodes: readonly GraphNode[]): (id: string) => ReadonlySet<string> {
  const needsOf = new Map(nodes.map((node) => [node.id, node.needs]));
  const known = new Map<string, ReadonlySet<string>>();
  return (id) => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const found = new Set(needsOf.get(id) ?? []);
    for (const need of found) for (const further of known.get(need) ?? needsOf.get(need) ?? []) found.add(further);
    known.set(id, found);
    return found;
  };
}

/** The chain of tasks that decides how long the whole takes. `weight` is a task's expected duration; by default each counts one. */
export function criticalPath<Node extends GraphNode>(
  nodes: readonly Node[],
  weight: (node: Node) => number = () => 1,
): { readonly path: readonly string[]; readonly length: number } {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const best = new Map<string, { readonly length: number; readonly previous: string | undefined }>();
  let end: string | undefined;
  for (const id of topologicalOrder(nodes)) {
    const node = byId.get(id);
    if (node === undefined) continue;
    let length = 0;
    let previous: string | undefined;
    for (const need of node.needs) {
      const reached = best.get(need);
      if (reached !== undefined && (previous === undefined || reached.length > length)) {
        length = reached.length;
        previous = need;
      }
    }
    length += weight(node);
    best.set(id, { length, previous });
    if (end === undefined || length > (best.get(end)?.length ?? 0)) end = id;
  }
  const path: string[] = [];
  for (let id = end; id !== undefined; id = best.get(id)?.previous) path.unshift(id);
  return { path, length: end === undefined ? 0 : (best.get(end)?.length ?? 0) };
}
