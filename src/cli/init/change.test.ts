import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FileRecord, installed, takenBack } from './change.ts';
import { type Target, targets } from './entries.ts';

const target = (file: string): Target => {
  const found = targets.find((one) => one.file === file);
  if (found === undefined) throw new Error(`nothing is written to ${file}`);
  return found;
};
const mcp = target('.mcp.json');
const settings = target('.claude/settings.json');
const codex = target('.codex/config.toml');

/** What a file becomes, and what was recorded. */
function install(one: Target, text: string | null, old?: FileRecord): { text: string; record: FileRecord } {
  const change = installed(one, text, old);
  expect(change.left).toEqual([]);
  if (change.text === null || change.record === undefined) throw new Error('nothing was put');
  return { text: change.text, record: change.record };
}

const parse = (text: string): Record<string, unknown> => JSON.parse(text.replace(/^\uFEFF/, '') || '{}');
const merged = (one: Target, value: Record<string, unknown>): unknown => {
  const [entry] = one.entries;
  if (entry?.kind === 'member') {
    return {
      ...value,
      mcpServers: { ...(typeof value['mcpServers'] === 'object' ? value['mcpServers'] : {}), maos: entry.value },
    };
  }
  if (entry?.kind !== 'item') throw new Error('not JSON');
  const hooks: Record<string, unknown> = { ...(typeof value['hooks'] === 'object' ? value['hooks'] : {}) };
  const there = hooks['PreToolUse'];
  return { ...value, hooks: { ...hooks, PreToolUse: [...(Array.isArray(there) ? there : []), entry.value] } };
};

/** Texts of JSON objects in many manners: indentation, line ends, marks, spaces, escapes, keys of every sort. */
// No key with a backslash: Node 24 may read the key "\\"" as "\\" once it has seen such an object, which would be the test's fault.
const key = fc
  .oneof(fc.string({ maxLength: 8 }), fc.constantFrom('a', '"', '__proto__x', 'ü', '{', '}', ',', ':', 'hooks2'))
  .filter((text) => !text.includes('\\'));
const other = fc.jsonValue({ maxDepth: 3 });
const servers = fc.dictionary(key, fc.record({ command: fc.string(), args: fc.array(fc.string(), { maxLength: 3 }) }), {
  maxKeys: 3,
});
const hooks = fc.record(
  {
    PreToolUse: fc.array(fc.record({ matcher: key, hooks: fc.constant([]) }), { maxLength: 3 }),
    Stop: fc.constant([{ hooks: [] }]),
  },
  { requiredKeys: [] },
);
const value = fc
  .tuple(
    fc.dictionary(key, other, { maxKeys: 4 }),
    fc.record({ mcpServers: servers, hooks }, { requiredKeys: [] }),
    fc.boolean(),
  )
  .map(([some, known, first]) => (first ? { ...known, ...some } : { ...some, ...known }));
const manner = fc.record({
  indent: fc.constantFrom(0, 1, 2, 3, 4, 8, '\t'),
  eol: fc.constantFrom('\n', '\r\n'),
  start: fc.constantFrom('', '\uFEFF', '\n', '  \n\t'),
  end: fc.constantFrom('', '\n', '\n\n', ' '),
  spread: fc.constantFrom('', ' ', '\n', '\n\n  '),
});
interface Shape {
  readonly text: string;
  readonly value: Record<string, unknown>;
}
const shape: fc.Arbitrary<Shape> = fc.tuple(value, manner).map(([object, { indent, eol, start, end, spread }]) => {
  // Spaces where JSON allows them, as some editors leave them: only between tokens outside of strings.
  const text = JSON.stringify(object, undefined, indent).replace(/"(?:[^"\\]|\\.)*"|[{[,]/g, (token) =>
    token.length === 1 ? `${token}${spread}` : token,
  );
  return { text: `${start}${text}${end}`.replace(/\r?\n/g, eol), value: parse(text) };
});
const runs = { numRuns: 1_500 };

