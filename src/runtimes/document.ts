import * as z from 'zod';
import type { Capabilities, Runtime } from '../agents/runtime.ts';
import { runtimes } from './catalog.ts';
import { claudeOptions } from './claude/options.ts';

/** What each capability means for whoever writes a plan. */
const meanings: Readonly<Record<keyof Capabilities, string>> = {
  prompt: 'takes a prompt in plain language (`prompt:`); otherwise a command',
  steer: 'takes messages while it works (`maos agent send`)',
  interrupt: 'can be interrupted (`maos agent interrupt`)',
  resume: 'continues its conversation: on a retry, after a crash, for a conflict',
  usage: 'reports tokens and money, so that budgets can be kept',
  structuredOutput: 'returns a result of a given JSON schema',
  conflicts: 'can be handed a merge conflict to resolve',
};

function isCapability(name: string): name is keyof Capabilities {
  return Object.hasOwn(meanings, name);
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), `|${'---|'.repeat(head.length)}`, ...rows.map(row)].join('\n');
}

function capabilities(all: readonly Runtime[]): string {
  const names = Object.keys(meanings).filter(isCapability);
  const rows = names.map((name) => [
    meanings[name],
    ...all.map((runtime) => (runtime.capabilities[name] ? 'yes' : '–')),
  ]);
  return table(['', ...all.map(({ name }) => `\`${name}\``)], rows);
}

const optionSchema = z.object({
  properties: z.record(z.string(), z.looseObject({ description: z.string(), default: z.unknown().optional() })),
});

/** `|` would end the cell. */
const code = (value: unknown): string =>
  value === undefined ? '' : `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``;

function options(schema: z.ZodType): string {
  const { properties } = optionSchema.parse(z.toJSONSchema(schema, { io: 'input' }));
  const rows = Object.entries(properties).map(([name, { description, default: value }]) => [
    `\`${name}\``,
    description,
    code(value),
  ]);
  return table(['option', 'meaning', 'default'], rows);
}

function inherited(all: readonly Runtime[], basics: readonly string[]): string {
  const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
  return table(
    ['runtime', 'gets from the server’s environment'],
    [
      ['all', list(basics)],
      ...all.map(({ name, inherits = [] }) => [
        `\`${name}\``,
        inherits.length === 0 ? 'nothing more' : `also ${list(inherits)}`,
      ]),
    ],
  );
}

/** Fills the generated parts of docs/runtimes.md, each between two comments that name it; what is around them stays. */
export function runtimesDocument(text: string, basics: readonly string[]): string {
  const all = [...runtimes.values()];
  const parts = {
    capabilities: capabilities(all),
    inherited: inherited(all, basics),
    claude: options(claudeOptions()),
  };
  return Object.entries(parts).reduce((filled, [name, part]) => {
    const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`];
    const [from, to] = [filled.indexOf(begin), filled.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`docs/runtimes.md needs ${begin} and ${end}.`);
    return `${filled.slice(0, from + begin.length)}\n\n${part}\n\n${filled.slice(to)}`;
  }, text);
}
