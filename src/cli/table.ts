import { noPaint, type Paint, type Style } from './terminal.ts';
import { fit, widthOf } from './text.ts';

export interface Column {
  readonly title: string;
  readonly side?: 'left' | 'right';
  /** Half of an id is useless: the column is shown whole or not at all. Numbers always are. */
  readonly solid?: boolean;
  readonly style?: (cell: string) => Style | undefined;
}

const gap = 2;
/** Narrower than this a column tells nothing. */
const narrowest = 8;

/** A table in lines, head first. Texts give way to a narrow terminal, then whole columns do, from the right. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
  paint: Paint = noPaint,
): string[] {
  const natural = columns.map((column, index) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(row[index] ?? ''))),
  );
  const widths = fitWidths(columns, natural, width);
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

function fitWidths(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  const total = (): number => widths.reduce((sum, columnWidth) => sum + columnWidth, 0) + gap * (widths.length - 1);
  const least = columns.map(({ solid, side }, index) =>
    solid === true || side === 'right' ? (natural[index] ?? 0) : Math.min(narrowest, natural[index] ?? 0),
  );
  while (total() > width) {
    // What can give way most, gives way; when nothing can, the last column goes.
    const spare = widths.map((columnWidth, index) => columnWidth - (least[index] ?? 0));
    const most = Math.max(...spare);
    const at = spare.lastIndexOf(most);
    if (most > 0) widths[at] = (widths[at] ?? 0) - Math.min(most, total() - width);
    else if (widths.length > 1) widths.pop();
    else break;
  }
  return widths;
}
