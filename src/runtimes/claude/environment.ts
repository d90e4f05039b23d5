/**
 * Which variables a task may set for Claude. What asks the rules is a hook that Claude starts, so whatever turns Claude's hooks off,
 * puts another program in Claude's place, or is loaded into Claude would let every tool call pass unseen.
 */

/** Claude's own variables that are known to leave its hooks alone. Of the hundreds that there are, some turn them off, so others are refused. */
const harmless = new Set([
  'CLAUDE_AUTOCOMPACT_PCT_OVERRIDE',
  'CLAUDE_CODE_API_KEY_HELPER_TTL_MS',
  'CLAUDE_CODE_AUTO_COMPACT_WINDOW',
  'CLAUDE_CODE_DISABLE_1M_CONTEXT',
  'CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING',
  'CLAUDE_CODE_DISABLE_AUTO_MEMORY',
  'CLAUDE_CODE_DISABLE_BACKGROUND_TASKS',
  'CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS',
  'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC',
  'CLAUDE_CODE_DISABLE_THINKING',
  'CLAUDE_CODE_EFFORT_LEVEL',
  'CLAUDE_CODE_ENABLE_TELEMETRY',
  'CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS',
  'CLAUDE_CODE_MAX_OUTPUT_TOKENS',
  'CLAUDE_CODE_MAX_RETRIES',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CLAUDE_CODE_SKIP_BEDROCK_AUTH',
  'CLAUDE_CODE_SKIP_FOUNDRY_AUTH',
  'CLAUDE_CODE_SKIP_VERTEX_AUTH',
  'CLAUDE_CODE_SUBAGENT_MODEL',
  'CLAUDE_CODE_USE_BEDROCK',
  'CLAUDE_CODE_USE_FOUNDRY',
  'CLAUDE_CODE_USE_VERTEX',
  'NODE_ENV',
  'NODE_EXTRA_CA_CERTS',
]);

/** Where programs, shells and settings are found, what shells read first, and how others than Claude's own are started. */
const places = new Set([
  'PATH',
  'HOME',
  'SHELL',
  'ENV',
  'IFS',
  'PS4',
  'SHELLOPTS',
  'BASHOPTS',
  'ZDOTDIR',
  'PROMPT_COMMAND',
]);

/** What the dynamic loader, the interpreters of Claude and shells take in, and Claude's own. */
const families = /^(?:LD_|DYLD_|GLIBC_|GCONV_|MALLOC_|NODE_|BUN_|BASH_|CLAUDE_|CLAUDECODE|XDG_CONFIG)/;

/** Whether a task may not set a variable for Claude. On some systems small letters are the same variable. */
export function isRefused(name: string): boolean {
  const plain = name.toUpperCase();
  return !harmless.has(plain) && (places.has(plain) || families.test(plain));
}

/** What to tell about a variable that is refused. */
export function refusalOf(name: string): string {
  return `${name} could keep Claude from asking the rules before its tool calls, so a task may not set it. Set it in the command that needs it, or, if Claude itself needs it, in the env of your own ~/.claude/settings.json.`;
}

/** Settings above those of the repository and the user: whatever those say, the hook is asked. */
export const gateSettings = {
  disableAllHooks: false,
  enabledPlugins: { 'maos-gate@inline': true },
  env: {
    CLAUDE_CODE_SIMPLE: '0',
    CLAUDE_CODE_SAFE_MODE: '0',
    CLAUDE_CODE_RESTRICTED: '0',
    LD_PRELOAD: '',
    LD_AUDIT: '',
    LD_LIBRARY_PATH: '',
  },
} as const;
