import type { ExitStatus, HostProcess, Outcome, Runtime, SessionEvent } from '../agents/runtime.ts';

/** What a session's caller wants to know and decide. */
export interface DriveOptions {
  /** From which byte of stdout `onEvents` is wanted; what came before is read again, silently, to know where the session stands. */
  readonly from?: number;
  /** Milliseconds between SIGTERM and SIGKILL when the program has to be ended. */
  readonly stopGraceMs?: number;
  /** Called for every piece of output in order, with the events in it and the offset behind it. */
  onEvents?(events: readonly SessionEvent[], endOffset: number): void;
}

/** How a session ended. */
export interface SessionEnd {
  readonly outcome: Outcome;
  readonly exit: ExitStatus;
  /** The length of stdout. */
  readonly endOffset: number;
}

/**
 * Watches one agent to its end: reads its output, lets it see the end of its input when its turn has ended, ends it when
 * it then does not end by itself, and judges the whole. The same for a fresh process, an adopted one and one that has ended.
 */
export async function drive(process: HostProcess, runtime: Runtime, options: DriveOptions = {}): Promise<SessionEnd> {
  const { from = 0, stopGraceMs = 5000 } = options;
  const reader = runtime.reader();
  let position = 0;
  let ending: NodeJS.Timeout | undefined;

  /** After a turn the program has to end, unless a message that came meanwhile makes it begin another turn. */
  const judge = (event: SessionEvent): void => {
    if (runtime.exitGraceMs === null || event.kind === 'usage') return;
    clearTimeout(ending);
    if (event.kind !== 'turn_ended') return;
    process.closeInput();
    ending = setTimeout(() => void process.stop(stopGraceMs), runtime.exitGraceMs);
  };
  const feed = (chunk: Buffer, endOffset: number): void => {
    // A piece that lies across `from` is cut there, so that no event is told twice and none is left out.
    const known = Math.max(0, Math.min(chunk.length, from - position));
    const old = known > 0 ? reader.push(chunk.subarray(0, known)) : [];
    const fresh = known < chunk.length ? reader.push(chunk.subarray(known)) : [];
    position = endOffset;
    if (known < chunk.length) options.onEvents?.(fresh, endOffset);
    for (const event of [...old, ...fresh]) judge(event);
  };

  const { drained } = process.follow(0, feed);
  const exit = await process.exit;
  clearTimeout(ending);
  await drained;
  return { outcome: reader.finish(exit, await process.stderrTail(4096)), exit, endOffset: position };
}
