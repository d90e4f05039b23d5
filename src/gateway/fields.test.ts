import { expect, it } from 'vitest';
import * as z from 'zod';
import { operation } from '../kernel/operation.ts';
import { fieldsOfInput, fieldsOfSchema } from './fields.ts';

const base = {
  name: 'a.b',
  summary: 'A.',
  effect: 'read' as const,
  scope: 'a:read',
  output: () => z.null(),
  route: 'GET /a' as const,
};

it('says of each field what a door with text needs', () => {
  const input = z.strictObject({
    text: z.string().describe('Words.'),
    count: z.int().min(1).default(3).describe('How many.'),
    on: z.boolean().optional(),
    kind: z.enum(['a', 'b']).nullable().describe('Which.'),
    fixed: z.literal('x'),
    either: z.union([z.literal('p'), z.enum(['q', 'r'])]),
    tags: z.array(z.enum(['t', 'u'])).optional(),
    lists: z.array(z.strictObject({ a: z.string() })),
    data: z.record(z.string(), z.unknown()),
    loose: z.unknown(),
    id: z.string().trim().pipe(z.string().min(1)),
    idOrNumber: z.union([z.string(), z.number()]),
  });
  expect(fieldsOfInput(operation({ ...base, input: () => input }))).toEqual([
    { name: 'text', kind: 'string', required: true, nullable: false, description: 'Words.' },
    { name: 'count', kind: 'number', required: false, nullable: false, default: 3, description: 'How many.' },
    { name: 'on', kind: 'boolean', required: false, nullable: false },
    { name: 'kind', kind: 'enum', required: true, nullable: true, description: 'Which.', choices: ['a', 'b'] },
    { name: 'fixed', kind: 'enum', required: true, nullable: false, choices: ['x'] },
    { name: 'either', kind: 'enum', required: true, nullable: false, choices: ['p', 'q', 'r'] },
    { name: 'tags', kind: 'array', required: false, nullable: false, item: 'enum', choices: ['t', 'u'] },
    { name: 'lists', kind: 'array', required: true, nullable: false, item: 'object' },
    { name: 'data', kind: 'object', required: true, nullable: false },
    { name: 'loose', kind: 'object', required: true, nullable: false },
    { name: 'id', kind: 'string', required: true, nullable: false },
    { name: 'idOrNumber', kind: 'string', required: true, nullable: false },
  ]);
});

it('joins the objects of a union', () => {
  const schema = z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('a'), x: z.string() }),
    z.strictObject({ kind: z.literal('b'), y: z.number() }),
  ]);
  expect(fieldsOfSchema(schema).map((field) => [field.name, field.required])).toEqual([
    ['kind', true],
    ['x', false],
    ['y', false],
  ]);
  expect(fieldsOfSchema(z.string())).toEqual([]);
});
