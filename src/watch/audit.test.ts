import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../app/config.ts';
import { placesIn } from '../app/places.ts';
import { type Server, startServer } from '../app/server.ts';
import { localCaller } from '../kernel/caller.ts';
import type { Call } from '../kernel/handler.ts';
import { recordHash } from '../log/chain.ts';
import type { Head } from '../log/port.ts';
import { type Draft, chain } from '../log/record.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { watchEvents, watchOps } from './contract.ts';
import { csvCell } from './export.ts';

let root: string;
let home: string;
let server: Server;
let call: Call;

const refused = {
  credential: 'key_1',
  operations: ['run.merge'],
  code: 'forbidden',
  rule: null,
  risk: null,
  count: 3,
  since: 1,
  until: 2,
};
/** Position by position. The types are no room's, so no view reads them. */
const drafts: readonly Partial<Draft>[] = [
  { actor: 'user:local', type: 'thing.made', cause: 'thing.make call_1', data: '{"title":"=cmd|calc"}' },
  {
    actor: 'agent:ag_1',
    type: 'thing.made',
    cause: 'thing.make call_2',
    data: '{"title":"Größe \\"quoted\\"\\nline"}',
  },
  { actor: 'agent:ag_2', type: 'thing.changed', cause: 'thing.change call_3', at: 5_000 },
  {
    actor: 'system:audit',
    type: watchEvents.refused.type,
    stream: 'audit',
    cause: 'audit.refuse call_4',
    data: JSON.stringify({ actor: 'agent:ag_1', ...refused }),
  },
  { actor: 'user:local', type: 'thing.changed', cause: 'thing.changeall call_5', stream: '+stream', at: 9_000 },
];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'maos-audit-'));
  home = join(root, 'home');
  mkdirSync(home, { mode: 0o700 });
  const log = new SqliteLog(placesIn(home).database);
  let head: Head = log.head();
  for (const draft of drafts) {
    const record = chain(head, {
      at: 1_000,
      actor: 'x:y',
      stream: 'thing_1',
      type: 'thing.x',
      version: 1,
      data: '{}',
      cause: 'c',
      trace: 'call_1',
      ...draft,
    });
    log.append(head.position, [record]);
    head = record;
  }
  log.close();
  const environment = { PATH: process.env['PATH'], HOME: root, MAOS_HOME: home };
  server = await startServer({
    config: readConfig(environment),
    version: '0',
    acts: false,
    listens: false,
    environment,
  });
  call = server.registry.as(localCaller);
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

type Input = Parameters<typeof call<typeof watchOps.events>>[1];

describe('a search of the log', () => {
  it.each<[string, Input, number[]]>([
    ['an actor, and what was refused to it', { actor: 'agent:ag_1' }, [2, 4]],
    ['all agents', { actor: 'agent:*' }, [2, 3, 4]],
    ['no other actor that begins so', { actor: 'agent:ag' }, []],
    ['an operation', { operation: 'thing.make' }, [1, 2]],
    ['an operation, and not one that begins so', { operation: 'thing.change' }, [3]],
    ['an operation that was refused', { operation: 'run.merge' }, [4]],
    ['a type', { type: 'thing.*' }, [1, 2, 3, 5]],
    ['a time', { since: 5_000, until: 9_000 }, [3]],
    ['a text in any case', { text: 'TITLE' }, [1, 2]],
    ['a text with letters of all sorts', { text: 'Größe "quoted"\nline' }, [2]],
    ['a text that is no pattern', { text: '%' }, []],
    [
      'all at once',
      { actor: 'user:local', type: 'thing.*', stream: '+stream', operation: 'thing.changeall', since: 0 },
      [5],
    ],
  ])('finds %s', async (_what, input, positions) => {
    const { records } = await call(watchOps.events, input);
    expect(records.filter(({ position }) => position <= drafts.length).map(({ position }) => position)).toEqual(
      positions,
    );
  });
});

describe('an export', () => {
  it('as JSON lines can be checked without MAOS', async () => {
    const path = join(root, 'all.jsonl');
    const told = await call(watchOps.export, { path });
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(told).toEqual({ path, records: lines.length, bytes: statSync(path).size });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    let previous = '';
    for (const line of lines) {
      const { time, data, ...record } = JSON.parse(line);
      expect(time).toBe(new Date(record.at).toISOString());
      expect(record.previous).toBe(previous);
      previous = recordHash({ ...record, data: line.slice(line.indexOf(',"data":') + ',"data":'.length, -1) });
      expect(previous).toBe(record.hash);
      expect(data).toBeDefined();
    }
    expect(lines.length).toBeGreaterThanOrEqual(drafts.length);
  });

  it('as CSV holds every field, and nothing that a spreadsheet would carry out', async () => {
    const path = join(root, 'some.csv');
    await call(watchOps.export, { path, format: 'csv', type: 'thing.*' });
    const [names, ...rows] = parseCsv(readFileSync(path, 'utf8'));
    expect(names).toContain('hash');
    expect(rows).toHaveLength(4);
    const cell = (row: number, name: string): string | undefined => rows[row]?.[names?.indexOf(name) ?? -1];
    expect(cell(1, 'data')).toBe(drafts[1]?.data);
    expect(cell(3, 'stream')).toBe("'+stream");
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', ' ', '"', "'", ',', 'a', '1') }),
        (text) => {
          const parsed = parseCsv(`${csvCell(text)}\r\n`)[0]?.[0] ?? '';
          expect(parsed).not.toMatch(/^[=+\-@\t\r]/);
          expect([text, `'${text}`]).toContain(parsed);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('replaces no file, makes no folder and keeps away from the files of MAOS', async () => {
    const there = join(root, 'there.jsonl');
    writeFileSync(there, 'mine');
    await expect(call(watchOps.export, { path: there })).rejects.toMatchObject({ code: 'conflict' });
    expect(readFileSync(there, 'utf8')).toBe('mine');
    for (const path of [join(root, 'none/x'), join(home, 'x'), join(home, 'token'), join(there, 'x')]) {
      await expect(call(watchOps.export, { path })).rejects.toMatchObject({ code: 'invalid' });
    }
    expect(existsSync(join(home, 'x'))).toBe(false);
    await expect(call(watchOps.export, { path: 'relative' })).rejects.toMatchObject({ code: 'invalid' });
  });
});

/** A reader of CSV as the standard has it. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (text[at] === '"') {
      for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at += 1) {
        cell += text[at];
        if (text[at] === '"') at += 1;
      }
      at += 1;
    } else for (; at < text.length && text[at] !== ',' && text[at] !== '\r'; at += 1) cell += text[at];
    rows.at(-1)?.push(cell);
    if (text[at] === ',') at += 1;
    else {
      at += 2;
      if (at < text.length) rows.push([]);
    }
  }
  return rows;
}
