import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskFor, noMask, sessionMask } from './mask.ts';

const value = 'pa"ss\\w/örd+1';
const mask = maskFor([value]);

describe('a mask', () => {
  it('hides a value as it is, and as JSON, URLs and base64 write it', () => {
    const ways = [
      value,
      JSON.stringify(value),
      encodeURIComponent(value),
      Buffer.from(value).toString('base64'),
      Buffer.from(value).toString('base64url'),
    ];
    for (const way of ways) {
      expect(mask.text(`before ${way} after`)).toMatch(/^before "?\*\*\*"? after$/);
      expect(mask.bytes(Buffer.from(way), 0, Buffer.byteLength(way)).toString()).toMatch(/^"?\*\*\*"?$/);
    }
  });

  it('hides each line of a long value, and not what is too short to be looked for', () => {
    const key = maskFor(['-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\nend']);
    expect(key.text('abcdefghijkl and mnopqrstuvwx at the end')).toBe('*** and *** at the end');
    expect(maskFor(['dev'])).toBe(noMask);
  });

  it('reaches every text of plain data and nothing else', () => {
    const data = { a: [value, 1, null, { b: `x ${value}` }], [value]: true };
    expect(mask.data(data)).toEqual({ a: ['***', 1, null, { b: 'x ***' }], [value]: true });
  });

  it('shows no part of a value, wherever a transcript is cut', () => {
    const text = fc
      .array(fc.constantFrom('abcdef', 'abc', 'x', 'ddd'), { maxLength: 12 })
      .map((parts) => parts.join(''));
    const some = maskFor(['abcdef']);
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 7 }), (whole, size) => {
        const bytes = Buffer.from(whole);
        let shown = '';
        for (let at = 0; at < bytes.length; at += size) {
          const from = Math.max(0, at - some.reach);
          const end = Math.min(bytes.length, at + size);
          const window = bytes.subarray(from, Math.min(bytes.length, end + some.reach));
          shown += some.bytes(window, at - from, end - from).toString();
        }
        expect(shown).toBe(whole.replaceAll('abcdef', '***'));
      }),
    );
  });
});

describe('a mask for a session', () => {
  const token = `maosa_${'aZ09-_'.repeat(7)}x`;
  const shown = sessionMask(['the secret']);

  it('hides tokens that nobody told it, in texts and bytes', () => {
    expect(shown.text(`a ${token}, maosl_${token.slice(6)} the secret`)).toBe('a ***, *** ***');
    const text = `ä MAOS_TOKEN=${token}\n`;
    const buffer = Buffer.from(text);
    expect(shown.bytes(buffer, 0, buffer.length).toString()).toBe('ä MAOS_TOKEN=***\n');
    expect(shown.text('maos_key, maos run, maosa_short')).toBe('maos_key, maos run, maosa_short');
  });

  it('knows wherever one is cut that its rest may come', () => {
    for (let cut = 1; cut < token.length; cut += 1)
      expect(shown.begun(Buffer.from(`print ${token.slice(0, cut)}`))).toBeGreaterThanOrEqual(cut);
    expect(shown.begun(Buffer.from('print that'))).toBeLessThan(2);
  });
});
