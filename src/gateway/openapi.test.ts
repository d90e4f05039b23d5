import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createNote, TestServer } from './gateway.fixture.ts';
import { describeApi } from './openapi.ts';

const server = new TestServer();
beforeAll(() => server.start());
afterAll(() => server.remove());

const parameter = z.looseObject({
  name: z.string(),
  in: z.enum(['path', 'query', 'header']),
  required: z.boolean(),
  schema: z.record(z.string(), z.unknown()).optional(),
  content: z.record(z.string(), z.unknown()).optional(),
});
const media = z.record(z.string(), z.looseObject({ schema: z.record(z.string(), z.unknown()) }));
const described = z.looseObject({
  operationId: z.string(),
  summary: z.string().min(5),
  parameters: z.array(parameter).default([]),
  requestBody: z.looseObject({ required: z.boolean(), content: media }).optional(),
  responses: z.record(z.string(), z.unknown()),
});
const document = z.looseObject({
  openapi: z.literal('3.1.0'),
  paths: z.record(z.string(), z.record(z.string(), described)),
  components: z.looseObject({
    schemas: z.record(z.string(), z.unknown()),
    responses: z.record(z.string(), z.unknown()),
  }),
});
const load = async (): Promise<z.output<typeof document>> =>
  document.parse((await server.request('GET', '/openapi.json')).body);

describe('the OpenAPI document', () => {
  it('describes every operation and the doors beside them', async () => {
    const { paths } = await load();
    expect(Object.keys(paths).toSorted()).toEqual([
      '/api/v1/events',
      '/api/v1/live',
      '/api/v1/notes',
      '/api/v1/notes/big/{size}',
      '/api/v1/notes/fail',
      '/api/v1/notes/import',
      '/api/v1/notes/refuse',
      '/api/v1/notes/wait',
      '/api/v1/notes/{note}',
      '/api/v1/notes/{note}/drop',
      '/api/v1/notes/{note}/rename',
      '/health',
      '/openapi.json',
    ]);
    const rename = paths['/api/v1/notes/{note}/rename']?.['post'];
    expect(rename?.parameters.map((item) => `${item.in} ${item.name} ${item.required}`)).toEqual([
      'path note true',
      'header Idempotency-Key false',
    ]);
    expect(rename?.requestBody?.content['application/json']?.schema).toMatchObject({
      required: ['title'],
      additionalProperties: false,
    });
    expect(paths['/api/v1/notes']?.['get']?.parameters.map((item) => item.name)).toEqual([
      'limit',
      'kind',
      'urgent',
      'parent',
      'above',
      'where',
    ]);
  });

  it('refers only to what it holds, names each path parameter, and has unique operation ids', async () => {
    const { body, text } = await server.request('GET', '/openapi.json');
    for (const [, reference = ''] of text.matchAll(/"\$ref":"([^"]+)"/g)) {
      expect(reference).toMatch(/^#\//);
      const target = reference
        .slice(2)
        .split('/')
        .reduce<unknown>(
          (node, key) =>
            typeof node === 'object' && node !== null ? Object.getOwnPropertyDescriptor(node, key)?.value : undefined,
          body,
        );
      expect([reference, target === undefined]).toEqual([reference, false]);
    }
    const { paths } = document.parse(body);
    const ids: string[] = [];
    for (const [path, methods] of Object.entries(paths)) {
      for (const item of Object.values(methods)) {
        ids.push(item.operationId);
        const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        expect(item.parameters.filter((one) => one.in === 'path').map((one) => one.name)).toEqual(named);
        for (const one of item.parameters)
          expect(Number(one.schema === undefined) + Number(one.content === undefined)).toBe(1);
        expect(Object.keys(item.responses).length).toBeGreaterThan(0);
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is the same each time, whatever the order of the operations', () => {
    const other = { ...createNote, name: 'a.first', route: 'POST /a' } as const;
    expect(JSON.stringify(describeApi([createNote, other], '1'))).toBe(
      JSON.stringify(describeApi([other, createNote], '1')),
    );
  });
});

/** Values for a schema: often right, often nearly right, sometimes nothing like it. */
function valueFor(schema: Readonly<Record<string, unknown>> | undefined): fc.Arbitrary<unknown> {
  const choices = Array.isArray(schema?.['enum'])
    ? schema['enum']
    : ['idea', 'null', 'true', '__proto__', 'constructor'];
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom(...choices),
    fc.constantFrom('\u0000', '\ud800', "'; DROP TABLE note; --", '%00', '../..'),
  );
  const likely = {
    string: text,
    integer: fc.integer(),
    number: fc.double(),
    boolean: fc.boolean(),
    array: fc.array(text, { maxLength: 5 }),
  };
  const [, right = text] = Object.entries(likely).find(([type]) => type === schema?.['type']) ?? [];
  return fc.oneof(
    { weight: 3, arbitrary: right },
    { weight: 1, arbitrary: fc.jsonValue() },
    { weight: 1, arbitrary: text },
  );
}

function inputFor(
  names: readonly (readonly [string, Readonly<Record<string, unknown>> | undefined])[],
): fc.Arbitrary<Record<string, unknown>> {
  const known = Object.fromEntries(names.map(([name, schema]) => [name, valueFor(schema)]));
  const extra = fc.dictionary(
    fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('__proto__', 'constructor', 'toString')),
    fc.jsonValue(),
    { maxKeys: 1 },
  );
  const likely = fc.record(known, { requiredKeys: [] });
  return fc.oneof(
    { weight: 4, arbitrary: likely },
    { weight: 1, arbitrary: fc.tuple(likely, extra).map(([a, b]) => ({ ...a, ...b })) },
  );
}

