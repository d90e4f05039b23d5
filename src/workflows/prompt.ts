import type { Workspace } from '../workspaces/contract.ts';
import type { Run, Step } from './contract.ts';

/** What the next attempt is told when a result was not accepted. */
export function notAccepted(message: string): string {
  return `Your last attempt was not accepted:\n${message}\nSet this right.`;
}

/** What the next attempt is told when its session ended before the work was done. */
export function brokenOff(message: string, conflict: readonly string[]): string {
  const merge =
    conflict.length === 0
      ? []
      : [`You were resolving a merge conflict in ${conflict.join(', ')}: that merge is still in your worktree.`];
  const left = 'What you left in this folder is still here: look at it and go on from there.';
  return ['Your last session broke off before you were done:', message, ...merge, left].join('\n');
}

/** What an agent is told: where it is, what it does not see, its task, and what was wrong with its last attempt. */
export function taskPrompt(about: {
  readonly run: Run;
  readonly step: Step;
  readonly workspace: Workspace;
  readonly prompt: string;
  readonly outputs: readonly string[];
  readonly feedback: string | null;
}): string {
  const { run, step, workspace, prompt, outputs, feedback } = about;
  const absent =
    workspace.absent.length === 0
      ? []
      : [
          `The user has uncommitted changes in these files, which you do NOT see here: ${workspace.absent.slice(0, 40).join(', ')}.`,
          'Conclude nothing about that unfinished work.',
        ];
  const again = feedback === null ? [] : ['', feedback];
  return [
    `You work on task "${step.title}" (${step.id}) of the run ${run.name}, in a git worktree of your own that starts from commit ${workspace.base.slice(0, 12)}.`,
    'Change files only inside this folder. You need not commit: what you leave here is committed, checked and merged for you.',
    ...absent,
    ...(outputs.length === 0
      ? []
      : [`Write these values as lines name=value to the file that $MAOS_OUTPUT names: ${outputs.join(', ')}.`]),
    '',
    prompt,
    ...again,
  ].join('\n');
}

/** What an agent is told when its work does not fit the work of others. */
export function conflictPrompt(about: {
  readonly run: Run;
  readonly step: Step;
  readonly files: readonly string[];
  /** Its task, for an agent that has lost its memory. */
  readonly prompt: string | null;
  /** The conflicts as they stand in the files. */
  readonly sides: string;
}): string {
  const { run, step, files, prompt, sides } = about;
  return [
    `Your work on "${step.title}" does not merge with what other tasks have landed on ${run.branch} meanwhile.`,
    `The merge is in your worktree now; these files hold conflict markers with both sides and their common ancestor: ${files.join(', ')}.`,
    'Resolve every conflict so that both intentions are kept, and remove all markers. You need not commit.',
    ...(sides === '' ? [] : ['', sides]),
    // Quoted, so that it is not taken for what is to be done now.
    ...(prompt === null ? [] : ['', 'For reference, your task was:', prompt.replaceAll(/^/gm, '> ')]),
  ].join('\n');
}
