import * as z from 'zod';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const pattern = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/;
const positive = /^(?=[^a-z]*[1-9])[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$/;

/** A duration as a person writes it. It stays text in a plan and becomes milliseconds in a planned task. */
export const durationSchema = z
  .string({ error: 'A duration has a number and a unit. Write 500ms, 30s, 10m or 2h.' })
  .regex(pattern, 'A duration has a number and a unit. Write 500ms, 30s, 10m or 2h.')
  .describe('A duration: a number and a unit (ms, s, m, h, d), for example 500ms, 30s, 10m, 2h.');

/** A duration that is not zero. */
export const timeoutSchema = durationSchema
  .regex(positive, 'A timeout of zero ends the task at once. Write 500ms, 30s, 10m or 2h.')
  .describe('A duration that is not zero, for example 500ms, 30s, 10m, 2h.');

/** Milliseconds of a duration that `durationSchema` has accepted. */
export function durationMs(text: string): number {
  const [, amount, unit] = pattern.exec(text) ?? [];
  const factor = units[unit ?? ''];
  if (amount === undefined || factor === undefined) throw new RangeError(`"${text}" is not a duration.`);
  return Math.round(Number(amount) * factor);
}
