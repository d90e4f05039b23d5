import type { ExitStatus, Outcome, OutputReader, Runtime, SessionEvent } from '../../agents/runtime.ts';
import { invalid } from '../../kernel/error.ts';
import { exitFailure } from '../failure.ts';
import { LineSplitter } from '../lines.ts';

/** How much of the end of the output is the result. */
const resultLength = 4000;

/** Every line of output is an event; the exit code decides. */
class CommandReader implements OutputReader {
  readonly #lines = new LineSplitter(64 * 1024);
  #started = false;
  #tail = '';

  push(chunk: Buffer): SessionEvent[] {
    const events: SessionEvent[] = [];
    if (!this.#started) events.push({ kind: 'started', providerSession: null, model: null });
    this.#started = true;
    for (const text of this.#lines.push(chunk)) {
      events.push({ kind: 'output', text });
      this.#tail = `${this.#tail}${text}\n`.slice(-resultLength);
    }
    return events;
  }

  finish(exit: ExitStatus, stderrTail: string): Outcome {
    const result = (this.#tail + this.#lines.rest()).slice(-resultLength).trim();
    return (
      exitFailure(exit, stderrTail === '' ? result : stderrTail) ?? { kind: 'succeeded', result, structured: null }
    );
  }
}

/** A plain command: no language model, no messages; exit code 0 is success. */
export const commandRuntime: Runtime = {
  name: 'command',
  summary: 'Runs a command. Its output is the transcript, its exit code the verdict.',
  capabilities: {
    prompt: false,
    steer: false,
    interrupt: true,
    resume: false,
    usage: false,
    structuredOutput: false,
    conflicts: false,
  },
  exitGraceMs: 0,
  launch(request) {
    if (request.argv === null || request.argv.length === 0) {
      throw invalid('The runtime "command" needs a command and got none.', {
        fix: 'Give the task `command:` instead of `prompt:`.',
      });
    }
    return { argv: request.argv, env: request.env, stdin: 'none', firstInput: null };
  },
  reader: () => new CommandReader(),
  message() {
    throw invalid('A command takes no messages.', { fix: 'Use a runtime that can be steered.' });
  },
  interrupt: () => null,
  probe: () => Promise.resolve({ usable: true, version: null, fix: null }),
};
