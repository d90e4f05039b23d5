type Fields = Readonly<Record<string, unknown>>;

/** A message of JSON-RPC, as far as its carrier looks into it. */
export interface Message {
  readonly kind: 'request' | 'notification' | 'response';
  readonly id: string | number | null;
  readonly method: string;
  readonly params: Fields;
  /** The revision that it names by itself, which the newer ones do in every request; null: the connection's. */
  readonly revision: string | null;
  readonly raw: Fields;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What kind of message a value is; undefined when it is none. */
export function readMessage(value: unknown): Message | undefined {
  if (!isFields(value)) return undefined;
  const { id, method } = value;
  const known = typeof id === 'string' || typeof id === 'number' ? id : null;
  const params = isFields(value['params']) ? value['params'] : {};
  const meta = isFields(params['_meta']) ? params['_meta'] : {};
  const named = meta['io.modelcontextprotocol/protocolVersion'];
  const common = { id: known, params, revision: typeof named === 'string' ? named : null, raw: value };
  if (typeof method === 'string') return { ...common, kind: known === null ? 'notification' : 'request', method };
  return 'result' in value || 'error' in value ? { ...common, kind: 'response', method: '' } : undefined;
}

const nameFields: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/** The headers that repeat what a request of the newer revision says, for whoever looks only at those. */
export function headersOf({ method, params, revision }: Message): Record<string, string> {
  if (revision === null) return {};
  const field = Object.hasOwn(nameFields, method) ? nameFields[method] : undefined;
  const name = field === undefined ? undefined : params[field];
  return {
    'mcp-protocol-version': revision,
    'mcp-method': method,
    ...(typeof name === 'string' ? { 'mcp-name': headerText(name) } : {}),
  };
}

/** What a header cannot hold as it is goes as Base64, in the form that the protocol gives it. */
function headerText(text: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?base64?')) return text;
  return `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

/** A call that can be sent again without being carried out twice. */
export function withKey({ method, params, raw }: Message, key: string): Fields {
  if (method !== 'tools/call') return raw;
  const meta = isFields(params['_meta']) ? params['_meta'] : {};
  if (meta['maos/idempotency-key'] !== undefined) return raw;
  return { ...raw, params: { ...params, _meta: { ...meta, 'maos/idempotency-key': key } } };
}

/** What larger messages say is taken from a glance: they are results, and a result of that size names its own request. */
const glanceBytes = 64 * 1024;

/** A message from the server, read as far as needed. */
export function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether this is the answer to a request. */
export function answers(bytes: Buffer, id: string | number | null): boolean {
  if (!bytes.includes(`"id":${JSON.stringify(id)}`)) return false;
  if (bytes.length > glanceBytes) return true;
  const value = parsed(bytes);
  return isFields(value) && value['id'] === id && !('method' in value);
}

export function failure(id: string | number | null, code: number, message: string, data?: unknown): Fields {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}
