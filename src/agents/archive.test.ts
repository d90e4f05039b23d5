import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keysOf, newKey } from '../kernel/seal.ts';
import { sealedReader, sealFile } from './archive.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'maos-archive-'));
  mkdirSync(join(folder, 'agent_x/1'), { recursive: true });
  path = join(folder, 'agent_x/1/stdout');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const key = newKey('key_a');
const read = sealedReader(keysOf([key]));

it.each([0, 1, 65_535, 65_536, 65_537, 200_000])('gives the bytes of a file of %i bytes by their offsets', (size) => {
  const bytes = randomBytes(size);
  writeFileSync(path, bytes);
  const plain = read(path, 10, 100);
  sealFile(path, key);
  expect(existsSync(path)).toBe(false);
  expect(read(path, 10, 100)).toEqual(plain);
  expect(read(path, 0, size + 1)).toEqual({ bytes, atEnd: true });
  fc.assert(
    fc.property(fc.nat(size + 10), fc.nat(150_000), (after, limit) => {
      const piece = read(path, after, limit);
      expect(piece.bytes.equals(bytes.subarray(after, after + limit))).toBe(true);
      expect(piece.atEnd).toBe(after + limit >= size);
    }),
    { numRuns: 20 },
  );
});

it('shows nothing, and is sealed again when a kill came between', () => {
  writeFileSync(path, 'what an agent printed');
  writeFileSync(`${path}.sealed.new`, 'torn');
  sealFile(path, key);
  expect(readFileSync(`${path}.sealed`, 'latin1')).not.toContain('agent printed');
  sealFile(path, key);
  writeFileSync(path, 'what an agent printed');
  sealFile(path, key);
  expect(read(path, 0, 100).bytes.toString()).toBe('what an agent printed');
});

it('is refused when it was changed, cut off, or stands for another session', () => {
  writeFileSync(path, randomBytes(100_000));
  sealFile(path, key);
  const sealed = readFileSync(`${path}.sealed`);
  const wrong = (bytes: Buffer, reason: string): void => {
    writeFileSync(`${path}.sealed`, bytes);
    expect(() => read(path, 0, 100_000)).toThrow(reason);
  };
  const flipped = Buffer.from(sealed);
  flipped.writeUInt8(flipped.readUInt8(70_000) ^ 1, 70_000);
  wrong(flipped, 'does not open');
  wrong(sealed.subarray(0, 90_000), 'does not open');
  wrong(
    Buffer.concat([
      Buffer.from(sealed.toString('latin1', 0, 256).replace('100000', ' 65536'), 'latin1'),
      sealed.subarray(256),
    ]),
    'cannot be opened',
  );
  wrong(
    Buffer.concat([
      Buffer.from(sealed.toString('latin1', 0, 256).replace('100000', '065536'), 'latin1'),
      sealed.subarray(256),
    ]),
    'does not open',
  );
  writeFileSync(`${path}.sealed`, sealed);
  renameSync(join(folder, 'agent_x'), join(folder, 'agent_y'));
  expect(() => read(join(folder, 'agent_y/1/stdout'), 0, 10)).toThrow('does not open');
});
