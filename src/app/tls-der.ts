/** Writes DER, as far as a certificate needs it. */

/** A value with its tag and its length before it. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

function lengthOf(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size]);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(size);
  const used = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([0x80 | used.length]), used]);
}

export const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
export const set = (...parts: readonly Buffer[]): Buffer => der(0x31, ...parts);
export const octets = (bytes: Buffer): Buffer => der(0x04, bytes);
export const yes = der(0x01, Buffer.from([0xff]));
export const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text, 'utf8'));
/** `[n]` around something whole (`[0] EXPLICIT`). */
export const explicit = (number: number, inner: Buffer): Buffer => der(0xa0 | number, inner);
/** `[n]` instead of the usual tag (`[0] IMPLICIT`), of a simple value. */
export const implicit = (number: number, bytes: Buffer): Buffer => der(0x80 | number, bytes);

/** A whole number that is not negative, most significant byte first. */
export function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const used = first === -1 ? Buffer.from([0]) : bytes.subarray(first);
  // A first bit that is set would mean a negative number.
  return der(0x02, (used[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), used]) : used);
}

/** Bits, of which the last `unused` do not count. */
export const bits = (bytes: Buffer, unused = 0): Buffer => der(0x03, Buffer.from([unused]), bytes);

/** `1.2.840.10045.2.1` */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((part) => {
    const groups = [part & 0x7f];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Buffer.from(bytes));
}

/** A moment: with two digits for the year before 2050, as RFC 5280 asks. */
export function time(at: number): Buffer {
  const digits = `${new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`;
  const short = new Date(at).getUTCFullYear() < 2050;
  return der(short ? 0x17 : 0x18, Buffer.from(short ? digits.slice(2) : digits, 'latin1'));
}
