import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { hookLine, hookPass } from './hook-line.ts';

const decision = `{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"it's $HOME"}}`;

/** What the shell makes of a hook that prints a text and ends with a code. */
function run(text: string, code = 0) {
  const hook = ['/bin/sh', '-c', 'printf "%s\\n" "$1"; exit "$2"', 'hook', text, String(code)];
  const { status, stdout } = spawnSync('/bin/sh', ['-c', hookLine('"$@"'), 'maos-hook', ...hook], { encoding: 'utf8' });
  return { status, stdout };
}

describe('the line that asks a hook', () => {
  it('hands on a decision, and says nothing where nothing forbids the call', () => {
    expect(run(decision)).toEqual({ status: 0, stdout: `${decision}\n` });
    expect(run(hookPass)).toEqual({ status: 0, stdout: '' });
  });

  it.each([
    ['says nothing', '', 0],
    ['says something else', 'Segmentation fault', 0],
    ['breaks off', decision.slice(0, -5), 0],
    ['fails after its answer', hookPass, 1],
    ['is killed', hookPass, 137],
  ])('stops the call when the hook %s', (_, text, code) => {
    expect(run(text, code)).toEqual({ status: 2, stdout: '' });
  });
});
