/**
 * Seals what ended sessions have printed. A program writes its output itself, so it is plain while the session runs; then it is sealed
 * in chunks, each bound to its file, its place in it and the file's whole length, so that any byte can be read by its offset and no part can be
 * exchanged or left out. A kill leaves the plain file or the sealed one, and the sealing is repeated.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../kernel/error.ts';
import type { Reactor, Reader } from '../kernel/handler.ts';
import { type Keys, openBytes, sealBytes, sealedOverhead, type SealingKey } from '../kernel/seal.ts';
import { attempts } from './attempt.ts';
import { agentEvents } from './contract.ts';
import { assignmentAt } from './roster.ts';
import { type Piece, readPiece } from './transcript.ts';

const chunkBytes = 64 * 1024;
const headBytes = 256;
const streams = ['stdout', 'stderr'] as const;

/** Seals the output of each session that ends. */
export function archivist(reader: Reader, keys: () => Promise<Keys>): Reactor {
  return {
    name: 'agents.archive',
    types: [agentEvents.ended.type],
    react: async (record) => {
      const { generation } = agentEvents.ended.schema.parse(record.data);
      const assignment = assignmentAt(reader, record.stream, generation);
      if (assignment === undefined) return;
      const { current } = await keys();
      for (const folder of attempts(assignment.session.folder))
        for (const stream of streams) sealFile(join(folder, stream), current);
    },
  };
}

/** Puts `path.sealed` in the place of a file; one that is gone was sealed before. */
export function sealFile(path: string, key: SealingKey): void {
  if (!existsSync(path)) return;
  const draft = `${path}.sealed.new`;
  const [from, to] = [openSync(path, 'r'), openSync(draft, 'w', 0o600)];
  try {
    const { size } = fstatSync(from);
    writeSync(to, `maos.sealed.1 ${key.id} ${size}`.padEnd(headBytes - 1).concat('\n'));
    for (let index = 0; index * chunkBytes < size; index += 1) {
      const plain = Buffer.alloc(Math.min(chunkBytes, size - index * chunkBytes));
      readSync(from, plain, 0, plain.length, index * chunkBytes);
      writeSync(to, sealBytes(key, plain, placeOf(path, size, index)));
    }
    fsyncSync(to);
  } finally {
    closeSync(from);
    closeSync(to);
  }
  renameSync(draft, `${path}.sealed`);
  rmSync(path);
}

/** As `readPiece`, for a file that may be sealed. */
export function sealedReader(keys: Pick<Keys, 'find'>): typeof readPiece {
  return (path, after, limit) =>
    existsSync(path) || !existsSync(`${path}.sealed`)
      ? readPiece(path, after, limit)
      : readSealed(keys, path, after, limit);
}

function readSealed(keys: Pick<Keys, 'find'>, path: string, after: number, limit: number): Piece {
  const file = `${path}.sealed`;
  const [, id = '', length = ''] =
    /^maos\.sealed\.1 (\S+) (\d+) *\n$/.exec(readPiece(file, 0, headBytes).bytes.toString('latin1')) ?? [];
  const size = Number(length);
  const key = keys.find(id);
  if (key === undefined) {
    throw new AppError(
      'unavailable',
      `${file} cannot be opened: its head was changed, or the key "${id}" is not there.`,
      {
        fix: 'Put back keys.json and the key file that belong to this MAOS_HOME.',
      },
    );
  }
  const start = Math.min(after, size);
  const end = Math.min(size, start + limit);
  const first = Math.floor(start / chunkBytes);
  const pieces: Buffer[] = [];
  for (let index = first; index * chunkBytes < end; index += 1) {
    const at = headBytes + index * (chunkBytes + sealedOverhead);
    const wanted = Math.min(chunkBytes, size - index * chunkBytes) + sealedOverhead;
    pieces.push(openBytes(key, readPiece(file, at, wanted).bytes, placeOf(path, size, index)));
  }
  const from = start - first * chunkBytes;
  return { bytes: Buffer.concat(pieces).subarray(from, from + end - start), atEnd: after + (end - start) >= size };
}

/** The home folder may be moved: the place is what stands below it. */
function placeOf(path: string, size: number, index: number): string {
  const folder = dirname(path);
  return `${basename(dirname(folder))}/${basename(folder)}/${basename(path)}/${size}/${index}`;
}
