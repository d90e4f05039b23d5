import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Gate } from '../../agents/runtime.ts';

/** How much longer Claude waits for the gate than the gate for its answer: a hook that runs out of time stops nothing. */
const marginSeconds = 60;

/** With `args`, Claude starts the program itself: no shell, and so nothing that a shell reads first or is put before its commands. */
function hooks({ argv, patience }: Gate) {
  const [command, ...args] = argv;
  const hook = { type: 'command', command, args, timeout: patience + marginSeconds };
  return { PreToolUse: [{ matcher: '*', hooks: [hook] }] };
}

function put(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
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
