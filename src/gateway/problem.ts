import { AppError, errorData, type ErrorCode, type ErrorData } from '../kernel/error.ts';

const statusOf: Readonly<Record<ErrorCode | 'internal', number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  exhausted: 429,
  unavailable: 503,
  internal: 500,
};

/** An error of HTTP itself: one of the seven codes, with a more exact status and the headers that go with it. */
export class HttpError extends AppError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    fix: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(code, message, { fix });
    this.status = status;
    this.headers = headers;
  }
}

/** An error as a response. What is not a refusal is told without its message: that may name files or data. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: ErrorData;
}

export function problem(error: unknown): Problem {
  if (!(error instanceof AppError)) {
    return {
      status: 500,
      headers: {},
      error: {
        code: 'internal',
        message: 'The server failed on this request.',
        fix: 'Its log says why (maos doctor); the request may be tried again.',
      },
    };
  }
  const headers = error instanceof HttpError ? error.headers : defaultHeaders(error);
  return { status: error instanceof HttpError ? error.status : statusOf[error.code], headers, error: errorData(error) };
}

function defaultHeaders({ code, details }: AppError): Readonly<Record<string, string>> {
  const wait = details?.['retryAfterMs'];
  if (code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="maos"' };
  if (code === 'exhausted' || code === 'unavailable') {
    return { 'retry-after': typeof wait === 'number' ? String(Math.ceil(wait / 1_000)) : '1' };
  }
  return {};
}
