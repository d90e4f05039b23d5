const escape = String.fromCharCode(27);
const bell = String.fromCharCode(7);
// A sequence that never ends is not taken for one: only its first character is dropped, and the rest is shown.
const sequences = new RegExp(
  `${escape}(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^${escape}${bell}\\n]*(?:${bell}|${escape}\\\\)|[ -/]*[0-Z\\\\^-~])`,
  'gu',
);
const controls = /[^\P{Cc}\n\t]/gu;
/** They make a line look like another one. */
const reordering = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Text from outside without what a terminal would obey: escape sequences, control characters, changes of direction. */
export function clean(text: string): string {
  return text.replace(sequences, '').replace(controls, '').replace(reordering, '');
}

/** Cleaned text on one line. */
export function oneLine(text: string): string {
  return clean(text.replaceAll('\r', '\n')).replace(/\s+/gu, ' ').trim();
}

const plain = /^[\x20-\x7e]*$/;
const nothing = /^(?:\p{Mn}|\p{Me}|\u200b|\u200c|\u200d|\ufe0e|\ufe0f)$/u;
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}])$/u;

function charWidth(char: string): number {
  if (nothing.test(char)) return 0;
  return wide.test(char) ? 2 : 1;
}

/** How many columns a line without escape sequences takes on a terminal. */
export function widthOf(text: string): number {
  if (plain.test(text)) return text.length;
  let columns = 0;
  for (const char of text) columns += charWidth(char);
  return columns;
}

/** The beginning of a line that fits into so many columns; what was cut is shown by `mark`. */
export function clip(text: string, columns: number, mark = '…'): string {
  if (widthOf(text) <= columns) return text;
  const room = columns - widthOf(mark);
  if (room < 0) return '';
  let kept = '';
  let used = 0;
  for (const char of text) {
    used += charWidth(char);
    if (used > room) break;
    kept += char;
  }
  return kept + mark;
}

/** Exactly so many columns: clipped, or filled with spaces (in front of it when `right`). */
export function fit(text: string, columns: number, side: 'left' | 'right' = 'left', mark = '…'): string {
  const clipped = clip(text, columns, mark);
  const space = ' '.repeat(Math.max(0, columns - widthOf(clipped)));
  return side === 'left' ? clipped + space : space + clipped;
}

/** A paragraph in lines of so many columns; words are never cut. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/u)) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}
