import { resolve } from 'node:path';
import type { Operation } from '../kernel/operation.ts';
import type { Args } from './argv.ts';
import { connected, exits, printJson, type Shell } from './command.ts';
import { grammarOf, pathFields, secretFields } from './flags.ts';
import type { HelpPage } from './help.ts';
import { showLines } from './show.ts';
import { invalid } from '../kernel/error.ts';

/** `task.create` → `task create` */
export function commandName(operation: Operation): string {
  return operation.name.replace('.', ' ');
}

/** The help of an operation's command, from its contract alone. */
export function helpOf(operation: Operation): HelpPage {
  const { summary, detail, refusals } = operation;
  return {
    name: commandName(operation),
    summary,
    grammar: grammarOf(operation),
    ...(detail === undefined ? {} : { detail }),
    ...(refusals === undefined ? {} : { refusals }),
  };
}

/** Nouns whose work is carried on by a server, not by the call itself. */
const driven = new Set(['agent', 'run']);

/** Calls an operation with the values of a shell line and prints its answer. */
export async function runDerived(shell: Shell, operation: Operation, args: Args): Promise<number> {
  const { json, idempotencyKey, passwordStdin, ...given } = args.values;
  const secrets = await secretsOf(shell, operation, passwordStdin === true);
  const input = { ...inputOf(shell, operation, given), ...secrets };
  const [noun = ''] = operation.name.split('.');
  const extras = typeof idempotencyKey === 'string' ? { key: idempotencyKey } : {};
  return connected(shell, { acts: false }, async (connection) => {
    const output = await connection.call(operation, input, extras);
    if (json === true) printJson(shell.out, output);
    else shell.out.lines(showLines(noun, output, shell.out, shell.clock.now()));
    if (connection.embedded && operation.effect !== 'read' && driven.has(noun) && json !== true) {
      shell.err.lines(['No server runs, so this is only recorded. "maos up" starts one, which carries it out.']);
    }
    return exits.ok;
  });
}

/** What is secret is asked for, or read from standard input. */
async function secretsOf(shell: Shell, operation: Operation, fromInput: boolean): Promise<Record<string, string>> {
  const fields = secretFields(operation);
  const secrets: Record<string, string> = {};
  if (fields.length === 0) return secrets;
  const given = fromInput ? shell.readFile('-').replace(/\r?\n$/, '') : '';
  // One secret alone may have several lines, as a private key has.
  const lines = fields.length === 1 && fromInput ? [given] : given.split(/\r?\n/);
  for (const { name, description } of fields) {
    const text = fromInput ? lines.shift() : await shell.ask?.(description ?? name);
    if (text === undefined || text === '') {
      throw invalid(`${commandName(operation)} needs ${name}.`, {
        fix: 'Call it from a terminal, which asks for it, or write it into standard input with --password-stdin.',
      });
    }
    secrets[name] = text;
  }
  return secrets;
}

/** Paths are relative to the caller's folder, which the server does not know. */
function inputOf(
  shell: Shell,
  operation: Operation,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const takesCwd = grammarOf(operation).flags.some((flag) => flag.key === 'cwd');
  const entries = Object.entries(takesCwd ? { cwd: shell.cwd, ...given } : given);
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      typeof value === 'string' && isPath(key, value) ? resolve(shell.cwd, value) : value,
    ]),
  );
}

/** A project may be named by its folder; `.` is the caller's. */
function isPath(key: string, value: string): boolean {
  return pathFields.has(key) || (key === 'project' && /^\.{1,2}(?:\/|$)/.test(value));
}
