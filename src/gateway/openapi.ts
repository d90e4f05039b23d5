import * as z from 'zod';
import { errorCodes } from '../kernel/error.ts';
import type { Operation } from '../kernel/operation.ts';
import { eventsQuery } from './filter.ts';
import { routeOf } from './routes.ts';
import { clientFrame } from './socket.ts';

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of these operations. The same operations always give the same document. */
export function describeApi(operations: readonly Operation[], version: string): Json {
  const schemas: Json = { Problem: schemaOf(problemBody, 'output', 'Problem', {}) };
  const paths: Record<string, Json> = {};
  const routes = operations.map(routeOf).toSorted((a, b) => order(`${a.path} ${a.method}`, `${b.path} ${b.method}`));
  for (const { operation, method, path, params } of routes) {
    const address = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[address] = {
      ...paths[address],
      [method.toLowerCase()]: describeOperation(operation, method, params, schemas),
    };
  }
  const tags = [...new Set(operations.map(nounOf))]
    .toSorted(order)
    .map((name) => ({ name, description: `Operations on ${name}.` }));
  return {
    openapi: '3.1.0',
    info: {
      title: 'MAOS',
      version,
      description:
        'Every operation of MAOS. Send the local token with each request; it is in the file "token" in MAOS_HOME.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: [
      ...tags,
      { name: 'live', description: 'Follow the log as it grows.' },
      { name: 'server', description: 'The server itself.' },
    ],
    paths: { ...paths, ...fixedPaths(schemas) },
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => order(a, b))),
      responses: Object.fromEntries(
        Object.entries(errorResponses).map(([status, description]) => [`Error${status}`, errorResponse(description)]),
      ),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The token of a login, a key or a session; or the local token.',
        },
      },
    },
  };
}

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
const nounOf = (operation: Operation): string => operation.name.split('.')[0] ?? operation.name;

const problemBody = z.strictObject({
  error: z.strictObject({
    code: z.enum([...errorCodes, 'internal']).describe('What kind of refusal it is; programs branch on this.'),
    message: z.string().describe('What was wrong.'),
    fix: z.string().optional().describe('What to do next.'),
    issues: z
      .array(
        z.strictObject({
          path: z.string(),
          message: z.string(),
          line: z.int().optional().describe('In a plan file.'),
          column: z.int().optional(),
        }),
      )
      .optional()
      .describe('Each problem of a refused input.'),
    details: z.record(z.string(), z.unknown()).optional().describe('Facts that a program may branch on.'),
  }),
});

const errorResponses: Readonly<Record<string, string>> = {
  400: 'The input is not valid.',
  401: 'The token is missing or wrong.',
  403: 'The caller may not do this.',
  404: 'There is no such thing.',
  409: 'It does not fit the present state.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  429: 'A limit is reached.',
  500: 'The server failed.',
  503: 'The server cannot do this now.',
};

const errorResponse = (description: string): Json => ({
  description,
  content: jsonContent({ $ref: '#/components/schemas/Problem' }),
});
const jsonContent = (schema: unknown): Json => ({ 'application/json': { schema } });

function errorsOf(statuses: readonly string[]): Json {
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/Error${status}` }]));
}

function describeOperation(operation: Operation, method: string, params: readonly string[], schemas: Json): Json {
  const name = operation.name.replaceAll('.', '_');
  const input = schemaOf(operation.input, 'input', `${name}_input`, schemas);
  const output = schemaOf(operation.output, 'output', `${name}_output`, schemas);
  const refusals = Object.entries(operation.refusals ?? {}).map(([code, when]) => `- \`${code}\`: ${when}`);
  const description = [operation.detail, refusals.length > 0 ? `Refuses:\n${refusals.join('\n')}` : undefined].filter(
    (part) => part !== undefined,
  );
  const hasBody = method !== 'GET';
  return {
    operationId: name,
    tags: [nounOf(operation)],
    summary: operation.summary,
    ...(description.length > 0 ? { description: description.join('\n\n') } : {}),
    'x-maos-effect': operation.effect,
    'x-maos-scope': operation.scope,
    ...(operation.open === true ? { security: [] } : {}),
    parameters: [
      ...fieldParameters(input, params, hasBody),
      ...(hasBody && operation.secrets === undefined ? [idempotencyKey] : []),
    ],
    ...(hasBody ? { requestBody: requestBody(input, params) } : {}),
    responses: {
      200: {
        description: 'Done.',
        headers: {
          'X-Maos-Position': {
            description: 'Where the log ended when this was answered.',
            schema: { type: 'integer', minimum: 0 },
          },
        },
        content: jsonContent(output),
      },
      ...errorsOf(Object.keys(errorResponses).filter((status) => hasBody || (status !== '413' && status !== '415'))),
    },
  };
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'The same key with the same input is carried out once and answered alike, for a week at least; with another operation or input it is refused.',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
};

