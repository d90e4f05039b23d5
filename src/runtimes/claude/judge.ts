import type { Outcome } from '../../agents/runtime.ts';
import { failed } from '../failure.ts';
import type { ClaudeResult } from './messages.ts';

type Failure = Extract<Outcome, { kind: 'failed' }>;

function text(result: ClaudeResult): string {
  return result.result ?? result.errors?.join('; ') ?? result.subtype;
}

/** What a person has to do before any attempt can help. */
export function refusedKey(message: string): Failure {
  const key = 'Set a valid ANTHROPIC_API_KEY where the MAOS server is started, or log in by running `claude` once';
  return failed(
    'auth',
    `Claude is not logged in, or its key was refused: ${message}. ${key}; then maos resume.`,
    false,
  );
}

function apiFailure(status: number, message: string, limitedUntil: number | null): Failure {
  if (status === 401 || status === 403) return refusedKey(message);
  if (status === 429) return failed('rate_limited', message, true, limitedUntil);
  // Other requests that the API calls wrong stay wrong when they are sent again.
  return failed('model_error', message, status >= 500 || status === 408);
}

/**
 * Why a result is a failure, or null for a good one. Exit codes and `subtype: success` do not tell: an API error comes
 * with both `is_error: true` and `subtype: success`.
 */
export function resultFailure(result: ClaudeResult, limitedUntil: number | null): Failure | null {
  if (!result.is_error && result.stop_reason !== 'refusal') return null;
  const message = text(result);
  if (result.stop_reason === 'refusal') return failed('refused', `The model refused: ${message}`, false);
  if (result.subtype === 'error_max_budget_usd') return failed('budget', message, false);
  if (result.terminal_reason?.startsWith('aborted') === true)
    return failed('interrupted', 'The turn was interrupted.', true);
  if (message.startsWith('No conversation found')) return failed('no_conversation', message, true);
  if (result.api_error_status !== null) {
    return apiFailure(result.api_error_status, message, limitedUntil);
  }
  if (/usage limit|limit reached|hit your .*limit/i.test(message))
    return failed('rate_limited', message, true, limitedUntil);
  if (/invalid api key|please run \/login|not logged in|authentication/i.test(message)) return refusedKey(message);
  return failed('model_error', message, true);
}
