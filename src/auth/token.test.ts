import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureToken, readToken, sameToken } from './token.ts';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'maos-token-'));
  path = join(folder, 'token');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the token file', () => {
  it('holds 256 bits, is for its owner only, and is made once', () => {
    const token = ensureToken(path);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['token']);
    expect(ensureToken(path)).toBe(token);
    expect(readToken(path)).toBe(token);
  });

  it.each([0o644, 0o640, 0o604, 0o660])('is refused with mode %o, with the fix', (mode) => {
    ensureToken(path);
    chmodSync(path, mode);
    expect(() => readToken(path)).toThrowError(
      expect.objectContaining({ code: 'forbidden', fix: expect.stringContaining(`chmod 600 '${path}'`) }),
    );
    expect(() => ensureToken(path)).toThrowError(expect.objectContaining({ code: 'forbidden' }));
  });

  it('is refused when it is missing, is a link, or holds something else', () => {
    expect(() => readToken(path)).toThrowError(expect.objectContaining({ code: 'unauthenticated' }));
    writeFileSync(path, 'secret\n', { mode: 0o600 });
    expect(() => ensureToken(path)).toThrowError(expect.objectContaining({ code: 'unauthenticated' }));
    expect(readFileSync(path, 'utf8')).toBe('secret\n');
    const link = join(folder, 'link');
    symlinkSync(path, link);
    expect(() => readToken(link)).toThrowError(expect.objectContaining({ code: 'forbidden' }));
  });
});

it('compares tokens of any length', () => {
  expect(sameToken('abc', 'abc')).toBe(true);
  expect(sameToken('abc', 'abd')).toBe(false);
  expect(sameToken('', 'abcdef')).toBe(false);
});
