import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newSigningKeys, NonceMemory, sign, type Signature, verify } from './signature.ts';

const anna = newSigningKeys();
const bert = newSigningKeys();
const known = new Map([
  ['agent_anna/1', anna.publicKey],
  ['agent_bert/1', bert.publicKey],
]);
const publicKey = (id: string): string | undefined => known.get(id);
const signer = { id: 'agent_anna/1', privateKey: anna.privateKey };
const now = 1_700_000_000_000;
let count = 0;
const nonce = (): string => `nonce_${(count += 1)}_${'x'.repeat(8)}`;
const signed = (message: string, at = now): Signature => sign(message, signer, { now: at, nonce: nonce() });
const check = (message: string, given: Signature, seen = new NonceMemory(), at = now): void =>
  verify(message, given, { now: at, publicKey, seen });

/** RFC 8032, 7.1, test 2: the key and its public half. */
it('takes keys as RFC 8032 writes them', () => {
  const known = {
    id: 'rfc',
    privateKey: Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex').toString(
      'base64url',
    ),
  };
  const half = Buffer.from('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', 'hex').toString(
    'base64url',
  );
  const given = sign('text', known, { now, nonce: 'nonce_12345' });
  expect(() => verify('text', given, { now, publicKey: () => half, seen: new NonceMemory() })).not.toThrow();
  expect(sign('text', known, { now, nonce: 'nonce_12345' })).toEqual(given);
});

describe('a signed message', () => {
  it('is accepted, whatever it says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(() => check(text, signed(text))).not.toThrow();
      }),
      { numRuns: 50 },
    );
  });

  it('is accepted once', () => {
    const seen = new NonceMemory();
    const given = signed('hello');
    check('hello', given, seen);
    expect(() => check('hello', given, seen)).toThrow('replay');
    expect(() => check('hello', given, seen, now + seen.windowMs)).toThrow('replay');
    expect(() => check('hello', given, seen, now + seen.windowMs + 1)).toThrow('old');
  });

  it('is accepted within five minutes of its time, both ways', () => {
    for (const skew of [-300_000, 300_000]) expect(() => check('hello', signed('hello', now + skew))).not.toThrow();
    expect(() => check('hello', signed('hello', now - 300_001))).toThrow('300 s old');
    expect(() => check('hello', signed('hello', now + 300_001))).toThrow('ahead of the clock');
    expect(() => check('hello', { ...signed('hello'), at: Number.NaN })).toThrow('no sense');
  });

  it('is refused when anything of it was changed', () => {
    const given = signed('pay 10');
    const changes: [string, Signature][] = [
      ['pay 100', given],
      ['pay 10', { ...given, at: given.at + 1 }],
      ['pay 10', { ...given, nonce: nonce() }],
      ['pay 10', { ...given, signer: 'agent_bert/1' }],
      ['pay 10', { ...given, signer: 'agent_anna/2' }],
      ['pay 10', { ...given, signature: `${given.signature}A` }],
      ['pay 10', { ...given, signature: '' }],
    ];
    for (const [message, changed] of changes)
      expect(() => check(message, changed)).toThrowError(expect.objectContaining({ code: 'unauthenticated' }));
  });

  it('of another agent is not taken for this one’s, also when that one names it', () => {
    const forged = sign('hello', { id: 'agent_anna/1', privateKey: bert.privateKey }, { now, nonce: nonce() });
    expect(() => check('hello', forged)).toThrow('not of this signer');
    const honest = sign('hello', { id: 'agent_bert/1', privateKey: bert.privateKey }, { now, nonce: nonce() });
    const options = { now, publicKey, seen: new NonceMemory(), signer: 'agent_anna/1' };
    expect(() => verify('hello', honest, options)).toThrow('agent_bert/1 signed it');
  });

  it('that was refused uses up nothing', () => {
    const seen = new NonceMemory();
    const given = signed('hello');
    expect(() => check('changed', given, seen)).toThrow('signature');
    expect(seen.size).toBe(0);
    expect(() => check('hello', given, seen)).not.toThrow();
  });

  it('is refused when too many came, until the oldest ones could not be replayed', () => {
    const seen = new NonceMemory({ limit: 2, windowMs: 1_000 });
    check('1', signed('1'), seen);
    check('2', signed('2'), seen);
    expect(() => check('3', signed('3'), seen)).toThrowError(expect.objectContaining({ code: 'exhausted' }));
    expect(() => check('3', signed('3', now + 1_001), seen, now + 1_001)).not.toThrow();
    expect(seen.size).toBe(1);
  });
});
