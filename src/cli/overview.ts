import type { Operation } from '../kernel/operation.ts';
import { nouns, verbOf } from './catalogue.ts';
import type { Shell } from './command.ts';
import { groups } from './commands.ts';
import { definitions } from './help.ts';
import { wrap } from './text.ts';

/** `maos --help`: known without loading any contract. */
export function topHelp({ out, version }: Shell): string[] {
  const width = Math.min(out.width(), 100);
  const column = Math.max(...groups.flatMap((group) => group.commands.map(({ name }) => name.length)));
  return [
    `${out.style('bold', 'maos')} ${version}: runs fleets of coding agents on real repositories.`,
    '',
    `${out.style('bold', 'Usage:')} maos COMMAND [options]`,
    ...groups.flatMap((group) => [
      '',
      out.style('bold', group.title),
      ...definitions(
        group.commands.map(({ name, summary }) => [name.padEnd(column), summary]),
        width,
      ),
    ]),
    '',
    out.style('bold', 'Everything else, as maos NOUN VERB'),
    ...wrap(nouns.join(', '), width - 2).map((line) => `  ${line}`),
    '',
    'maos COMMAND --help explains a command, maos NOUN its verbs. --json prints an answer for programs.',
    'Exit codes: 0 done, 1 failed, 2 invalid input, 3 waits for a person, 4 not found, 5 refused, 6 no server,',
    '130 interrupted.',
  ];
}

/** `maos task`: what can be done with a noun. */
export function nounHelp({ out }: Shell, noun: string, operations: readonly Operation[]): string[] {
  return [
    `${out.style('bold', 'Usage:')} maos ${noun} VERB [options]`,
    '',
    ...definitions(
      operations.map((operation) => [verbOf(operation), operation.summary]),
      Math.min(out.width(), 100),
    ),
  ];
}
