import type { Row } from './tree.ts';

/** A row with the lines that lead to it. */
export interface Branch {
  readonly row: Row;
  readonly rail: string;
}

/**
 * A graph of needs drawn as a tree: every task stands below the one of its needs that comes last, so that reading from
 * top to bottom is an order in which the tasks can run.
 */
export function branches(rows: readonly Row[], unicode: boolean): Branch[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const depths = new Map<string, number>();
  const depthOf = (row: Row): number => {
    const known = depths.get(row.id);
    if (known !== undefined) return known;
    // A plan has no cycles; if one came here all the same, it must not end in a stack overflow.
    depths.set(row.id, 0);
    const depth = Math.max(-1, ...needsOf(row, byId).map(depthOf)) + 1;
    depths.set(row.id, depth);
    return depth;
  };
  const children = Map.groupBy(rows, (row) => {
    const needs = needsOf(row, byId);
    const deepest = Math.max(-1, ...needs.map(depthOf));
    return needs.findLast((need) => depthOf(need) === deepest && need.id !== row.id)?.id;
  });
  const [bar, tee, end, gap] = unicode ? ['│  ', '├─ ', '└─ ', '   '] : ['|  ', '|- ', '`- ', '   '];
  const drawn: Branch[] = [];
  const draw = (row: Row, before: string, joint: string, below: string): void => {
    drawn.push({ row, rail: before + joint });
    const inner = children.get(row.id) ?? [];
    inner.forEach((child, index) => {
      const last = index === inner.length - 1;
      draw(child, before + below, last ? end : tee, last ? gap : bar);
    });
  };
  for (const row of children.get(undefined) ?? []) draw(row, '', '', '');
  return drawn;
}

function needsOf(row: Row, byId: ReadonlyMap<string, Row>): Row[] {
  return row.needs.flatMap((id) => byId.get(id) ?? []);
}
