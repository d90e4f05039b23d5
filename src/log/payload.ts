import { AppError } from '../kernel/error.ts';
import { isSealed, type Keys, open, seal } from '../kernel/seal.ts';
import type { StoredRecord } from './port.ts';

/** What a payload is bound to: it stands for no other record. */
type Place = Pick<StoredRecord, 'position' | 'stream' | 'type'>;

/**
 * How the data of a record stands in the log: as it is, or sealed. The hash chain is taken over what stands there, so a log is verified
 * without a key.
 */
export interface Payloads {
  close(place: Place, data: string): string;
  open(record: Place & Pick<StoredRecord, 'data'>): string;
}

/** Data as it is. */
export const plainPayloads: Payloads = {
  close: (_place, data) => data,
  open: ({ data, position }) => {
    if (!isSealed(data)) return data;
    throw new AppError('unavailable', `Record ${position} is sealed, and this MAOS was not given the keys.`, {
      fix: 'Set "encryption": "state", as when this log was begun.',
    });
  },
};

/** Data in envelopes. What is not in one is refused: nobody can put a record of their own in between. */
export function sealedPayloads(keys: Keys): Payloads {
  return {
    close: (place, data) => seal(keys.current, data, placeOf(place)),
    open: (record) => open(keys, record.data, placeOf(record)),
  };
}

function placeOf({ position, stream, type }: Place): string {
  return `log/${position}/${stream}/${type}`;
}

/** A log whose payloads are sealed, with its views in memory: what opens it. */
export interface Sealed {
  /** The name of the views’ database in the memory of this process; every connection of one server has the same. */
  readonly views: string;
  readonly payloads: Payloads;
}
