import { checkLink, type ChainBreak } from './chain.ts';
import type { Database } from './database.ts';
import type { StoredRecord } from './port.ts';
import { readLog } from './record.ts';

export interface Verification {
  readonly records: number;
  readonly head: string;
  readonly breaks: readonly ChainBreak[];
}

const pageSize = 2_000;

/**
 * Checks every record against the one before it, and names the ones that do not fit. Gives way between pages. The chain
 * ends in `head`: whoever kept that hash elsewhere can also tell whether records were cut off at the end.
 */
export async function verifyChain(reader: Database, limit = 20): Promise<Verification> {
  const breaks: ChainBreak[] = [];
  let before = { position: 0, hash: '' };
  let records = 0;
  for (;;) {
    const page = readPage(reader, before.position, breaks);
    for (const record of page) {
      const broken = checkLink(before, record);
      if (broken !== undefined && breaks.length < limit) breaks.push(broken);
      before = record;
      records += 1;
    }
    if (page.length < pageSize) return { records, head: before.hash, breaks };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The next records; what cannot be read is a break too, and ends the check. */
function readPage(reader: Database, after: number, breaks: ChainBreak[]): StoredRecord[] {
  try {
    if (after === 0) breaks.push(...beforeTheFirst(reader));
    return readLog(reader, after, pageSize);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    breaks.push({
      position: after + 1,
      problem: 'missing',
      message: `Records after ${after} cannot be read: ${reason}.`,
    });
    return [];
  }
}

function beforeTheFirst(reader: Database): ChainBreak[] {
  const rows = reader.all<{ position: number }>(
    'SELECT position FROM log WHERE position < 1 ORDER BY position LIMIT 1',
  );
  return rows.map(({ position }) => ({
    position,
    problem: 'unlinked',
    message: `Record ${position} stands before the first record: it was put there later.`,
  }));
}
