/** A stretch of the week, as a rule says it. */
export interface Stretch {
  readonly days?: readonly string[] | undefined;
  readonly hours?: string | undefined;
  readonly zone: string;
}

const week = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Whether a moment lies in a stretch of the week. Throws a RangeError for a zone that does not exist. */
export function withinStretch({ days, hours, zone }: Stretch): (at: number) => boolean {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const [from, to] = hours === undefined ? [0, 24 * 60] : hours.split('-').map(minutes);
  // Formatting is slow; within a minute the answer is the same.
  let asked = Number.NaN;
  let answer = false;
  return (at) => {
    const minute = Math.floor(at / 60_000);
    if (minute !== asked) {
      asked = minute;
      answer = lies(format.format(at), from ?? 0, to ?? 0, days);
    }
    return answer;
  };
}

function lies(text: string, from: number, to: number, days: readonly string[] | undefined): boolean {
  const match = /([A-Z][a-z]{2})\D*(\d\d):(\d\d)/.exec(text);
  const day = week.indexOf((match?.[1] ?? '').toLowerCase());
  const now = Number(match?.[2]) * 60 + Number(match?.[3]);
  const overnight = to <= from;
  if (overnight ? now < from && now >= to : now < from || now >= to) return false;
  if (days === undefined) return true;
  // After midnight a stretch still belongs to the day on which it began.
  const began = overnight && now < to ? (day + 6) % 7 : day;
  return days.includes(week[began] ?? '');
}

function minutes(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
}
