import * as z from 'zod';

const path = z.string().min(1).describe('A path below the working directory.');

/** One step of a scripted agent: an object with one key. */
const step = z.union([
  z.strictObject({ say: z.string().describe('Prints text, as a model would.') }),
  z.strictObject({ tool: z.string().describe('Reports a tool call without making one.') }),
  z.strictObject({ write: z.strictObject({ path, text: z.string() }).describe('Writes a file, making its folders.') }),
  z.strictObject({ append: z.strictObject({ path, text: z.string() }).describe('Appends to a file.') }),
  z.strictObject({ remove: path.describe('Removes a file.') }),
  z.strictObject({ run: z.string().describe('Runs a shell line; the turn fails if it does.') }),
  z.strictObject({ wait_for: path.describe('Waits until the file exists.') }),
  z.strictObject({ sleep: z.number().min(0).describe('Milliseconds.') }),
  z.strictObject({ ask: z.string().describe('Asks a question and waits for a message.') }),
  z.strictObject({
    usage: z
      .strictObject({
        input: z.int().min(0).default(0),
        output: z.int().min(0).default(0),
        cache_read: z.int().min(0).default(0),
        cache_write: z.int().min(0).default(0),
        cost: z.number().min(0).nullable().default(0),
      })
      .describe('Adds to the tokens and dollars used.'),
  }),
  z.strictObject({ result: z.unknown().describe('The result of the turn: text, or an object for structured output.') }),
  z.strictObject({ fail: z.string().describe('Ends the turn as failed.') }),
  z.strictObject({ rate_limit: z.number().describe('Ends the turn: limited for so many milliseconds.') }),
  z.strictObject({ refuse: z.string().describe('Ends the turn: the model refuses.') }),
  z.strictObject({ raw: z.string().describe('Prints a line that is not of the protocol.') }),
  z.strictObject({ spawn: z.string().describe('Starts a shell line and leaves it running.') }),
  z.strictObject({ exit: z.int().min(0).max(255).describe('Ends the program at once, without a result.') }),
  z.strictObject({ crash: z.string().describe('Kills the program with this signal.') }),
  z.strictObject({ hang: z.literal(true).describe('Never goes on.') }),
  z.strictObject({
    linger: z.literal(true).describe('After the turn it will not end, whatever happens to its input.'),
  }),
  z.strictObject({
    conflicts: z.enum(['both', 'ours', 'theirs']).describe('How it resolves conflicts that it is given later.'),
  }),
]);

export type Step = z.infer<typeof step>;

const script = z.union([z.array(step), z.strictObject({ steps: z.array(step) }).transform((value) => value.steps)]);

/** What a fake agent writes and reads besides: one JSON object a line. */
export const command = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('message'), text: z.string() }),
  z.strictObject({ type: z.literal('interrupt') }),
]);

/** The script in a prompt: the prompt itself, or a block between ``` fences in it; null when there is none. */
export async function findScript(prompt: string): Promise<Step[] | null> {
  const fenced = /^```(?:ya?ml|json|script)?\n([\s\S]*?)^```/m.exec(prompt)?.[1];
  const text = fenced ?? prompt;
  if (!/^\s*(-\s|\[|\{|steps\s*:)/.test(text)) return null;
  const { parse } = await import('yaml');
  const parsed = script.safeParse(parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(`The script of the fake agent is wrong: ${z.prettifyError(parsed.error)}`);
}

/** The file that a prompt names with a line `script: path`. */
export function namedScript(prompt: string): string | undefined {
  return /^script:\s*(\S+)\s*$/m.exec(prompt)?.[1];
}
