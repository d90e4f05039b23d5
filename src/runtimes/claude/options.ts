import * as z from 'zod';
import { once } from '../../kernel/once.ts';
import type { SettingProblem, Settings } from '../../agents/runtime.ts';
import { invalid } from '../../kernel/error.ts';
import { nearest } from '../../kernel/nearest.ts';
import { isRefused, refusalOf } from './environment.ts';

/**
 * What a plan may say about Claude's permissions. Nobody sits in front of a headless agent, so what is not allowed here is
 * denied, never asked. By default it may read and change files in its workspace; other programs than Claude's own list of
 * harmless ones need `allowedTools`.
 */
export const claudeOptions = once(() =>
  z.strictObject({
    permissionMode: z
      .enum(['acceptEdits', 'auto', 'bypassPermissions', 'dontAsk', 'manual', 'plan'])
      .default('acceptEdits')
      .describe(
        'acceptEdits: file changes in the workspace are allowed. bypassPermissions is refused by Claude when run as root.',
      ),
    allowedTools: z
      .array(z.string())
      .default([])
      .describe('Rules such as "Bash(npm test:*)" or "WebFetch" that are allowed besides.'),
    disallowedTools: z.array(z.string()).default([]).describe('Rules that are denied, whatever else allows them.'),
    appendSystemPrompt: z.string().optional().describe('Text added to the system prompt.'),
    mcpConfig: z
      .array(z.string())
      .default([])
      .describe('MCP servers: files, or JSON. Those of the repository are not started.'),
    hooks: z.boolean().default(false).describe("Whether hooks of the repository's and the user's settings run."),
  }),
);

export type ClaudeOptions = z.infer<ReturnType<typeof claudeOptions>>;

const known = (): string[] => Object.keys(claudeOptions().shape);

/** The options with their defaults; refuses what `checkSettings` would have found. */
export function parseOptions(options: Settings['options']): ClaudeOptions {
  const parsed = claudeOptions().safeParse(options);
  if (parsed.success) return parsed.data;
  throw invalid(`The options for Claude are wrong: ${z.prettifyError(parsed.error)}`, {
    fix: `Known options: ${known().join(', ')}.`,
  });
}

const conversation = 'MAOS keeps the conversation itself';
const protocol = 'MAOS reads what Claude says in this form';
const gate = 'MAOS asks the rules before each tool call, by a hook';
const here = 'MAOS runs Claude in the worktree, where the rules are asked';

/** Arguments that MAOS gives to Claude itself, and what to do instead of giving them another time. */
const taken: Readonly<Record<string, string>> = {
  '-p': protocol,
  '--print': protocol,
  '--input-format': protocol,
  '--output-format': protocol,
  '--session-id': conversation,
  '-r': conversation,
  '--resume': conversation,
  '-c': conversation,
  '--continue': conversation,
  '--model': 'Write model: instead',
  '--max-budget-usd': 'Write limits: {usd: …} instead',
  '--permission-mode': 'Write options: {permissionMode: …} instead',
  '--allowedTools': 'Write options: {allowedTools: […]} instead',
  '--allowed-tools': 'Write options: {allowedTools: […]} instead',
  '--disallowedTools': 'Write options: {disallowedTools: […]} instead',
  '--disallowed-tools': 'Write options: {disallowedTools: […]} instead',
  '--mcp-config': 'Write options: {mcpConfig: […]} instead',
  '--settings': 'MAOS asks the rules before each tool call, which settings could undo',
  '--managed-settings': 'MAOS asks the rules before each tool call, which settings could undo',
  '--plugin-dir': gate,
  '--plugin-url': gate,
  '--safe-mode': gate,
  '--restricted': gate,
  '--bare': gate,
  '--bg': here,
  '--background': here,
  '--cloud': here,
  '--environment': here,
  '--teleport': here,
  '--remote-control': here,
  '--desktop': here,
  '--tmux': here,
  '-w': here,
  '--worktree': here,
  '--append-system-prompt': 'Write options: {appendSystemPrompt: …} instead',
};

/** Finds options that Claude does not have or that hold the wrong thing, and arguments and variables that would undo MAOS's own. */
export function checkSettings({ options, args, env = [] }: Settings): SettingProblem[] {
  const parsed = claudeOptions().safeParse(options);
  const issues = parsed.success ? [] : parsed.error.issues;
  const variables = env
    .filter(isRefused)
    .map((name) => ({ path: ['env', name], message: refusalOf(name), onKey: true }) as const);
  return [...issues.flatMap(optionProblems), ...args.flatMap(argumentProblem), ...variables];
}

function optionProblems(issue: z.core.$ZodIssue): SettingProblem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: ['options', key], message: unknownOption(key), onKey: true }));
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  return [{ path: ['options', ...path], message: `${issue.message.replace(/\.?$/, '.')} docs/runtimes.md says more.` }];
}

function unknownOption(key: string): string {
  const meant = nearest(key, known());
  return `Claude has no option "${key}". ${meant === undefined ? `There is: ${known().join(', ')}.` : `Did you mean "${meant}"?`}`;
}

function argumentProblem(argument: string, index: number): SettingProblem[] {
  const [flag = ''] = argument.split('=');
  const instead = Object.hasOwn(taken, flag) ? taken[flag] : undefined;
  if (instead === undefined) return [];
  const path = ['args', index];
  if (instead === gate || instead === here) return [{ path, message: `${instead}. Remove ${flag}.` }];
  return [{ path, message: `MAOS gives ${flag} to Claude itself. ${instead}, and remove this.` }];
}
