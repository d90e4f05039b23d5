/** Requests made from the OpenAPI document: some that fit it, some that nearly fit it, some that nobody should send. */
import { Agent, request as httpRequest } from 'node:http';
import fc from 'fast-check';
import * as z from 'zod';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly additionalProperties?: boolean | Schema;
}
interface Described {
  readonly operationId: string;
  readonly description?: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: unknown }>> }>
  >;
}
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** One request, as it goes over the wire. */
interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
}

export interface FuzzOptions {
  readonly url: string;
  readonly token: string;
  readonly document: Document;
  /** Names and ids of things that are there. */
  readonly known: readonly string[];
  /** All paths that are made lie below it. */
  readonly folder: string;
  readonly seed: number;
  /** Operations that are not called: those that end the server, or take long. */
  readonly without?: readonly string[];
}

export interface FuzzReport {
  readonly requests: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** What should not have been answered so. */
  readonly findings: readonly string[];
}

const strange = [
  '',
  ' ',
  '\0',
  '\u202e',
  '\u200b',
  '\ufeff',
  '\ud800',
  'é'.normalize('NFD'),
  '😀'.repeat(50),
  '%',
  '%00',
  '%2e%2e%2f',
  "'; DROP TABLE log; --",
  '"',
  '\\',
  '*',
  '%',
  '_',
  '\n\r\t',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'NaN',
  '1e999',
  '-0',
  '９',
  '../../../../etc/passwd',
  '..\\..\\',
  'a'.repeat(5_000),
  '${7*7}',
  '{{7*7}}',
  '$(id)',
  '`id`',
  '<script>alert(1)</script>',
  '=1+1',
  'rm -rf /',
  'ｒｍ -rf',
  '\u001b[31m',
] as const;
const strangeJson = [
  '1e999',
  '-1e999',
  '123456789012345678901234567890',
  '0.1e-400',
  '"\\ud800"',
  '"\\u0000"',
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '[]',
  '{}',
  'null',
  'true',
  '-0',
  '9007199254740993',
  '[[[[[[[[[[]]]]]]]]]]',
  '{"a":{"a":{"a":{"a":{}}}}}',
  '""',
  '"x"',
  '0',
] as const;

/** A text that no server of a test may take for a place outside of its own folder. */
function text(options: FuzzOptions, { minLength = 0, maxLength = 60, pattern }: Schema): fc.Arbitrary<string> {
  const length = { minLength: Math.min(minLength, 200), maxLength: Math.max(minLength, Math.min(maxLength, 200)) };
  const known = options.known.length === 0 ? ['x'] : options.known;
  return fc
    .oneof(
      { weight: 4, arbitrary: fc.constantFrom(...known) },
      ...(pattern === undefined ? [] : [{ weight: 20, arbitrary: fc.stringMatching(new RegExp(pattern)) }]),
      { weight: 2, arbitrary: fc.string(length) },
      { weight: 1, arbitrary: fc.string({ ...length, unit: 'binary' }) },
      { weight: 1, arbitrary: fc.constantFrom(...strange) },
      { weight: 1, arbitrary: fc.constantFrom('new', 'sub/folder', '../x').map((name) => `${options.folder}/${name}`) },
    )
    .map((made) => (made.startsWith('/') && !made.startsWith(options.folder) ? options.folder + made : made));
}

/** Values that fit a schema, or nearly: what a pattern asks for is not known here. */
function fitting(options: FuzzOptions, schema: Schema, depth = 0): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const union = schema.anyOf ?? schema.oneOf;
  if (union !== undefined) return fc.oneof(...union.map((one) => fitting(options, one, depth)));
  const { minimum = -1_000_000, maximum = 1_000_000 } = schema;
  switch (schema.type) {
    case 'string':
      return text(options, schema);
    case 'integer':
      return fc.oneof(
        fc.constantFrom(minimum, maximum),
        fc.integer({ min: Math.max(minimum, -(2 ** 31)), max: Math.max(minimum, Math.min(maximum, 1_000)) }),
      );
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      const { minItems: minLength = 0, items = {} } = schema;
      return depth > 4
        ? fc.constant([])
        : fc.array(fitting(options, items, depth + 1), { minLength, maxLength: Math.max(minLength, 3) });
    }
    case 'object': {
      const fields = Object.entries(schema.properties ?? {}).map(
        ([name, one]) => [name, fitting(options, one, depth + 1)] as const,
      );
      if (depth > 4) return fc.constant({});
      return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
    }
    default:
      return depth > 2 ? fc.constant(null) : fc.jsonValue({ maxDepth: 2 });
  }
}

