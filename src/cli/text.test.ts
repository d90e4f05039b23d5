import { describe, expect, it } from 'vitest';
import { clean, clip, fit, oneLine, widthOf, wrap } from './text.ts';

describe('text from outside', () => {
  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b[2J\u001b[1;1Hgone', 'gone'],
    ['\u001b]0;title\u0007text', 'text'],
    ['\u001b]8;;https://x\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['\u001bPq#0\u001b\\sixel', 'sixel'],
    ['\u001b]0;never ends\nnext', ']0;never ends\nnext'],
    ['\u009b31mc1', '31mc1'],
    ['a\u0000b\u0008c\u007f', 'abc'],
    ['tab\tand\nline', 'tab\tand\nline'],
    ['evil\u202etxt.exe', 'eviltxt.exe'],
    ['über 日本', 'über 日本'],
  ])('%j', (raw, shown) => {
    expect(clean(raw)).toBe(shown);
  });

  it('stands on one line', () => {
    expect(oneLine('a\r\nb\u001b[K\tc  d\n')).toBe('a b c d');
  });
});

describe('columns', () => {
  it.each([
    ['abc', 3],
    ['日本', 4],
    ['e\u0301', 1],
    ['✓', 1],
    ['🚀', 2],
    ['├─', 2],
  ])('%s', (text, columns) => {
    expect(widthOf(text)).toBe(columns);
  });

  it('clips between characters, never through a wide one', () => {
    expect(clip('abcdef', 4)).toBe('abc…');
    expect(clip('日本語', 4)).toBe('日…');
    expect(clip('abc', 3)).toBe('abc');
    expect(clip('abc', 0)).toBe('');
    expect(fit('日本語', 4)).toBe('日… ');
    expect(fit('7', 3, 'right')).toBe('  7');
  });

  it('wraps words and leaves long ones whole', () => {
    expect(wrap('a bb ccc dddddddd e', 6)).toEqual(['a bb', 'ccc', 'dddddddd', 'e']);
    expect(wrap('', 6)).toEqual(['']);
  });
});
