import * as z from 'zod';

/** Tokens and money of a session or an agent, killed runs included. */
export const usage = z.strictObject({
  inputTokens: z.int(),
  outputTokens: z.int(),
  cacheReadTokens: z.int(),
  cacheWriteTokens: z.int(),
  costUsd: z.number().nullable().describe('null: the program reports no price.'),
});