interface Shot {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: string | undefined;
}

const asText = (value: unknown): string =>
  typeof value === 'string' ? value.toWellFormed() : (JSON.stringify(value) ?? '');
const isRecord = (value: unknown): value is Record<string, Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** Requests to one described operation. */
function shots(path: string, method: string, item: z.output<typeof described>): fc.Arbitrary<Shot> {
  const named = (place: string) =>
    inputFor(item.parameters.filter((one) => one.in === place).map((one) => [one.name, one.schema]));
  const properties = item.requestBody?.content['application/json']?.schema['properties'];
  const body = inputFor(isRecord(properties) ? Object.entries(properties) : []).map((value) => JSON.stringify(value));
  const broken = fc.tuple(body, fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1)));
  return fc
    .record({
      params: named('path'),
      query: fc.oneof(named('query'), fc.constant<Record<string, unknown>>({})),
      body:
        method === 'get'
          ? fc.constant(undefined)
          : fc.oneof(
              { weight: 6, arbitrary: body },
              { weight: 1, arbitrary: broken },
              { weight: 1, arbitrary: fc.json() },
            ),
    })
    .map(({ params, query, body }) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(
        /\{(\w+)\}/g,
        (_, name: string) => encodeURIComponent(asText(params[name] ?? 'x')) || '%20',
      ),
      query: new URLSearchParams(
        Object.entries(query).map(([name, value]): [string, string] => [name, asText(value)]),
      ).toString(),
      body,
    }));
}

describe('any request made after the document', () => {
  it('is answered with JSON and never with 5xx', async () => {
    const { paths } = await load();
    const skip = [
      '/api/v1/events',
      '/api/v1/live',
      '/api/v1/notes/fail',
      '/api/v1/notes/wait',
      '/openapi.json',
      '/api/v1/notes/import',
      '/api/v1/notes/refuse',
    ];
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      skip.includes(path) ? [] : Object.entries(methods).map(([method, item]) => shots(path, method, item)),
    );
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(fc.oneof(...all), async (shot) => {
        const answer = await server.request(
          shot.method,
          shot.query === '' ? shot.path : `${shot.path}?${shot.query}`,
          shot.body === undefined ? {} : { body: shot.body },
        );
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        expect(answer.status).toBeLessThan(500);
        const told = z.object({ code: z.string(), message: z.string(), fix: z.string() });
        expect(answer.status < 400 || told.safeParse(answer.body.error).success).toBe(true);
      }),
      // Fifty thousand against the whole server: fuzz.slow.test.ts.
      { numRuns: 1_000 },
    );
    expect(server.failures).toEqual([]);
    // The fuzz is worth something only if it gets past the door.
    expect(statuses.get(200)).toBeGreaterThan(25);
    expect(statuses.get(400)).toBeGreaterThan(25);
    expect(statuses.get(404)).toBeGreaterThan(5);
  }, 60_000);
});
