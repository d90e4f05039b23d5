import { kebab, placeholder, type Flag, type Grammar } from './argv.ts';
import type { Operation } from '../kernel/operation.ts';
import type { Terminal } from './terminal.ts';
import { wrap } from './text.ts';

/** One command, as help shows it. */
export interface HelpPage {
  /** `task create` */
  readonly name: string;
  readonly summary: string;
  readonly detail?: string;
  readonly grammar: Grammar;
  readonly examples?: readonly string[];
  readonly refusals?: Operation['refusals'];
}

/** `maos task create TITLE [options]` */
export function usageOf(name: string, grammar: Grammar): string {
  const last = grammar.positionals.at(-1);
  const words = grammar.positionals.map((key) => {
    const flag = grammar.flags.find((candidate) => candidate.key === key);
    const word = kebab(key).toUpperCase() + (grammar.rest === true && key === last ? '...' : '');
    return flag?.required === true ? word : `[${word}]`;
  });
  const needed = grammar.flags
    .filter((flag) => flag.required === true && !grammar.positionals.includes(flag.key))
    .map((flag) => `--${kebab(flag.key)} ${placeholder(flag)}`);
  const optional = grammar.flags.some((flag) => flag.required !== true && !grammar.positionals.includes(flag.key));
  return ['maos', name, ...words, ...needed, ...(optional ? ['[options]'] : [])].join(' ');
}

export function helpLines(page: HelpPage, terminal: Terminal): string[] {
  const { name, summary, detail, grammar, examples = [], refusals = {} } = page;
  const title = (text: string): string[] => ['', terminal.style('bold', text)];
  const positionals = grammar.positionals.flatMap((key) => grammar.flags.filter((flag) => flag.key === key));
  const options = grammar.flags.filter((flag) => !grammar.positionals.includes(flag.key));
  const width = Math.min(terminal.width(), 100);
  return [
    `${terminal.style('bold', 'Usage:')} ${usageOf(name, grammar)}`,
    '',
    ...wrap(summary, width),
    ...(detail === undefined ? [] : ['', ...detail.split('\n').flatMap((line) => wrap(line, width))]),
    ...(positionals.length === 0 ? [] : title('Arguments')),
    ...definitions(
      positionals.map((flag) => [kebab(flag.key).toUpperCase(), describe(flag)]),
      width,
    ),
    ...(options.length === 0 ? [] : title('Options')),
    ...definitions(
      options.map((flag) => [optionName(flag), describe(flag)]),
      width,
    ),
    ...(Object.keys(refusals).length === 0 ? [] : title('Refuses with')),
    ...definitions(Object.entries(refusals), width),
    ...(examples.length === 0 ? [] : title('Examples')),
    ...examples.map((example) => `  ${example}`),
  ];
}

/** Names with what they mean, in two columns. */
export function definitions(pairs: readonly (readonly [string, string])[], width: number): string[] {
  const indent = Math.min(30, Math.max(0, ...pairs.map(([name]) => name.length)) + 4);
  return pairs.flatMap(([name, text]) => {
    const [first = '', ...others] = wrap(text, Math.max(30, width - indent));
    const rest = others.map((line) => ' '.repeat(indent) + line);
    const head = `  ${name}`;
    if (head.length + 2 > indent) return [head, ' '.repeat(indent) + first, ...rest].map((line) => line.trimEnd());
    return [`${head.padEnd(indent)}${first}`.trimEnd(), ...rest];
  });
}

function optionName(flag: Flag): string {
  const short = flag.short === undefined ? '' : `-${flag.short}, `;
  if (flag.kind === 'boolean') {
    return `${short}--${flag.default === true ? '[no-]' : ''}${kebab(flag.key)}`;
  }
  return `${short}--${kebab(flag.key)} ${placeholder(flag)}`;
}

/** What a flag means, what it takes, and what it is without being given. */
function describe(flag: Flag): string {
  const parts = [flag.describe ?? ''];
  if (flag.choices !== undefined && placeholder(flag) !== flag.choices.join('|'))
    parts.push(`One of ${flag.choices.join(', ')}.`);
  if (flag.kind === 'list') parts.push('May be repeated.');
  const fallback = JSON.stringify(flag.default);
  const empty = ['""', '{}', '[]', 'false', 'null'];
  if (fallback !== undefined && !empty.includes(fallback))
    parts.push(`Default: ${fallback.replace(/^"(.*)"$/, '$1')}.`);
  if (flag.required === true) parts.push('Required.');
  return parts.filter((part) => part !== '').join(' ');
}
