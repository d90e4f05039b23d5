import { invalid } from '../kernel/error.ts';
import type { Item } from './plan.ts';
import { suggestion } from './suggest.ts';

/** What a finished task hands on: its final text, and its outputs. */
export interface TaskResult {
  readonly result: string;
  readonly outputs: Readonly<Record<string, string>>;
}

/** A value travels in an environment variable, which Linux limits to 128 KiB. */
const maxValueBytes = 100_000;

function json(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null'));

function pairs(text: string): [string, string][] {
  const whole = text.trimStart().startsWith('{') ? json(text) : undefined;
  if (typeof whole === 'object' && whole !== null)
    return Object.entries(whole).map(([name, value]) => [name, asText(value)]);
  return text.split(/\r?\n/).flatMap((line, index): [string, string][] => {
    if (line.trim() === '') return [];
    const equals = line.indexOf('=');
    if (equals === -1)
      throw invalid(`Line ${index + 1} of the output file is not name=value: "${line.slice(0, 60)}".`, {
        fix: 'Write lines name=value, or one JSON object for values with line breaks.',
      });
    return [[line.slice(0, equals).trim(), line.slice(equals + 1)]];
  });
}

/**
 * Reads the file that $MAOS_OUTPUT names: lines `name=value` (the last one of a name counts), or one JSON object. Refuses
 * names the task did not declare, and declared ones that are missing.
 */
export function parseOutputs(text: string, names: readonly string[]): Record<string, string> {
  const outputs = new Map(pairs(text));
  for (const [name, value] of outputs) {
    if (!names.includes(name))
      throw invalid(`The task wrote an output "${name}" that it does not declare.`, {
        fix: suggestion(name, names, `Add outputs: [${name}] to the task.`),
      });
    if (value.includes('\0'))
      throw invalid(`The output "${name}" holds a zero byte.`, {
        fix: 'Write text, or put the data in a file of the repository and hand on its path.',
      });
    if (Buffer.byteLength(value) > maxValueBytes)
      throw invalid(`The output "${name}" is larger than 100 kB.`, {
        fix: 'Put the data in a file of the repository and hand on its path.',
      });
  }
  const missing = names.find((name) => !outputs.has(name));
  if (missing !== undefined)
    throw invalid(`The task ended without its output "${missing}".`, {
      fix: `Let it write ${missing}=… to the file in $MAOS_OUTPUT.`,
    });
  return Object.fromEntries(outputs);
}

function asItem(value: unknown): Item {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return asText(value);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => [
      name,
      typeof inner === 'number' || typeof inner === 'boolean' ? inner : asText(inner),
    ]),
  );
}

/** The items of a list in text: a JSON array, or one item a line. */
export function listItems(text: string): Item[] {
  const whole = text.trimStart().startsWith('[') ? json(text) : undefined;
  if (Array.isArray(whole)) return whole.map(asItem);
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
