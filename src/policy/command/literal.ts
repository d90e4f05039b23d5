import type { Feed, Sink } from './sink.ts';

/** What a pipe carries, when it can be read off the text: `echo … |`, `printf … |`, a here-document, and what decodes it. */
export function literalOutput(feed: Feed, sink: Sink): string | null {
  const { from, to } = feed.range;
  const command = sink.commands[from];
  if (to - from !== 1 || command === undefined) return null;
  const [program, ...args] = command.words;
  if (command.words.some(({ known }) => !known)) return null;
  const texts = args.map(({ text }) => text);
  const before = (): string | null => {
    const read = command.redirects.findLast(({ access, text }) => access === 'read' && text?.text !== '');
    if (read !== undefined) return read.text?.known === true ? read.text.text : null;
    return feed.before === null ? null : literalOutput(feed.before, sink);
  };
  // A block's redirection.
  if (program === undefined) return before();
  if (sink.functions.has(program.text)) return null;
  if (program.text === 'echo') return echoed(texts);
  if (program.text === 'printf') return printed(texts);
  if (program.text === 'cat' && texts.length === 0) return before();
  if (program.text === 'base64' && texts.length === 1 && /^(?:-d|-D|--decode)$/.test(texts[0] ?? '')) {
    const text = before();
    return text === null ? null : Buffer.from(text, 'base64').toString('utf8');
  }
  if (program.text === 'xxd' && texts.join(' ').replaceAll(/[- ]/g, '').split('').toSorted().join('') === 'pr') {
    const text = before();
    return text === null ? null : Buffer.from(text.replaceAll(/\s/g, ''), 'hex').toString('utf8');
  }
  return null;
}

function echoed(texts: readonly string[]): string | null {
  const first = texts.findIndex((text) => !/^-[neE]+$/.test(text));
  const said = (first === -1 ? [] : texts.slice(first)).join(' ');
  // Shells do not agree on what a backslash means here.
  return said.includes('\\') ? null : `${said}\n`;
}

function printed([format = '', ...values]: readonly string[]): string | null {
  const plain = format.replaceAll('\\n', '\n');
  if (!/[%\\]/.test(plain)) return plain;
  if (!/^%s\n?$/.test(plain)) return null;
  return values.map((value) => plain.replace('%s', () => value)).join('');
}
