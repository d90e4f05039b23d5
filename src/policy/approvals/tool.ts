import { isAbsolute, join } from 'node:path';
import type { Action } from '../contract.ts';

type Input = Readonly<Record<string, unknown>>;
type Deed = Pick<Action, 'kind' | 'command' | 'path' | 'access' | 'host' | 'method'>;

const readers = new Set(['Read', 'Glob', 'Grep', 'LS', 'NotebookRead']);
const writers = new Set(['Write', 'Edit', 'MultiEdit', 'NotebookEdit']);

function text(input: Input, ...names: readonly string[]): string | undefined {
  const found = names.map((name) => input[name]).find((value) => typeof value === 'string');
  return typeof found === 'string' ? found : undefined;
}

function hostOf(url: string | undefined): { host?: string } {
  return url !== undefined && URL.canParse(url) ? { host: new URL(url).hostname } : {};
}

/** What a tool of an agent's program does, in the words of the rules. Tools that nobody knows are known by their name alone. */
export function deedOf(tool: string, input: Input, cwd: string | undefined): Deed {
  if (tool === 'Bash') return { kind: 'bash', command: text(input, 'command') ?? '' };
  if (readers.has(tool) || writers.has(tool)) {
    const named = text(input, 'file_path', 'notebook_path', 'path') ?? '.';
    const path = isAbsolute(named) || named.startsWith('~') || cwd === undefined ? named : join(cwd, named);
    return { kind: 'file', path, access: readers.has(tool) ? 'read' : 'write' };
  }
  return { kind: 'api', ...(tool === 'WebFetch' ? { ...hostOf(text(input, 'url')), method: 'GET' } : {}) };
}

/** So much of a change, or of an input, is shown. */
export const longestDiff = 100_000;

/** What every tool of a kind has, and says nothing that is not shown already. */
const plain: Readonly<Record<string, readonly string[]>> = {
  Bash: ['command', 'description', 'timeout'],
  Write: ['file_path', 'content'],
  Edit: ['file_path', 'old_string', 'new_string', 'replace_all'],
};

/** What else a tool is called with, as JSON, where the deed and the diff do not say it; null: nothing. */
export function inputOf(tool: string, input: Input): { readonly input: string | null; readonly whole: boolean } {
  const known = readers.has(tool) ? ['file_path', 'notebook_path', 'path'] : (plain[tool] ?? []);
  const rest = Object.entries(input).filter(([name]) => !known.includes(name));
  if (rest.length === 0) return { input: null, whole: true };
  const text = JSON.stringify(Object.fromEntries(rest));
  return { input: text.slice(0, longestDiff), whole: text.length <= longestDiff };
}

/** What a tool would change, in the form of a diff; null when that is not known before. */
export function diffOf(tool: string, input: Input): string | null {
  const signed = (sign: string, lines: string): string =>
    lines
      .split('\n')
      .map((line) => `${sign}${line}`)
      .join('\n');
  const content = text(input, 'content');
  const [before, after] = [text(input, 'old_string'), text(input, 'new_string')];
  if (tool === 'Write' && content !== undefined) return signed('+', content).slice(0, longestDiff);
  if (tool === 'Edit' && before !== undefined && after !== undefined)
    return `${signed('-', before)}\n${signed('+', after)}`.slice(0, longestDiff);
  return null;
}
