const context = 3;

const linesOf = (text: string | null): string[] => (text === null || text === '' ? [] : text.split(/(?<=\n)/));

/** A unified diff in one hunk; null stands for no file. Empty when nothing differs. */
export function unifiedDiff(file: string, before: string | null, after: string | null): string {
  if (before === after) return '';
  const [old, now] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const from = Math.max(0, head - context);
  const more = Math.min(context, tail);
  const count = (lines: readonly string[]): string => {
    const length = lines.length - tail + more - from;
    return `${length === 0 ? from : from + 1},${length}`;
  };
  const lines = [
    ...old.slice(from, head).map((line) => ` ${line}`),
    ...old.slice(head, old.length - tail).map((line) => `-${line}`),
    ...now.slice(head, now.length - tail).map((line) => `+${line}`),
    ...old.slice(old.length - tail, old.length - tail + more).map((line) => ` ${line}`),
  ];
  const named = (text: string | null, side: string): string => (text === null ? '/dev/null' : `${side}/${file}`);
  return [
    `--- ${named(before, 'a')}\n+++ ${named(after, 'b')}\n@@ -${count(old)} +${count(now)} @@\n`,
    ...lines.map((line) => (line.endsWith('\n') ? line : `${line}\n\\ No newline at end of file\n`)),
  ].join('');
}
