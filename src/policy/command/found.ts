import { plainWord, unknownText, unknownWord, type Word } from './word.ts';

/** What `find` may find below its folders: with a test, some of it; without one, the folders themselves. */
export function foundUnder(roots: readonly Word[], args: readonly Word[]): Word[] {
  const tested = args.some(({ text }) =>
    /^-(?:i?name|i?path|i?regex|type|size|[acm]time|[acm]min|newer|empty|perm|user|group)/.test(text),
  );
  if (!tested) return roots.map((root) => ({ ...root, below: true }));
  return roots.map((root) => ({ ...root, text: `${root.text.replace(/\/+$/, '')}/*?`, glob: true, below: true }));
}

/** The folders in which `find` looks. */
export function rootsOf(args: readonly Word[]): Word[] {
  const first = args.findIndex(({ text }) => /^[-(!]/.test(text) && text !== '-H' && text !== '-L' && text !== '-P');
  const roots = args.slice(0, first === -1 ? args.length : first).filter(({ text }) => !text.startsWith('-'));
  return roots.length === 0 ? [plainWord('.')] : roots.slice(0, 8);
}

/** Words with something else in the place of a mark: `{}`. */
export function filled(words: readonly Word[], mark: string, value: Word): Word[] {
  return words.map((word) => {
    if (word.text === mark) return value;
    return word.text.includes(mark) ? { ...word, text: word.text.replaceAll(mark, unknownText), known: false } : word;
  });
}

/** What `xargs` makes of a command. */
export function appended(options: readonly Word[], inner: readonly Word[], values: readonly Word[]): Word[] {
  const index = options.findIndex(({ text }) => /^-(?:I|i|-replace)/.test(text));
  if (index === -1) return [...inner, ...values];
  const text = options[index]?.text ?? '';
  const mark = text === '-I' ? (options[index + 1]?.text ?? '{}') : text.replace(/^-(?:I|i|-replace=?)/, '') || '{}';
  return filled(inner, mark, values.length === 1 ? (values[0] ?? unknownWord) : unknownWord);
}
