import { appendFileSync } from 'node:fs';

/** The same thing without MAOS, measured in the same run: what the machine gives at this moment. */
interface Bare {
  readonly name: string;
  readonly value: number;
}

/** One figure of docs/performance.md. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly target?: { readonly least: number } | { readonly most: number };
  readonly bare?: Bare;
  /** Where one bench measured several things at once. */
  readonly note?: string;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Three digits that mean something. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

export function isMet({ value, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  return 'least' in target ? value >= target.least : value <= target.most;
}

export function targetText({ target, unit }: Figure): string {
  if (target === undefined) return '';
  return 'least' in target ? `≥ ${digits(target.least)} ${unit}` : `≤ ${digits(target.most)} ${unit}`;
}

/** Says a figure, and hands it to `npm run bench`, which collects the figures of all benches. */
export function report(figure: Figure): void {
  const met = isMet(figure);
  const { name, value, unit, bare, note } = figure;
  const parts = [
    `${name}: ${digits(value)} ${unit}`,
    met === undefined ? '' : `${met ? 'meets' : 'MISSES'} ${targetText(figure)}`,
    bare === undefined ? '' : `${bare.name}: ${digits(bare.value)} ${unit}, ratio ${digits(value / bare.value)}`,
    note ?? '',
  ];
  console.log(parts.filter((part) => part !== '').join('; '));
  const file = process.env['MAOS_BENCH_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(figure)}\n`);
}

/** The parts of a bench that were asked for on the command line; all of them when none is named. */
export async function runParts(parts: Readonly<Record<string, () => void | Promise<void>>>): Promise<void> {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !(name in parts));
  if (unknown.length > 0) throw new Error(`No part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}.`);
  for (const [name, run] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) await run();
}
