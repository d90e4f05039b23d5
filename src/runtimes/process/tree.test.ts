import { expect, it } from 'vitest';
import type { ScannedProcess } from './proc.ts';
import { treeMembers, type TreeRoot } from './tree.ts';

function row(pid: number, more: Partial<ScannedProcess> = {}): ScannedProcess {
  return { pid, parent: 1, group: pid, session: pid, ticks: 10, startTime: '10@boot', maosSession: undefined, ...more };
}

const root: TreeRoot = { session: 's1', leader: 100, leaderKnown: true, since: 5 };
const pids = (processes: ScannedProcess[], changes: Partial<TreeRoot> = {}): number[] =>
  treeMembers({ ...root, ...changes }, processes)
    .map((member) => member.pid)
    .toSorted((a, b) => a - b);

it('finds the wrapper, its group, its session, and those who left both but kept their environment', () => {
  const own = { maosSession: 's1' };
  expect(
    pids([
      row(100, own),
      row(101, { group: 100, session: 100, parent: 100 }),
      row(102, { session: 100 }),
      row(103, own),
      row(104),
    ]),
  ).toEqual([100, 101, 102, 103]);
});

it('finds the children of members, who changed both their session and their environment', () => {
  expect(pids([row(302, { parent: 301 }), row(301, { parent: 300 }), row(300, { maosSession: 's1' })])).toEqual([
    300, 301, 302,
  ]);
});

it('leaves the agents of another session alone, also inside the same group', () => {
  expect(pids([row(100, { maosSession: 's1' }), row(101, { group: 100, maosSession: 's2' })])).toEqual([100]);
});

it('does not go by a pid that may be someone else by now', () => {
  expect(pids([row(100), row(101, { group: 100, session: 100 })], { leaderKnown: false })).toEqual([]);
});
