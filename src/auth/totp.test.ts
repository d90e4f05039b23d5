import { describe, expect, it } from 'vitest';
import { codeFor, factorUri, newFactor, stepOf } from './totp.ts';

/** The key of RFC 6238, appendix B, in base32; its codes have eight digits, of which an app shows the last six. */
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const vectors: [number, string][] = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
];

describe('a time-based code', () => {
  it.each(vectors)('at %d s is %s, as the RFC says', (seconds, code) => {
    expect(codeFor(secret, seconds * 1_000)).toBe(code);
    expect(stepOf(secret, code, seconds * 1_000)).toBe(Math.floor(seconds / 30));
  });

  it.each([
    ['of the step before', -30_000, -1],
    ['of the step after', 30_000, 1],
    ['of two steps before', -60_000, undefined],
    ['of two steps after', 60_000, undefined],
  ])('%s', (_what, away, step) => {
    const now = 1_700_000_010_000;
    const current = Math.floor(now / 30_000);
    expect(stepOf(secret, codeFor(secret, now + away), now)).toBe(step === undefined ? undefined : current + step);
  });

  it.each(['', '28708', '2870820', 'abcdef', '287 082', '28708２', '-87082'])('is not %j', (code) => {
    expect(stepOf(secret, code, 59_000)).toBeUndefined();
  });

  it('has a secret of 160 bits, told to an app in its own form', () => {
    const made = newFactor();
    expect(made).toMatch(/^[A-Z2-7]{32}$/);
    expect(newFactor()).not.toBe(made);
    expect(codeFor(made, 0)).toMatch(/^\d{6}$/);
    expect(factorUri(secret, 'ada')).toBe(
      `otpauth://totp/MAOS:ada?secret=${secret}&issuer=MAOS&algorithm=SHA1&digits=6&period=30`,
    );
  });
});