describe('what was put into JSON', () => {
  it.each([mcp, settings])('changes nothing else in $file, and is taken back byte for byte', (one) => {
    fc.assert(
      fc.property(shape, ({ text, value: was }) => {
        const first = install(one, text);
        expect(parse(first.text)).toEqual(merged(one, was));
        expect(Object.keys(parse(first.text)).slice(0, Object.keys(was).length)).toEqual(Object.keys(was));
        const again = install(one, first.text, first.record);
        expect(again.text).toBe(first.text);
        expect(takenBack(first.text, again.record)).toEqual({ text, record: undefined, left: [] });
      }),
      runs,
    );
  });

  it('is taken out of a file that was changed since, and what was changed stays', () => {
    fc.assert(
      fc.property(
        shape,
        fc.constantFrom(mcp, settings),
        key,
        other,
        fc.boolean(),
        ({ text, value: was }, one, name, more, inner) => {
          fc.pre(!Object.hasOwn(was, name) && !['mcpServers', 'hooks', '__proto__'].includes(name));
          const first = install(one, text);
          const changed = parse(first.text);
          changed[name] = more;
          if (inner)
            changed['mcpServers'] = {
              ...(typeof changed['mcpServers'] === 'object' ? changed['mcpServers'] : {}),
              mine: { command: 'me' },
            };
          const back = takenBack(JSON.stringify(changed, undefined, 3), first.record);
          expect(back.left).toEqual([]);
          const wanted: Record<string, unknown> = { ...was, [name]: more };
          if (inner)
            wanted['mcpServers'] = {
              ...(typeof was['mcpServers'] === 'object' ? was['mcpServers'] : {}),
              mine: { command: 'me' },
            };
          expect(parse(back.text ?? '{}')).toEqual(JSON.parse(JSON.stringify(wanted)));
        },
      ),
      runs,
    );
  });

  it.each([null, '', '\n', ' \n\t ', '\uFEFF'])('fills a file that holds nothing (%j)', (text) => {
    const first = install(mcp, text);
    expect(parse(first.text)).toEqual(merged(mcp, {}));
    expect(takenBack(first.text, first.record).text).toBe(text);
  });

  it('reads well', () => {
    expect(install(mcp, null).text).toBe(
      '{\n  "mcpServers": {\n    "maos": {\n      "command": "maos",\n      "args": [\n        "mcp"\n      ]\n    }\n  }\n}\n',
    );
    expect(install(mcp, '{\n\t"mcpServers": {\n\t\t"a": {}\n\t}\n}').text).toBe(
      '{\n\t"mcpServers": {\n\t\t"a": {},\n\t\t"maos": {\n\t\t\t"command": "maos",\n\t\t\t"args": [\n\t\t\t\t"mcp"\n\t\t\t]\n\t\t}\n\t}\n}',
    );
    expect(install(mcp, '{"mcpServers":{}}').text).toBe('{"mcpServers":{"maos":{"command":"maos","args":["mcp"]}}}');
  });

  it.each([
    [
      'another server of that name',
      mcp,
      '{"mcpServers":{"maos":{"command":"mine"}}}',
      '"mcpServers.maos" is there with other values',
    ],
    ['a container that is none', mcp, '{"mcpServers":[]}', '"mcpServers" is not an object'],
    ['an array that is none', settings, '{"hooks":{"PreToolUse":{}}}', '"hooks.PreToolUse" is not an array'],
    ['comments', settings, '{\n  // mine\n}', 'it is not JSON'],
    ['an array', settings, '[]', 'it does not hold a JSON object'],
    [
      'another server of that name in TOML',
      codex,
      '[mcp_servers."maos"]\ncommand = "x"\n',
      '"mcp_servers.maos" is there',
    ],
    ['an inline table in TOML', codex, 'mcp_servers = { }\n', '"mcp_servers.maos" is there'],
    [
      'a dotted key in TOML',
      codex,
      '[mcp_servers]\na.command = "x"\nmaos.command = "x"\n',
      '"mcp_servers.maos" is there',
    ],
  ])('leaves %s alone, and says so', (_what, one, text, why) => {
    const { left, ...change } = installed(one, text, undefined);
    expect(change).toEqual({ text, record: undefined });
    expect(left).toEqual([expect.stringContaining(why)]);
  });

  it('that is there already and is not ours is not taken back', () => {
    const { text } = install(mcp, '{}');
    expect(installed(mcp, text, undefined)).toEqual({ text, record: undefined, left: [] });
  });

  it('and was changed by the user is left and named', () => {
    const { text, record } = install(mcp, '{"a": 1}');
    const changed = text.replace('"mcp"', '"mcp", "--mine"');
    expect(takenBack(changed, record)).toEqual({
      text: changed,
      record: undefined,
      left: ['"mcpServers.maos" was changed since'],
    });
    const removed = '{"a": 1}';
    expect(takenBack(removed, record)).toEqual({ text: removed, record: undefined, left: [] });
  });

  it('stays where it is when something else was changed, and is put again when it is gone', () => {
    const first = install(mcp, '{\n  "a": 1\n}\n');
    const changed = first.text.replace('"a": 1', '"a": 2');
    expect(install(mcp, changed, first.record).text).toBe(changed);
    const gone = install(mcp, '{"b":1}', first.record);
    expect(takenBack(gone.text, gone.record).text).toBe('{"b":1}');
  });
});

describe('what was put into TOML', () => {
  const line = fc.constantFrom(
    '',
    '# mine',
    'model = "x"',
    '[mcp_servers.other]',
    'command = "y"',
    '[features]',
    'maos = "no"',
    '[[a.b]]',
  );
  const toml = fc
    .tuple(fc.array(line, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'), fc.boolean())
    .map(([lines, eol, ended]) => lines.join(eol) + (ended ? eol : ''));

  it('stands at the end and is taken back byte for byte', () => {
    fc.assert(
      fc.property(toml, (text) => {
        const change = installed(codex, text, undefined);
        if (change.left.length > 0) return;
        const first = install(codex, text);
        expect(first.text.startsWith(text)).toBe(true);
        expect(install(codex, first.text, first.record).text).toBe(first.text);
        expect(takenBack(first.text, first.record).text).toBe(text);
        const more = `${first.text}[mine]\n`;
        expect(takenBack(more, first.record)).toMatchObject({ left: [] });
        expect(takenBack(more, first.record).text).not.toContain('mcp_servers.maos');
      }),
      runs,
    );
  });
});