function fieldParameters(input: Json, params: readonly string[], hasBody: boolean): Json[] {
  const required = requiredOf(input);
  return Object.entries(propertiesOf(input)).flatMap(([name, schema]) => {
    const inPath = params.includes(name);
    if (!inPath && hasBody) return [];
    const description =
      isObject(schema) && typeof schema['description'] === 'string' ? { description: schema['description'] } : {};
    const common = { name, in: inPath ? 'path' : 'query', required: inPath || required.includes(name), ...description };
    const asJson =
      isObject(schema) &&
      (schema['type'] === 'object' || (schema['type'] === undefined && !('enum' in schema) && !('const' in schema)));
    return [asJson && !inPath ? { ...common, content: jsonContent(schema) } : { ...common, schema }];
  });
}

/** The input without what stands in the path. An input that is not one object stays whole. */
function requestBody(input: Json, params: readonly string[]): Json {
  const properties = Object.entries(propertiesOf(input)).filter(([name]) => !params.includes(name));
  const required = requiredOf(input).filter((name) => !params.includes(name));
  if (!('properties' in input)) return { required: true, content: jsonContent(input) };
  const schema = { ...input, properties: Object.fromEntries(properties), required };
  return { required: required.length > 0, content: jsonContent(schema) };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function propertiesOf(schema: Json): Json {
  return isObject(schema['properties']) ? schema['properties'] : {};
}

function requiredOf(schema: Json): string[] {
  const { required } = schema;
  return Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [];
}

/** A schema as JSON Schema; what it defines for itself moves to `components`, where references find it. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', name: string, schemas: Json): Json {
  const { $schema: _, $defs, ...root } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  const refers = (node: unknown): boolean =>
    Array.isArray(node)
      ? node.some(refers)
      : isObject(node) && (node['$ref'] === '#' || Object.values(node).some(refers));
  const move = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(move);
    if (!isObject(node)) return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => [
        key,
        key === '$ref' && typeof value === 'string' ? moved(value, name) : move(value),
      ]),
    );
  };
  for (const [key, value] of Object.entries($defs ?? {})) schemas[`${name}.${key}`] = move(value);
  const result = move(root);
  if (!isObject(result)) throw new Error(`${name} has no JSON schema.`);
  if (refers(root) || refers($defs)) schemas[name] = result;
  return result;
}

function moved(reference: string, name: string): string {
  return `#/components/schemas/${reference === '#' ? name : `${name}.${reference.replace('#/$defs/', '')}`}`;
}

function fixedPaths(schemas: Json): Json {
  const query = schemaOf(eventsQuery, 'input', 'events_query', schemas);
  const lastEventId = {
    name: 'Last-Event-ID',
    in: 'header',
    required: false,
    description: 'Resumes after this position; wins over `after`.',
    schema: { type: 'integer', minimum: 0 },
  };
  schemas['ClientFrame'] = schemaOf(clientFrame, 'input', 'ClientFrame', schemas);
  const health = z.strictObject({ status: z.literal('ok'), version: z.string(), position: z.int() });
  return {
    '/api/v1/events': {
      get: {
        operationId: 'live_events',
        tags: ['live'],
        summary: 'Follow the log as server-sent events.',
        description:
          'Each event has a record of the log as its data and the position of that record as its id. A comment keeps the connection every 15 seconds.',
        parameters: [...fieldParameters(query, [], false), lastEventId],
        responses: {
          200: { description: 'The stream.', content: { 'text/event-stream': { schema: { type: 'string' } } } },
          ...errorsOf(['400', '401', '403', '409', '429']),
        },
      },
    },
    '/api/v1/live': {
      get: {
        operationId: 'live_socket',
        tags: ['live'],
        summary: 'Follow the log and call operations over a WebSocket.',
        description:
          'JSON frames. The client sends `ClientFrame`s; the server answers with `following`, `record`, `unfollowed`, `result` and `error` frames that carry the same id. A browser offers the subprotocols `maos.v1` and `bearer.<token>`.',
        responses: {
          101: { description: 'The WebSocket is open.' },
          ...errorsOf(['401', '403', '429']),
          426: errorResponse('This is a WebSocket.'),
        },
      },
    },
    '/health': {
      get: {
        operationId: 'server_health',
        tags: ['server'],
        summary: 'Whether the server answers. Needs no token.',
        security: [],
        responses: {
          200: { description: 'It does.', content: jsonContent(schemaOf(health, 'output', 'health', schemas)) },
        },
      },
    },
    '/openapi.json': {
      get: {
        operationId: 'server_openapi',
        tags: ['server'],
        summary: 'This document.',
        responses: {
          200: { description: 'The document.', content: jsonContent({ type: 'object' }) },
          ...errorsOf(['401', '403']),
        },
      },
    },
  };
}
