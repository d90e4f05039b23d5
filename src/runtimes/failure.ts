import type { ExitStatus, Outcome } from '../agents/runtime.ts';

type Failure = Extract<Outcome, { kind: 'failed' }>;

export function failed(reason: string, message: string, retry: boolean, retryAt: number | null = null): Failure {
  return { kind: 'failed', reason, message, retry, retryAt };
}

/** The end of stderr, for a message: enough to see what was wrong, short enough to read. */
function because(stderrTail: string): string {
  const tail = stderrTail.trim();
  return tail === '' ? '' : ` It wrote: ${tail.slice(-1000)}`;
}

/**
 * What the exit alone says, the same for every runtime: null when it says nothing bad. Whatever the program claimed before,
 * a death, a non-zero exit or children left at work are never a success.
 */
export function exitFailure(exit: ExitStatus, stderrTail: string): Failure | null {
  if (exit.kind === 'lost') {
    return failed(
      'lost',
      'The process is gone and left no exit status: the machine was restarted, its folder was removed, or the disk was full.',
      true,
    );
  }
  if (exit.kind === 'signalled') {
    return failed('killed', `The program was ended by ${exit.signal}.${because(stderrTail)}`, true);
  }
  if (exit.code === 127 || exit.code === 126) {
    return failed('missing_program', `The program could not be run (exit ${exit.code}).${because(stderrTail)}`, false);
  }
  if (exit.code !== 0)
    return failed('exit', `The program ended with exit code ${exit.code}.${because(stderrTail)}`, true);
  if ((exit.orphans ?? 0) > 0) {
    const message = `The program ended with exit code 0 while ${exit.orphans} of its processes were still at work; they were ended.`;
    return failed(
      'orphans',
      `${message} Have it wait for them, or start daemons in a session of their own (setsid).`,
      false,
    );
  }
  return null;
}

/** A program that said it was done but had to be ended is not done: nobody knows what it was still doing. */
export function hang(): Failure {
  return failed('hang', 'The program reported its result but did not end, and had to be stopped.', true);
}
