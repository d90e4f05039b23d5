import { expect, it } from 'vitest';
import * as z from 'zod';
import { operation } from '../kernel/operation.ts';
import { everyOperation } from './catalogue.ts';
import { referenceMarkdown } from './reference.ts';

const thing = z.strictObject({
  id: z.string(),
  state: z.enum(['open', 'shut']).describe('Where | it stands.'),
  parts: z.array(z.string()).nullable(),
});
const make = operation({
  name: 'thing.make',
  summary: 'Makes a thing.',
  detail: 'Once.',
  effect: 'write',
  scope: 'thing:write',
  input: () =>
    z.strictObject({
      name: z.string().describe('Its name.'),
      maxParts: z.int().default(3),
      kind: z.enum(['a', 'b']).optional(),
      labels: z.array(z.string()).nullable().default(null),
    }),
  output: () => thing,
  route: 'POST /things',
  positional: ['name'],
  refusals: { conflict: 'The name is taken.' },
});
const list = operation({
  name: 'thing.list',
  summary: 'Lists things.',
  effect: 'read',
  scope: 'thing:read',
  input: () => z.strictObject({}),
  output: () => z.strictObject({ things: z.array(thing) }),
  route: 'GET /things',
});

it('writes a section for every operation', () => {
  expect(referenceMarkdown([make, list, { ...list, name: 'thing.tick', internal: true }])).toMatchInlineSnapshot(`
    "# Reference

    Generated from the contracts by \`npm run docs\`; do not edit. Every operation is a command of the shell, a route below \`/api/v1\`
    and a method of the typed client. docs/openapi.json says the same for programs, and [cli.md](cli.md) explains the shorter commands.

    Commands take \`--json\` to print the answer as JSON, and \`--idempotency-key\` (over HTTP the header \`Idempotency-Key\`) where they
    change something: the same key again gives the first answer instead of a second call, for a week at least; with another operation or
    input it is refused. Paths are absolute, except in the shell. Times are milliseconds since the epoch. Any operation may also refuse with
    \`invalid\` (its input), \`not_found\` (what it names) and \`unavailable\`.

    - **thing**: [thing.make](#thingmake), [thing.list](#thinglist)

    ## thing

    ### thing.make

    Makes a thing.

    Once.

    \`\`\`
    maos thing make NAME [options]
    POST /api/v1/things
    \`\`\`

    Effect: write. Scope: \`thing:write\`.

    | field | kind | meaning |
    |---|---|---|
    | \`name\` | string, required | Its name. |
    | \`maxParts\` | number | Default: \`3\`. In the shell \`--max-parts\`. |
    | \`kind\` | enum | One of \`a\`, \`b\`. |
    | \`labels\` | list of string or null | Default: \`null\`. |

    | answer | type | meaning |
    |---|---|---|
    | \`id\` | string |  |
    | \`state\` | \`open\`, \`shut\` | Where \\| it stands. |
    | \`parts\` | list of string or null |  |

    Refuses with \`conflict\`: The name is taken.

    ### thing.list

    Lists things.

    \`\`\`
    maos thing list [options]
    GET /api/v1/things
    \`\`\`

    Effect: read. Scope: \`thing:read\`.

    No input.

    | answer | type | meaning |
    |---|---|---|
    | \`things\` | list of [thing.make](#thingmake) |  |

    ## Internal

    Called by MAOS’s own parts; not in the shell.

    | operation | route | what it does |
    |---|---|---|
    | thing.tick | \`GET /things\` | Lists things. |
    "
  `);
});

it('covers the product: every operation, every link', async () => {
  const operations = await everyOperation();
  const text = referenceMarkdown(operations);
  for (const { name, internal } of operations)
    expect(text).toContain(internal === true ? `| ${name} |` : `### ${name}\n`);
  const anchors = new Set([...text.matchAll(/^### (\S+)$/gm)].map(([, name = '']) => name.replaceAll('.', '')));
  const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, link = '']) => link);
  expect(links.filter((link) => !anchors.has(link))).toEqual([]);
  expect(text).not.toMatch(/undefined|\[object/);
});
