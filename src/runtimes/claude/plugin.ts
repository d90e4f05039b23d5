import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Gate } from '../../agents/runtime.ts';

/** How much longer Claude waits for the gate than the gate for its answer: a hook that runs out of time stops nothing. */
const marginSeconds = 60;

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A hook that cannot be started, or is killed, must stop the call as well: of all exit codes only 2 does. */
function hooks({ argv, patience }: Gate) {
  const command = `${[...argv, '--patience', String(patience)].map(quoted).join(' ')} || exit 2`;
  return { PreToolUse: [{ matcher: '*', hooks: [{ type: 'command', command, timeout: patience + marginSeconds }] }] };
}

function put(path: string, value: unknown): void {
  const text = `${JSON.stringify(value, undefined, 2)}\n`;
  try {
    if (readFileSync(path, 'utf8') === text) return;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Whole or not at all: another Claude may be reading it.
  writeFileSync(`${path}.${process.pid}`, text, { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
}

/**
 * The gate as a plugin of Claude. A plugin, because then Claude can be told to run no other hooks, which leaves everything else
 * of the repository's settings as it is.
 */
export function writePlugin(gate: Gate): string {
  const folder = join(gate.folder, 'claude');
  put(join(folder, '.claude-plugin/plugin.json'), {
    name: 'maos-gate',
    version: '1.0.0',
    description: 'Asks MAOS before each tool call.',
  });
  put(join(folder, 'hooks/hooks.json'), { hooks: hooks(gate) });
  return folder;
}
