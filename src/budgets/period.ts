import type { BudgetTerms } from './contract.ts';

type Period = BudgetTerms['period'];

/** The day (UTC) of a time: 2026-11-21. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The period that a time lies in, as a beginning of its days: '' for total, 2026-11, 2026-11-21. */
export function daysOf(period: Period, at: number): string {
  return period === 'total' ? '' : dayOf(at).slice(0, period === 'day' ? 10 : 7);
}

/** The same, as records name it. */
export function spanOf(period: Period, at: number): string {
  return period === 'total' ? period : daysOf(period, at);
}

/** When the next period begins; null: never. */
export function nextPeriod(period: Period, at: number): number | null {
  const now = new Date(at);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  if (period === 'day') return Date.UTC(year, month, day + 1);
  return period === 'month' ? Date.UTC(year, month + 1, 1) : null;
}
