import { errorData, type ErrorData } from '../kernel/error.ts';
import { exits } from './command.ts';
import type { Terminal } from './terminal.ts';
import { clean } from './text.ts';

const codes: Readonly<Record<ErrorData['code'], number>> = {
  invalid: exits.usage,
  unauthenticated: exits.refused,
  forbidden: exits.refused,
  not_found: exits.notFound,
  conflict: exits.refused,
  exhausted: exits.refused,
  unavailable: exits.unavailable,
  internal: exits.failed,
};

/**
 * Tells a person (or, with `json`, a program) what went wrong, on standard error: standard output holds answers only.
 * Returns the exit code.
 */
export function complain(terminal: Terminal, error: unknown, json: boolean): number {
  const data = errorData(error);
  if (json) terminal.write(`${JSON.stringify({ error: data })}\n`);
  else terminal.lines(complaint(terminal, data));
  return codes[data.code];
}

function complaint(terminal: Terminal, { message, fix, issues = [] }: ErrorData): string[] {
  const [first = '', ...others] = clean(message).split('\n');
  const told = issues.filter((issue) => issues.length > 1 || !message.includes(issue.message));
  return [
    `${terminal.style('red', 'maos:')} ${first}`,
    ...others.map((line) => `  ${line}`),
    ...told.map((issue) => `  - ${issue.path === '' ? '' : `${clean(issue.path)}: `}${clean(issue.message)}`),
    ...(fix === undefined
      ? []
      : clean(`fix: ${fix}`)
          .split('\n')
          .map((line) => `  ${line}`)),
  ];
}
