const gap = ' … ';

/** Of a text that is too long its beginning, which says what happened, and its end, where programs print the cause. */
export function excerpt(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const line = text.indexOf('\n');
  const head = text.slice(0, Math.min(line === -1 ? limit : line, Math.floor(limit / 2) - gap.length));
  return `${head}${gap}${text.slice(text.length - (limit - head.length - gap.length))}`;
}
