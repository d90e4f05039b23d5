import { noPaint, type Paint, type Style } from './terminal.ts';
import { fit, widthOf } from './text.ts';

export interface Column {
  readonly title: string;
  readonly side?: 'left' | 'right';
  readonly style?: (cell: string) => Style | undefined;
}

const gap = 2;
/** Narrower than this a column tells nothing. */
const narrowest = 8;

/**
 * A table in lines, head first. What does not fit is first taken from the widest columns, then columns go from the
 * right; without a limit of width nothing is cut.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
  paint: Paint = noPaint,
): string[] {
  const natural = columns.map((column, index) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(row[index] ?? ''))),
  );
  const widths = fitWidths(natural, width);
  const line = (cells: readonly string[], styleOf: (index: number, cell: string) => Style | undefined): string =>
    widths
      .map((columnWidth, index) => {
        const cell = cells[index] ?? '';
        const last = index === widths.length - 1 && columns[index]?.side !== 'right';
        const text = fit(cell, last ? Math.min(columnWidth, widthOf(cell)) : columnWidth, columns[index]?.side);
        return paint(styleOf(index, cell), text);
      })
      .join(' '.repeat(gap))
      .trimEnd();
  return [
    line(
      columns.map((column) => column.title),
      () => 'dim',
    ),
    ...rows.map((row) => line(row, (index, cell) => columns[index]?.style?.(cell))),
  ];
}

function fitWidths(natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  const total = (): number => widths.reduce((sum, columnWidth) => sum + columnWidth, 0) + gap * (widths.length - 1);
  while (total() > width) {
    const widest = Math.max(...widths);
    if (widest > narrowest) widths[widths.lastIndexOf(widest)] = Math.max(narrowest, widest - (total() - width));
    else if (widths.length > 1) widths.pop();
    else break;
  }
  return widths;
}
