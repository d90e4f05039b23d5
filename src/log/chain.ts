import { sha256 } from '../kernel/hash.ts';
import type { StoredRecord } from './port.ts';

/** The hash of a record: over all its fields and the hash before it, so that no record can be changed, moved or left out. */
export function recordHash(record: Omit<StoredRecord, 'hash'>): string {
  const { position, at, actor, stream, type, version, data, cause, trace, previous } = record;
  return sha256(JSON.stringify([position, at, actor, stream, type, version, data, cause, trace, previous]));
}

/** What is wrong with the chain, and where. */
export interface ChainBreak {
  readonly position: number;
  readonly problem: 'missing' | 'altered' | 'unlinked';
  readonly message: string;
}

/** Compares one record with the one before it; undefined when it fits. */
export function checkLink(before: { position: number; hash: string }, record: StoredRecord): ChainBreak | undefined {
  const { position } = record;
  if (position !== before.position + 1) {
    const message = `Record ${before.position + 1} is missing: ${before.position} is followed by ${position}.`;
    return { position: before.position + 1, problem: 'missing', message };
  }
  if (record.previous !== before.hash) {
    const message = `Record ${position} does not follow record ${before.position}: one of them was replaced.`;
    return { position, problem: 'unlinked', message };
  }
  if (recordHash(record) !== record.hash) {
    const message = `Record ${position} (${record.type} of ${record.stream}) was altered after it was written.`;
    return { position, problem: 'altered', message };
  }
  return undefined;
}
