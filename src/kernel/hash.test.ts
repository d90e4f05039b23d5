import { describe, expect, it } from 'vitest';
import { canonicalJson, sha256 } from './hash.ts';

describe('canonical JSON', () => {
  it('is the same for the same value, whatever the order of its keys', () => {
    expect(canonicalJson({ b: 1, a: { d: [2, { f: 1, e: 0 }], c: null } })).toBe(
      '{"a":{"c":null,"d":[2,{"e":0,"f":1}]},"b":1}',
    );
    expect(canonicalJson({ a: undefined, b: 1 })).toBe(canonicalJson({ b: 1 }));
  });

  it('tells values apart', () => {
    const texts = [{ a: 1 }, { a: '1' }, [1], ['1'], { a: [1] }, { a: null }, null, '', { a: { b: 1 } }].map(
      canonicalJson,
    );
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('keeps odd keys', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":1,"2":0,"1":0}'))).toBe('{"1":0,"2":0,"__proto__":1}');
  });
});

describe('sha256', () => {
  it('is in base64url', () => {
    expect(sha256('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
  });
});
