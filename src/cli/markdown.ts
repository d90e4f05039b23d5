import { tableLines } from './table.ts';
import type { Terminal } from './terminal.ts';
import { clean, widthOf, wrap } from './text.ts';

type Surface = Pick<Terminal, 'style' | 'width' | 'color'>;

/** Markdown as a terminal shows it best: headings bold, tables aligned, marks gone where a style says the same. */
export function markdownLines(markdown: string, terminal: Surface): string[] {
  const lines = clean(markdown).trimEnd().split('\n');
  const shown: string[] = [];
  let fenced = false;
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (line.startsWith('```')) fenced = !fenced;
    else if (fenced) shown.push(`    ${line}`);
    else if (isRow(line) && isRule(lines[index + 1])) {
      const end = lines.findIndex((other, at) => at > index && !isRow(other));
      const rows = lines.slice(index, end === -1 ? lines.length : end);
      shown.push(...table(rows, terminal));
      index += rows.length - 1;
    } else shown.push(...paragraph(line, terminal));
  }
  return shown.filter((line, index) => line !== '' || shown[index - 1] !== '');
}

function isRow(line: string): boolean {
  return line.startsWith('|') && line.trimEnd().endsWith('|');
}

function isRule(line: string | undefined): boolean {
  return line !== undefined && /^\|(?:\s*:?-+:?\s*\|)+\s*$/.test(line);
}

function cellsOf(row: string): string[] {
  return row
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => bare(cell.trim().replaceAll('\\|', '|')));
}

function table([head = '', rule = '', ...body]: readonly string[], terminal: Surface): string[] {
  const sides = cellsOf(rule).map((cell) => (cell.endsWith(':') ? ('right' as const) : ('left' as const)));
  const columns = cellsOf(head).map((title, index) => ({ title, side: sides[index] ?? ('left' as const) }));
  return tableLines(columns, body.map(cellsOf), terminal.width(), terminal.style);
}

/** Marks and links say nothing in a table on a terminal. */
function bare(text: string): string {
  return text
    .replace(/\*\*([^*]+)\*\*/g, '$1')
    .replace(/`([^`]+)`/g, '$1')
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');
}

function paragraph(line: string, terminal: Surface): string[] {
  const heading = /^(#{1,6})\s+(.*)$/.exec(line);
  if (heading !== null) return [terminal.style('bold', bare(heading[2] ?? ''))];
  const indent = /^(\s*(?:[-*]|\d+\.)?\s*)/.exec(line)?.[0] ?? '';
  const room = terminal.width() - widthOf(indent);
  const [first = '', ...others] = line.trim() === '' ? [''] : wrap(line.slice(indent.length), room);
  return [indent + first, ...others.map((rest) => ' '.repeat(widthOf(indent)) + rest)].map((text) =>
    inline(text, terminal).trimEnd(),
  );
}

function inline(text: string, { style, color }: Surface): string {
  if (!color) return text.replace(/\*\*([^*]+)\*\*/g, '$1');
  return text
    .replace(/\*\*([^*]+)\*\*/g, (_all, inner: string) => style('bold', inner))
    .replace(/`([^`]+)`/g, (_all, inner: string) => style('cyan', inner));
}
