/** The seven ways an operation refuses. Anything else that is thrown is a defect and is shown as `internal`. */
export const errorCodes = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'exhausted',
  'unavailable',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** One problem inside a refused input: where it is (`tasks.0.id`) and what is wrong there. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

export interface AppErrorOptions {
  /** What the caller should do next, in one sentence. */
  readonly fix?: string;
  readonly issues?: readonly Issue[];
  /** Facts a program may branch on (ids, current state); plain JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The plain form of an error: what crosses threads and doors. */
export interface ErrorData extends AppErrorOptions {
  readonly code: ErrorCode | 'internal';
  readonly message: string;
}

/** The only error class that crosses a room: what was wrong, and what to do next. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly fix: string | undefined;
  readonly issues: readonly Issue[] | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message);
    this.code = code;
    this.fix = options.fix;
    this.issues = options.issues;
    this.details = options.details;
  }
}

export function invalid(message: string, options?: AppErrorOptions): AppError {
  return new AppError('invalid', message, options);
}

export function notFound(what: string, id: string, fix: string): AppError {
  return new AppError('not_found', `No ${what} matches "${id}".`, { fix });
}

export function conflict(message: string, options?: AppErrorOptions): AppError {
  return new AppError('conflict', message, options);
}

/** Any thrown value as plain data; what is not an `AppError` becomes `internal` without leaking its stack. */
export function errorData(error: unknown): ErrorData {
  if (!(error instanceof AppError)) {
    return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    ...(error.issues === undefined ? {} : { issues: error.issues }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

/** The reverse of `errorData`: an error that came over a thread or a wire. */
export function errorFrom(data: ErrorData): Error {
  const { code, message, ...options } = data;
  return code === 'internal' ? new Error(message) : new AppError(code, message, options);
}
