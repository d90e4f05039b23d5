import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from './error.ts';
import { encrypt, isSealed, keyIdOf, keysOf, newKey, open, openBytes, seal, sealBytes } from './seal.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

// From "The Galois/Counter Mode of Operation" (McGrew and Viega), test cases 13 to 16.
const key = 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308';
const plain =
  'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39';
const known: [string, string, string, string, string, string][] = [
  ['13', '00'.repeat(32), '00'.repeat(12), '', '', '530f8afbc74536b9a963b4f1c4cb738b'],
  [
    '14',
    '00'.repeat(32),
    '00'.repeat(12),
    '00'.repeat(16),
    '',
    'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
  ],
  [
    '16',
    key,
    'cafebabefacedbaddecaf888',
    plain,
    'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b',
  ],
];

describe('the cipher', () => {
  it.each(known)('gives the known answer of test case %s', (_name, k, nonce, text, data, answer) => {
    expect(encrypt(hex(k), hex(nonce), hex(text), hex(data)).toString('hex')).toBe(answer);
  });

  it('takes no other sizes of key and nonce', () => {
    expect(() => encrypt(hex('00'), hex('00'.repeat(12)), hex(''), hex(''))).toThrow('32 bytes');
    expect(() => encrypt(hex(key), hex('00'), hex(''), hex(''))).toThrow('12');
  });
});

const first = newKey('key_a');
const second = newKey('key_b');
const keys = keysOf([first, second]);
const text = fc.string({ unit: 'binary', maxLength: 300 });

describe('an envelope', () => {
  it('opens to what was put in, for every text, place and key', () => {
    fc.assert(
      fc.property(text, text, fc.constantFrom(first, second), (value, place, by) => {
        const envelope = seal(by, value, place);
        expect(isSealed(envelope)).toBe(true);
        expect(keyIdOf(envelope)).toBe(by.id);
        expect(open(keys, envelope, place)).toBe(value);
      }),
    );
  });

  it('never looks twice the same, and shows nothing of its text', () => {
    expect(seal(first, 'the same text', 'here')).not.toBe(seal(first, 'the same text', 'here'));
    expect(seal(first, 'the same text', 'here')).not.toContain('same');
  });

  it('opens nowhere else than where it was put', () => {
    fc.assert(
      fc.property(text, text, text, (value, here, there) => {
        fc.pre(here !== there);
        expect(() => open(keys, seal(first, value, here), there)).toThrow('does not open');
      }),
    );
  });

  it('does not open when any letter of it was changed, left out or added', () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
    fc.assert(
      fc.property(text, fc.nat(), fc.constantFrom(...letters.split('')), fc.nat(2), (value, at, letter, how) => {
        const envelope = seal(first, value, 'here');
        const index = at % envelope.length;
        const rest = envelope.slice(index + (how === 2 ? 0 : 1));
        const changed = envelope.slice(0, index) + (how === 1 ? '' : letter) + rest;
        fc.pre(changed !== envelope);
        expect(() => open(keys, changed, 'here')).toThrowError(AppError);
      }),
      { numRuns: 500 },
    );
  });

  it('says which key is missing, and that another key of the same name is not it', () => {
    const envelope = seal(first, 'value', 'stream/field');
    expect(() => open(keysOf([second]), envelope, 'stream/field')).toThrowError(
      expect.objectContaining({ code: 'unavailable', details: { key: 'key_a' } }),
    );
    expect(() => open(keysOf([newKey('key_a')]), envelope, 'stream/field')).toThrowError(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining('stream/field') }),
    );
  });

  it('of a newer version, and what is none, are told apart', () => {
    const envelope = seal(first, 'value', 'here');
    expect(() => open(keys, envelope.replace('sealed.1.', 'sealed.2.'), 'here')).toThrow('newer MAOS');
    for (const wrong of ['', '{}', 'sealed.1.key_a', 'sealed.1.KEY.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA'])
      expect(() => open(keys, wrong, 'here')).toThrow('not a sealed text');
  });

  it('of bytes is bound to its key and place too', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(), (bytes, at) => {
        const sealed = sealBytes(first, bytes, 'file/0');
        expect([...openBytes(first, sealed, 'file/0')]).toEqual([...bytes]);
        expect(() => openBytes(first, sealed, 'file/1')).toThrow('file/1');
        expect(() => openBytes(second, sealed, 'file/0')).toThrow('does not open');
        const index = at % sealed.length;
        sealed.writeUInt8(sealed.readUInt8(index) ^ 1, index);
        expect(() => openBytes(first, sealed, 'file/0')).toThrow('does not open');
        expect(() => openBytes(first, sealed.subarray(0, index), 'file/0')).toThrow('does not open');
      }),
    );
  });
});
