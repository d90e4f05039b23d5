const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** A length of time in its two largest units: `850ms`, `12s`, `3m 4s`, `2h`, `4d 2h`. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const first = units.findIndex(([, size]) => ms >= size);
  const [unit, size] = units[first] ?? ['s', 1_000];
  const [smaller, part] = units[first + 1] ?? ['', Number.POSITIVE_INFINITY];
  const rest = Math.floor((ms % size) / part);
  return `${Math.floor(ms / size)}${unit}${rest > 0 ? ` ${rest}${smaller}` : ''}`;
}

/** A stopwatch: `0:34`, `12:05`, `1:02:03`. */
export function stopwatch(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** A time as seen from now: `12s ago`, `in 5m`. */
export function relative(at: number, now: number): string {
  const distance = now - at;
  if (Math.abs(distance) < 1_000) return 'now';
  return distance > 0 ? `${coarse(distance)} ago` : `in ${coarse(-distance)}`;
}

/** Of a distance only the largest unit is worth telling. */
function coarse(ms: number): string {
  return span(ms).split(' ')[0] ?? '';
}

/** `14:03:59`, in the time zone of the machine. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Money, with as many digits as small amounts need. */
export function money(usd: number): string {
  return `$${usd === 0 || usd >= 0.1 ? usd.toFixed(2) : usd.toFixed(4)}`;
}

/** `950`, `12.3k`, `4.5M`. */
export function count(value: number): string {
  if (value < 10_000) return String(value);
  return value < 1_000_000 ? `${(value / 1_000).toFixed(1)}k` : `${(value / 1_000_000).toFixed(1)}M`;
}