/** A JSON object whose text says in one place something else than it should. */
const spoiled = (value: unknown): fc.Arbitrary<string> =>
  fc
    .tuple(fc.nat(), fc.constantFrom(...strangeJson), fc.constantFrom('__proto__', 'constructor', 'x', ''))
    .map(([at, json, extra]) => {
      const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
      const key = keys[at % (keys.length + 1)] ?? extra;
      const others = Object.entries(value ?? {}).filter(([name]) => name !== key);
      return `{${[...others.map(([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`), `${JSON.stringify(key)}:${json}`].join(',')}}`;
    });

const brokenBody = fc.constantFrom(
  '',
  '{',
  '[]',
  'null',
  '"text"',
  '{"a":1,}',
  '{"a":1}{"b":2}',
  '\ufeff{}',
  `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`,
  `${'['.repeat(100_000)}`,
  `{"a":"${'x'.repeat(1_100_000)}"}`,
  '{"a":"\u0000"}',
  `{${Array.from({ length: 5_000 }, (_, index) => `"k${index}":1`).join(',')}}`,
  '{"a":1,"a":2}',
  '{"__proto__":{"polluted":1}}',
);
const oddHeaders: fc.Arbitrary<Sent['headers']> = fc.constantFrom<Sent['headers'][]>(
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/json; charset=utf-16' },
  { 'content-type': 'multipart/form-data; boundary=x' },
  { 'content-encoding': 'gzip' },
  { 'idempotency-key': 'x'.repeat(500) },
  { 'idempotency-key': 'a b' },
  { traceparent: '00-zz-zz-00' },
  { 'x-trace-id': 'x'.repeat(1_000) },
  { accept: 'text/html' },
  { 'x-http-method-override': 'DELETE' },
  { 'x-forwarded-host': 'evil.example', 'x-forwarded-for': '8.8.8.8' },
  { range: 'bytes=0-1' },
  { 'if-match': '*' },
  Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`x-flood-${index}`, 'x'])),
  { 'x-large': 'x'.repeat(20_000) },
  { cookie: 'a=b; '.repeat(500) },
);

/** A query string; sometimes a name comes twice, or is one that is not asked for. */
const query = (fields: readonly (readonly [string, fc.Arbitrary<unknown>])[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.record(Object.fromEntries(fields), { requiredKeys: [] }),
      fc.constantFrom('', '', '', '&x=1', '&__proto__=1', '&%', '&=', '&limit=1&limit=2', '&a[b]=c'),
    )
    .map(([values, more]) => {
      const pairs = Object.entries(values).flatMap(([name, value]) =>
        (Array.isArray(value) ? value : [value]).map((one: unknown) => `${name}=${encoded(one)}`),
      );
      const all = `${pairs.join('&')}${more}`.replace(/^&/, '');
      return all === '' ? '' : `?${all}`;
    });

const encoded = (value: unknown): string =>
  encodeURIComponent((typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed());

/** What stands in a path, percent-encoded; sometimes in a way that is not right. */
const segment = (options: FuzzOptions, schema: Schema): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: text(options, schema).map(encoded) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('..', '%2e%2e%2f%2e%2e%2fetc', '%', '%ff', '%00', '.', '*', 'a'.repeat(9_000)),
    },
  );

/** Requests for one operation. */
function requests(options: FuzzOptions, address: string, method: string, described: Described): fc.Arbitrary<Sent> {
  const { parameters = [], requestBody } = described;
  const inPath = parameters
    .filter((one) => one.in === 'path')
    .map((one) => [one.name, segment(options, one.schema)] as const);
  const inQuery = parameters
    .filter((one) => one.in === 'query')
    .map((one) => [one.name, fitting(options, one.schema)] as const);
  const schema = requestBody?.content['application/json']?.schema;
  const json = schema === undefined ? undefined : fitting(options, schema);
  const body =
    json === undefined
      ? fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: brokenBody })
      : fc.oneof(
          { weight: 10, arbitrary: json.map((value) => JSON.stringify(value)) },
          { weight: 6, arbitrary: json.chain(spoiled) },
          { weight: 1, arbitrary: brokenBody },
        );
  const headers = fc.oneof(
    { weight: 9, arbitrary: fc.constant<Sent['headers']>({}) },
    { weight: 1, arbitrary: oddHeaders },
  );
  const verb = fc.oneof(
    { weight: 30, arbitrary: fc.constant(method.toUpperCase()) },
    { weight: 1, arbitrary: fc.constantFrom('PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'POST') },
  );
  return fc
    .tuple(fc.record(Object.fromEntries(inPath)), query(inQuery), body, headers, verb)
    .map(([values, asked, sent, odd, chosen]) => ({
      method: chosen,
      path: address.replace(/\{(\w+)\}/g, (_whole, name: string) => String(values[name] ?? 'x')) + asked,
      headers: {
        authorization: `Bearer ${options.token}`,
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...odd,
      },
      ...(sent === undefined || chosen === 'HEAD' ? {} : { body: sent }),
    }));
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function send(url: string, agent: Agent, { method, path, headers, body }: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = httpRequest(
      { agent, hostname, port, method, path, headers: { ...headers, ...length }, timeout: 30_000 },
      (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text: answer }));
        response.once('error', reject);
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in 30 s')));
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** So many requests for each operation are made at once. */
const batch = 20;
const cut = new Set(['ECONNRESET', 'EPIPE']);
const shorten = (whole: string): string => (whole.length > 300 ? `${whole.slice(0, 300)}…` : whole);

/** Sends so many requests, spread over all operations, and looks at each answer. */
export async function fuzz(options: FuzzOptions, count: number): Promise<FuzzReport> {
  const { document, url, seed, without = [] } = options;
  const problem = z.fromJSONSchema(z.record(z.string(), z.unknown()).parse(document.components.schemas['Problem']));
  const targets = Object.entries(document.paths).flatMap(([address, methods]) =>
    Object.entries(methods)
      .filter(
        ([, one]) =>
          one.responses['200']?.content?.['application/json'] !== undefined && !without.includes(one.operationId),
      )
      .map(([method, one]) => ({
        name: one.operationId,
        mayBeUnavailable: one.description?.includes('`unavailable`') === true,
        output: z.fromJSONSchema(
          z.record(z.string(), z.unknown()).parse(one.responses['200']?.content?.['application/json']?.schema),
        ),
        made: requests(options, address, method, one),
      })),
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const statuses: Record<string, number> = {};
  const findings: string[] = [];
  const rounds = Math.ceil(count / targets.length);
  let samples: Sent[][] = [];
  const judge = (target: (typeof targets)[number], sent: Sent, { status, text: answer }: Answer): void => {
    statuses[status] = (statuses[status] ?? 0) + 1;
    const say = (what: string): void =>
      void findings.push(
        `${target.name}: ${what}: ${sent.method} ${shorten(sent.path)} ${shorten(sent.body ?? '')} → ${status} ${shorten(answer)}`,
      );
    if (status >= 500 && !(status === 503 && target.mayBeUnavailable)) say('a failure');
    if (sent.method === 'HEAD' || status === 204) return;
    let body: unknown;
    try {
      body = JSON.parse(answer);
    } catch {
      return say('no JSON');
    }
    const schema = status === 200 && sent.method !== 'OPTIONS' ? target.output : problem;
    const checked = schema.safeParse(body);
    // A wrong method may be that of another operation on the same path.
    if (!checked.success && !(status === 200 && sent.method !== methodOf(document, target.name)))
      say(`not as described (${checked.error.message})`);
    if (/\bat [\w.<>]+ \(|node_modules|\.ts:\d+|SQLITE_|SELECT /.test(answer) && status >= 400)
      say('tells its insides');
  };
  try {
    for (let round = 0; round < rounds; round += 1) {
      if (round % batch === 0) {
        samples = targets.map(({ made }, index) =>
          fc.sample(made, { numRuns: batch, seed: seed + round * targets.length + index }),
        );
      }
      for (const [index, target] of targets.entries()) {
        const sent = samples[index]?.[round % batch];
        if (sent === undefined) continue;
        try {
          judge(target, sent, await send(url, agent, sent));
        } catch (error) {
          // The server may hang up on headers or a body that it has refused; node may refuse to send what is not HTTP.
          const code = error instanceof Error && 'code' in error ? String(error.code) : '';
          const tally =
            cut.has(code) || code.startsWith('HPE_') ? 'cut' : code.startsWith('ERR_') ? 'unsendable' : 'failed';
          statuses[tally] = (statuses[tally] ?? 0) + 1;
          if (
            tally === 'failed' ||
            (tally === 'cut' && (sent.body ?? '').length < 10_000 && JSON.stringify(sent.headers).length < 10_000)
          ) {
            findings.push(`${target.name}: ${String(error)}: ${sent.method} ${shorten(sent.path)}`);
          }
        }
      }
    }
  } finally {
    agent.destroy();
  }
  return { requests: rounds * targets.length, statuses, findings };
}

function methodOf(document: Document, operationId: string): string | undefined {
  for (const methods of Object.values(document.paths)) {
    for (const [method, one] of Object.entries(methods))
      if (one.operationId === operationId) return method.toUpperCase();
  }
  return undefined;
}
