import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { criticalPath, findCycles, type GraphNode, topologicalOrder, transitiveNeeds } from './graph.ts';
import { parsePlan } from './parse.ts';

/** Random graphs without a cycle: a node needs only earlier ones; then the nodes are shuffled. */
const dags = fc
  .integer({ min: 2, max: 25 })
  .chain((size) =>
    fc.tuple(
      fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: size, maxLength: size }),
      fc.shuffledSubarray(
        Array.from({ length: size }, (_, index) => index),
        { minLength: size, maxLength: size },
      ),
    ),
  )
  .map(([needs, order]) => {
    const nodes = needs.map((list, index) => ({
      id: `t${index}`,
      needs: index === 0 ? [] : [...new Set(list.map((need) => `t${need % index}`))],
    }));
    return order.flatMap((index) => nodes[index] ?? []);
  });

/** Closes a cycle: an ancestor comes to need the node that needs it. */
const withBackEdge = (nodes: readonly GraphNode[], pick: number): GraphNode[] | null => {
  const needs = transitiveNeeds(nodes);
  const edges = nodes.flatMap(({ id }) => [...needs(id)].map((need) => ({ from: need, to: id })));
  const edge = edges[pick % Math.max(1, edges.length)];
  return edge === undefined
    ? null
    : nodes.map((node) => (node.id === edge.from ? { ...node, needs: [...node.needs, edge.to] } : node));
};

const planText = (nodes: readonly GraphNode[]): string =>
  `name: p\ntasks:\n${nodes.map(({ id, needs }) => `  - {id: ${id}, prompt: x, needs: [${needs.join(', ')}]}\n`).join('')}`;

describe('any graph', () => {
  test('without a cycle is accepted, and its order respects every need', () => {
    fc.assert(
      fc.property(dags, (nodes) => {
        expect(findCycles(nodes)).toEqual([]);
        const order = topologicalOrder(nodes);
        expect(order.toSorted()).toEqual(nodes.map(({ id }) => id).toSorted());
        const at = new Map(order.map((id, index) => [id, index]));
        for (const { id, needs } of nodes)
          for (const need of needs) expect(at.get(need)).toBeLessThan(at.get(id) ?? -1);
        expect(parsePlan(planText(nodes), { file: 'p' }).tasks).toHaveLength(nodes.length);
      }),
    );
  });

  test('with one back edge is refused, and the cycle that is named exists edge by edge', () => {
    fc.assert(
      fc.property(dags, fc.nat(), (nodes, pick) => {
        const cyclic = withBackEdge(nodes, pick);
        fc.pre(cyclic !== null);
        const cycles = findCycles(cyclic);
        expect(cycles.length).toBeGreaterThan(0);
        for (const cycle of cycles) {
          expect(cycle.at(-1)).toBe(cycle[0]);
          expect(new Set(cycle).size).toBe(cycle.length - 1);
          for (const [index, id] of cycle.slice(0, -1).entries()) {
            expect(cyclic.find((node) => node.id === id)?.needs).toContain(cycle[index + 1]);
          }
        }
        const named = cycles[0]?.join(' → ') ?? '';
        expect(() => topologicalOrder(cyclic)).toThrow(named);
        expect(() => parsePlan(planText(cyclic), { file: 'p' })).toThrow(/wait for each other|needs itself/);
      }),
    );
  });

  test('the critical path is a chain of needs, and no chain is heavier', () => {
    fc.assert(
      fc.property(
        dags,
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 25, maxLength: 25 }),
        (nodes, weights) => {
          const weight = ({ id }: GraphNode): number => weights[Number(id.slice(1))] ?? 0;
          const { path, length } = criticalPath(nodes, weight);
          const byId = new Map(nodes.map((node) => [node.id, node]));
          for (const [index, id] of path.slice(1).entries()) expect(byId.get(id)?.needs).toContain(path[index]);
          // The heaviest chain that ends in a node, computed the slow way.
          const heaviest = (node: GraphNode): number =>
            weight(node) + Math.max(0, ...node.needs.map((need) => heaviest(byId.get(need) ?? { id: '', needs: [] })));
          fc.pre(nodes.length <= 12);
          expect(length).toBe(Math.max(...nodes.map(heaviest)));
        },
      ),
    );
  });
});

test('every tangle is named once', () => {
  const nodes = ['a:b', 'b:a', 'c:d', 'd:c,a', 'e:c', 'f:'].map((text) => {
    const [id = '', needs = ''] = text.split(':');
    return { id, needs: needs.split(',').filter((need) => need !== '') };
  });
  expect(findCycles(nodes)).toEqual([
    ['a', 'b', 'a'],
    ['c', 'd', 'c'],
  ]);
});

test('a long chain and a wide fan are sorted without recursion', () => {
  const chain = Array.from({ length: 50_000 }, (_, index) => ({
    id: `t${index}`,
    needs: index === 0 ? [] : [`t${index - 1}`],
  }));
  expect(topologicalOrder(chain.toReversed())).toHaveLength(50_000);
  expect(criticalPath(chain).length).toBe(50_000);
});
