import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import type { ExitStatus, Outcome, OutputReader, Runtime, SessionEvent } from '../../agents/runtime.ts';
import { invalid } from '../../kernel/error.ts';
import { exitFailure, failed, hang } from '../failure.ts';
import { LineSplitter, parseJson } from '../lines.ts';

const usage = z.strictObject({
  inputTokens: z.number(),
  outputTokens: z.number(),
  cacheReadTokens: z.number(),
  cacheWriteTokens: z.number(),
  costUsd: z.number().nullable(),
});

/** The agent's lines are session events as they stand, and one more: a refusal. */
const line = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('started'), providerSession: z.string().nullable(), model: z.string().nullable() }),
  z.strictObject({ kind: z.literal('output'), text: z.string() }),
  z.strictObject({ kind: z.literal('tool'), name: z.string(), summary: z.string() }),
  z.strictObject({ kind: z.literal('usage'), usage }),
  z.strictObject({ kind: z.literal('waiting'), for: z.string() }),
  z.strictObject({ kind: z.literal('rate_limited'), until: z.number().nullable() }),
  z.strictObject({ kind: z.literal('turn_ended'), result: z.string(), failed: z.boolean(), structured: z.unknown() }),
  z.strictObject({ kind: z.literal('refused'), message: z.string() }),
]);

class FakeReader implements OutputReader {
  readonly #lines = new LineSplitter();
  #ended: Extract<SessionEvent, { kind: 'turn_ended' }> | undefined;
  #limitedUntil: number | null | undefined;
  #refused = false;

  push(chunk: Buffer): SessionEvent[] {
    return this.#lines.push(chunk).flatMap((text) => this.#line(text));
  }

  finish(exit: ExitStatus, stderrTail: string): Outcome {
    const ended = this.#ended;
    if (ended?.failed === true) return this.#failure(ended.result);
    const bad = exitFailure(exit, stderrTail);
    if (ended === undefined)
      return bad ?? failed('no_result', 'The agent ended with exit code 0 but reported no result.', true);
    if (exit.kind === 'signalled') return hang();
    return bad ?? { kind: 'succeeded', result: ended.result, structured: ended.structured };
  }

  #failure(message: string): Outcome {
    if (this.#limitedUntil !== undefined) return failed('rate_limited', message, true, this.#limitedUntil);
    if (this.#refused) return failed('refused', message, false);
    if (message === 'interrupted') return failed('interrupted', 'The turn was interrupted.', true);
    if (message.startsWith('No conversation found')) return failed('no_conversation', message, true);
    return failed('failed', message, true);
  }

  #line(text: string): SessionEvent[] {
    const parsed = line.safeParse(parseJson(text));
    if (!parsed.success) return [];
    const event = parsed.data;
    switch (event.kind) {
      case 'refused':
        this.#refused = true;
        return [];
      case 'rate_limited':
        this.#limitedUntil = event.until;
        return [event];
      case 'turn_ended':
        this.#ended = event;
        return [event];
      default:
        return [event];
    }
  }
}

/** The program beside this file, as source or as build. */
const program = fileURLToPath(new URL(`./agent${extname(import.meta.url)}`, import.meta.url));

function message(text: string): string {
  return `${JSON.stringify({ type: 'message', text })}\n`;
}

/** A scripted agent for tests and demonstrations. Its prompt is a script, or names one with a line `script: path`. */
export const fakeRuntime: Runtime = {
  name: 'fake',
  summary: 'A scripted agent: does what the YAML in its prompt says. For tests and demonstrations.',
  capabilities: {
    prompt: true,
    steer: true,
    interrupt: true,
    resume: true,
    usage: true,
    structuredOutput: true,
    conflicts: true,
  },
  exitGraceMs: 2000,
  launch(request) {
    const prompt = request.prompt ?? (request.resume === null ? null : 'continue');
    if (prompt === null)
      throw invalid('The runtime "fake" needs a prompt and got none.', { fix: 'Give the task `prompt:`.' });
    const session = request.resume === null ? ['--session', request.sessionId] : ['--resume', request.resume];
    const model = request.model === null ? [] : ['--model', request.model];
    return {
      argv: [process.execPath, program, ...session, ...model],
      env: request.env,
      stdin: 'pipe',
      firstInput: message(prompt),
    };
  },
  reader: () => new FakeReader(),
  message,
  interrupt: () => `${JSON.stringify({ type: 'interrupt' })}\n`,
  probe: () => Promise.resolve({ usable: true, version: null, fix: null }),
};
