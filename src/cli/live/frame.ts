import { money, stopwatch } from '../moment.ts';
import type { Paint, Style } from '../terminal.ts';
import { clip, fit, oneLine, widthOf } from '../text.ts';
import { branches, type Branch } from './branches.ts';
import type { Row, Tree } from './tree.ts';

/** What a frame is drawn for. */
export interface Surface {
  readonly width: number;
  readonly height: number;
  readonly now: number;
  readonly unicode: boolean;
  readonly paint: Paint;
}

const glyphs: Readonly<Record<string, readonly [unicode: string, ascii: string, style: Style | undefined]>> = {
  pending: ['○', '.', 'dim'],
  working: ['●', '*', 'cyan'],
  checking: ['◎', '?', 'blue'],
  merging: ['◇', '>', 'blue'],
  waiting: ['◆', '!', 'yellow'],
  done: ['✓', '+', 'green'],
  failed: ['✗', 'x', 'red'],
  cancelled: ['–', '-', 'dim'],
};

/** Which glyph a task shows. */
function signOf({ state, phase }: Row): string {
  if (state === 'done' || state === 'failed' || state === 'cancelled' || state === 'waiting') return state;
  if (state !== 'claimed') return 'pending';
  return phase === 'checking' || phase === 'merging' ? phase : 'working';
}

/** The tree as lines, none wider than the surface and no more than its height. */
export function frame(tree: Tree, surface: Surface): string[] {
  const rows = [...tree.rows.values()];
  const branched = branches(rows, surface.unicode);
  const room = Math.max(1, surface.height - 2);
  const fits = branched.length <= room;
  const shown = fits ? branched : selected(branched, room - 1);
  const layout = layoutOf(shown, surface);
  return [
    header(tree, rows, surface),
    ...shown.map((branch) => line(branch, layout, surface)),
    ...(fits ? [] : [clip(surface.paint('dim', rest(branched, shown, surface)), surface.width)]),
  ];
}

/** What a person wants to see when there is no room for all: what goes on, then what went wrong, then the rest. */
function selected(all: readonly Branch[], room: number): Branch[] {
  const rank = ({ row }: Branch): number =>
    ['working', 'checking', 'merging', 'waiting', 'failed', 'pending'].indexOf(signOf(row)) + 1 || 9;
  const chosen = new Set(all.toSorted((a, b) => rank(a) - rank(b)).slice(0, Math.max(0, room)));
  // Lines between tasks mean nothing when tasks between them are missing.
  return all.filter((branch) => chosen.has(branch)).map((branch) => ({ ...branch, rail: '' }));
}

function rest(all: readonly Branch[], shown: readonly Branch[], { unicode }: Surface): string {
  const seen = new Set(shown.map(({ row }) => row.task));
  const signs = all.filter(({ row }) => !seen.has(row.task)).map(({ row }) => signOf(row));
  const counts = Map.groupBy(signs, (sign) => sign);
  return `${unicode ? '…' : '...'} and ${[...counts].map(([sign, list]) => `${list.length} ${sign}`).join(', ')}`;
}

function header(tree: Tree, rows: readonly Row[], surface: Surface): string {
  const { paint, now, width } = surface;
  const done = rows.filter((row) => row.state === 'done').length;
  const working = rows.filter((row) => row.state === 'claimed').length;
  const costs = rows.flatMap((row) => row.costUsd ?? []);
  const parts = [
    `${done}/${rows.length} done`,
    ...(working > 0 ? [`${working} working`] : []),
    stopwatch((tree.endedAt ?? now) - tree.startedAt),
    ...(costs.length > 0 ? [money(costs.reduce((sum, cost) => sum + cost, 0))] : []),
    ...(tree.reason === null ? [] : [oneLine(tree.reason)]),
  ];
  const text = clip(`${tree.name}  ${tree.state}  ${parts.join(surface.unicode ? ' · ' : ', ')}`, width);
  return paint('bold', text.slice(0, tree.name.length)) + text.slice(tree.name.length);
}

