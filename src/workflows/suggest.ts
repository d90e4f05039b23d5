import { nearest } from '../kernel/nearest.ts';

/** `Did you mean "x"?`, or else what there is, so that a message always names a way on. */
export function suggestion(word: string, known: readonly string[], otherwise: string): string {
  const near = nearest(word, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  if (known.length === 0) return otherwise;
  return `There is: ${known.slice(0, 12).join(', ')}${known.length > 12 ? ', …' : ''}.`;
}
