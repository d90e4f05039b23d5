import { randomBytes } from 'node:crypto';
import { type Keys, keysOf, type SealingKey } from '../kernel/seal.ts';
import { type Sealed, sealedPayloads } from '../log/payload.ts';

/** What both threads of a server need to work with a sealed log, as plain data. */
export interface SealedData {
  readonly views: string;
  /** The current one last. */
  readonly keys: SealingKey[];
}

/** For one server: the views of two that are open at a time in one process are not mixed up. */
export function sealedData(keys: Keys): SealedData {
  return { views: `maos-${randomBytes(12).toString('hex')}`, keys: [...keys.all] };
}

/** What opens a sealed log; undefined for one that is not. */
export function sealedBy(data: SealedData | null): Sealed | undefined {
  return data === null ? undefined : { views: data.views, payloads: sealedPayloads(keysOf(data.keys)) };
}
