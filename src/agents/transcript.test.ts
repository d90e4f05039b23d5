import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandRuntime } from '../runtimes/command/command.ts';
import { fakeRuntime } from '../runtimes/fake/fake.ts';
import { type Piece, readLines, readPiece, render, wholeCharacters } from './transcript.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'maos-transcript-'));
  path = join(folder, 'stdout');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Reads a whole file piece by piece, as a follower does. */
function readAll(next: (after: number) => { text: string; length: number }): string {
  let text = '';
  for (let after = 0; ;) {
    const piece = next(after);
    if (piece.length === 0) return text;
    text += piece.text;
    after += piece.length;
  }
}

describe('raw pieces', () => {
  it('never cut a character, whatever the limit', () => {
    const content = 'aé€😀z\n'.repeat(20);
    writeFileSync(path, content);
    for (const limit of [4, 5, 6, 7, 13, 1_000]) {
      expect(readAll((after) => wholeCharacters(readPiece(path, after, limit), false))).toBe(content);
    }
  });

  it('go on over bytes that are no text, and over a limit smaller than a character', () => {
    writeFileSync(path, Buffer.from([0xff, 0xfe, 0x41, 0x80, 0x42]));
    expect(readAll((after) => wholeCharacters(readPiece(path, after, 2), false))).toContain('B');
    writeFileSync(path, '😀');
    expect(wholeCharacters(readPiece(path, 0, 1), false).length).toBe(1);
  });

  it('wait for the rest of a character, unless there will be none', () => {
    writeFileSync(path, Buffer.from('€').subarray(0, 2));
    expect(wholeCharacters(readPiece(path, 0, 100), false)).toEqual({ text: '', length: 0 });
    expect(wholeCharacters(readPiece(path, 0, 100), true).length).toBe(2);
  });

  it('of a file that is not there, and beyond its end, are empty', () => {
    expect(readPiece(path, 0, 10)).toMatchObject({ bytes: Buffer.alloc(0), atEnd: true });
    writeFileSync(path, 'abc');
    expect(readPiece(path, 99, 10)).toMatchObject({ bytes: Buffer.alloc(0), atEnd: true });
  });
});

describe('lines', () => {
  const lines = (after: number, limit: number, final = false): string => text(readLines(path, after, limit, final));
  const text = ({ bytes }: Piece): string => bytes.toString();

  it('come whole, one at least, however small the limit', () => {
    writeFileSync(path, 'first line\nsecond\nthird');
    expect(lines(0, 3)).toBe('first line\n');
    expect(lines(0, 19)).toBe('first line\nsecond\n');
    expect(lines(11, 1_000)).toBe('second\n');
  });

  it('give an unfinished last one only when the output is final', () => {
    writeFileSync(path, 'first\nhalf');
    expect(lines(6, 1_000)).toBe('');
    expect(readLines(path, 6, 1_000, false).atEnd).toBe(false);
    expect(lines(6, 1_000, true)).toBe('half');
    expect(readLines(path, 10, 1_000, true)).toMatchObject({ atEnd: true });
  });
});

describe('a rendered transcript', () => {
  it('of a command is its output', () => {
    expect(render(commandRuntime, Buffer.from('one\n\ntwo\nhalf'))).toBe('one\n\ntwo\nhalf\n');
    expect(render(commandRuntime, Buffer.alloc(0))).toBe('');
  });

  it('of an agent tells what happened, and passes over what is not of its protocol', () => {
    const events = [
      { kind: 'started', providerSession: 's', model: null },
      { kind: 'output', text: 'I look.' },
      { kind: 'tool', name: 'Bash', summary: 'ls' },
      { kind: 'tool', name: 'Think', summary: '' },
      { kind: 'waiting', for: 'an answer' },
      { kind: 'rate_limited', until: 0 },
      { kind: 'turn_ended', result: 'done', failed: false, structured: null },
      { kind: 'turn_ended', result: 'broken', failed: true, structured: null },
    ];
    const bytes = Buffer.from(`${events.map((event) => JSON.stringify(event)).join('\n')}\nnoise\n`);
    expect(render(fakeRuntime, bytes).split('\n')).toEqual([
      'I look.',
      '▸ Bash ls',
      '▸ Think',
      '… waits for an answer',
      '… rate limited until 1970-01-01T00:00:00.000Z',
      '✓ done',
      '✗ broken',
      '',
    ]);
  });
});