interface Layout {
  readonly name: number;
  readonly runtime: number;
  readonly time: number;
  readonly diff: number;
  readonly cost: number;
  /** What is left for the action; 0: none is shown. */
  readonly action: number;
}

const least = 16;

function layoutOf(shown: readonly Branch[], { width, now }: Surface): Layout {
  const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map(widthOf));
  const rows = shown.map(({ row }) => row);
  const name = Math.min(widest(shown.map((branch) => label(branch))), Math.max(8, Math.floor(width * 0.4)));
  const sizes = {
    time: widest(rows.map((row) => elapsed(row, now))),
    diff: widest(rows.map(diffOf)),
    cost: widest(rows.map(costOf)),
    runtime: widest(rows.map((row) => row.runtime)),
  };
  // On a narrow terminal the columns that matter least make room for what an agent does.
  let left = width - 2 - name;
  const take = (size: number): number => {
    if (size === 0 || left - size - 2 < least) return 0;
    left -= size + 2;
    return size;
  };
  const [time, diff, cost, runtime] = [take(sizes.time), take(sizes.diff), take(sizes.cost), take(sizes.runtime)];
  return { name, time, diff, cost, runtime, action: Math.max(0, left - 2) };
}

/** A long chain of needs must not push its own names off the screen. */
function label({ rail, row }: Branch): string {
  return shortRail(rail) + oneLine(row.id);
}

const longest = 15;

function shortRail(rail: string): string {
  return rail.length <= longest ? rail : rail.slice(-longest);
}

function line(branch: Branch, layout: Layout, surface: Surface): string {
  const { row } = branch;
  const { paint, unicode, now } = surface;
  const [fancy, simple, style] = glyphs[signOf(row)] ?? ['?', '?', undefined];
  const mark = unicode ? '…' : '~';
  const rail = shortRail(branch.rail);
  const name = fit(oneLine(row.id), Math.max(1, layout.name - widthOf(rail)), 'left', mark);
  const cells = [
    ...(layout.runtime > 0 ? [paint('dim', fit(oneLine(row.runtime), layout.runtime, 'left', mark))] : []),
    ...(layout.action > 0 ? [fit(what(row), layout.action, 'left', mark)] : []),
    ...(layout.diff > 0 ? [fit(diffOf(row), layout.diff, 'right')] : []),
    ...(layout.cost > 0 ? [fit(costOf(row), layout.cost, 'right')] : []),
    ...(layout.time > 0 ? [fit(elapsed(row, now), layout.time, 'right')] : []),
  ];
  const head = `${paint('dim', rail)}${paint(style, unicode ? fancy : simple)} ${name}`;
  return [head, ...cells].join('  ').trimEnd();
}

/** What a task does now, or why it does not. */
function what(row: Row): string {
  const again = row.attempt > 1 ? ` (attempt ${row.attempt})` : '';
  if (row.state === 'done') return 'done';
  if (row.state !== 'claimed')
    return oneLine(row.reason ?? (row.state === 'blocked' ? `needs ${row.needs.join(', ')}` : row.state)) + again;
  const action = row.phase === 'working' || row.phase === 'resolving' ? row.action : null;
  return oneLine(`${row.phase}${again}${action === null ? '' : `: ${action}`}`);
}

/** How long an attempt takes or took; a task that waits for its turn takes no time. */
function elapsed({ state, startedAt, endedAt }: Row, now: number): string {
  if (startedAt === null || (endedAt === null && state !== 'claimed' && state !== 'waiting')) return '';
  return stopwatch((endedAt ?? now) - startedAt);
}

function diffOf({ changed }: Row): string {
  return changed === null || changed.files === 0 ? '' : `+${changed.added} -${changed.deleted}`;
}

function costOf({ costUsd }: Row): string {
  return costUsd === null ? '' : money(costUsd);
}
