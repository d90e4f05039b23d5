import { checkLink, type ChainBreak } from './chain.ts';
import type { Database } from './database.ts';
import type { Head, StoredRecord } from './port.ts';
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
  let before: Head = { position: 0, hash: '' };
  let records = 0;
  for (;;) {
    const page = readPage(reader, before.position, breaks);
    for (const record of page) {
      const broken = 'problem' in record ? record : checkLink(before, record);
      if (broken !== undefined && breaks.length < limit) breaks.push(broken);
      before = record;
      records += 1;
    }
    if (page.length < pageSize) return { records, head: before.hash, breaks };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A record with a field that no record of ours can hold. */
type Unreadable = ChainBreak & Head;

/** The next records. Where they cannot be read at once they are read one by one, to name the one that is to blame. */
function readPage(reader: Database, after: number, breaks: ChainBreak[]): (StoredRecord | Unreadable)[] {
  try {
    if (after === 0) breaks.push(...beforeTheFirst(reader));
    return readLog(reader, after, pageSize);
  } catch {
    return readEach(reader, after, breaks);
  }
}

function readEach(reader: Database, after: number, breaks: ChainBreak[]): (StoredRecord | Unreadable)[] {
  const page: (StoredRecord | Unreadable)[] = [];
  let at = after;
  try {
    while (page.length < pageSize) {
      // As text, because a number may be too large for ours.
      const next = reader.get<{ place: string; hash: string }>(
        `SELECT CAST(position AS TEXT) AS place, hash FROM ${reader.schema}.log WHERE position > ? ORDER BY position LIMIT 1`,
        at,
      );
      if (next === undefined) break;
      const position = Number(next.place);
      if (!Number.isSafeInteger(position)) {
        const message = `Record ${at + 1} is missing: ${at} is followed by ${next.place}, which was put there later.`;
        breaks.push({ position: at + 1, problem: 'missing', message });
        break;
      }
      page.push(readOne(reader, position, next.hash));
      at = position;
    }
  } catch (error) {
    const message = `Records after ${at} cannot be read: ${reasonOf(error)}.`;
    breaks.push({ position: at + 1, problem: 'missing', message });
  }
  return page;
}

function readOne(reader: Database, position: number, hash: string): StoredRecord | Unreadable {
  try {
    const [record] = readLog(reader, position - 1, 1);
    if (record !== undefined) return record;
    throw new Error('it is gone');
  } catch (error) {
    const message = `Record ${position} was altered after it was written: it cannot be read (${reasonOf(error)}).`;
    return { position, hash, problem: 'altered', message };
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function beforeTheFirst(reader: Database): ChainBreak[] {
  const rows = reader.all<{ position: number }>(
    `SELECT position FROM ${reader.schema}.log WHERE position < 1 ORDER BY position LIMIT 1`,
  );
  return rows.map(({ position }) => ({
    position,
    problem: 'unlinked',
    message: `Record ${position} stands before the first record: it was put there later.`,
  }));
}
