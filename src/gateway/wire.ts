import { AppError, errorCodes, errorFrom, type ErrorData } from '../kernel/error.ts';
import type { Operation } from '../kernel/operation.ts';
import type { WireRequest } from './transport.ts';

/** What may come with a call besides its input. */
export interface CallExtras {
  /** Makes the call repeatable: the same key is carried out once. */
  readonly key?: string;
  readonly trace?: string;
  readonly signal?: AbortSignal;
}

/** Puts an input where the operation's route has room for it: path, query string, body. */
export function requestOf(
  operation: Operation,
  input: unknown,
  extras: CallExtras,
  authorization: Readonly<Record<string, string>>,
): WireRequest {
  const [method = '', route = ''] = operation.route.split(' ');
  const rest = new Map(Object.entries(typeof input === 'object' && input !== null ? input : {}));
  const path = route.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = rest.get(name);
    rest.delete(name);
    if (typeof value === 'number' || (typeof value === 'string' && value !== '')) return encodeURIComponent(value);
    throw new AppError('invalid', `${operation.name} needs "${name}".`, {
      fix: `Give "${name}" a value.`,
      issues: [{ path: name, message: 'Required.' }],
    });
  });
  const query = method === 'GET' ? queryOf(rest) : '';
  return {
    method,
    path: `/api/v1${path}${query}`,
    headers: {
      ...authorization,
      ...(method === 'GET' ? {} : { 'content-type': 'application/json' }),
      ...(extras.key === undefined ? {} : { 'idempotency-key': extras.key }),
      ...(extras.trace === undefined ? {} : { 'x-trace-id': extras.trace }),
    },
    ...(method === 'GET' ? {} : { body: JSON.stringify(Object.fromEntries(rest)) }),
    ...(extras.signal === undefined ? {} : { signal: extras.signal }),
  };
}

/** A query string: arrays by repetition, objects as JSON. */
export function queryOf(values: ReadonlyMap<string, unknown>): string {
  const query = new URLSearchParams();
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  for (const [name, value] of values) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) query.append(name, text(item));
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

/** The JSON of an answer. */
export function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new AppError('unavailable', 'The answer is not from a MAOS server.', {
      fix: 'Check the address.',
      details: { reason: String(error) },
    });
  }
}

/** The error in a refused answer. */
export function refusal(body: unknown, status: number): Error {
  const error = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined;
  if (isErrorData(error)) return errorFrom(error);
  return new AppError('unavailable', `The server answered with status ${status}.`, {
    fix: 'Check the address, then maos doctor.',
  });
}

function isErrorData(value: unknown): value is ErrorData {
  if (typeof value !== 'object' || value === null || !('code' in value) || !('message' in value)) return false;
  return typeof value.message === 'string' && [...errorCodes, 'internal'].some((code) => code === value.code);
}
