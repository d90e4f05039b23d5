import * as z from 'zod';
import type { LaunchRequest, Probe, Runtime } from '../../agents/runtime.ts';
import { invalid } from '../../kernel/error.ts';
import { exec } from '../../kernel/exec.ts';
import { parseJson } from '../lines.ts';
import { gateSettings } from './environment.ts';
import { checkSettings, type ClaudeOptions, parseOptions } from './options.ts';
import { writePlugin } from './plugin.ts';
import { ClaudeReader } from './reader.ts';

function permissionFlags(request: LaunchRequest, options: ClaudeOptions): string[] {
  const lists = [
    ['--allowedTools', options.allowedTools],
    ['--disallowedTools', options.disallowedTools],
    ['--mcp-config', options.mcpConfig],
  ] as const;
  return [
    ...['--permission-mode', options.permissionMode, '--permission-prompts', 'none', '--strict-mcp-config'],
    ...hookFlags(request, options),
    ...lists.flatMap(([flag, values]) => (values.length === 0 ? [] : [flag, ...values])),
    ...(options.appendSystemPrompt === undefined ? [] : ['--append-system-prompt', options.appendSystemPrompt]),
  ];
}

/** Which hooks run: with a gate always its own, whatever the repository's settings say. */
function hookFlags({ gate }: LaunchRequest, { hooks }: ClaudeOptions): string[] {
  if (gate === undefined) return hooks ? [] : ['--settings', '{"disableAllHooks":true}'];
  const others = hooks ? [] : ['--managed-settings', '{"strictPluginOnlyCustomization":["hooks"]}'];
  return ['--plugin-dir', writePlugin(gate), '--settings', JSON.stringify(gateSettings), ...others];
}

function sessionFlags(request: LaunchRequest): string[] {
  return [
    ...(request.resume === null ? ['--session-id', request.sessionId] : ['--resume', request.resume]),
    ...(request.model === null ? [] : ['--model', request.model]),
    ...(request.maxBudgetUsd === null ? [] : ['--max-budget-usd', String(request.maxBudgetUsd)]),
    ...(request.resultSchema ? ['--json-schema', JSON.stringify(request.resultSchema)] : []),
  ];
}

function userMessage(text: string): string {
  return `${JSON.stringify({ type: 'user', message: { role: 'user', content: [{ type: 'text', text }] } })}\n`;
}

const loginState = z.object({ loggedIn: z.boolean() });

/** Whether Claude has a login or a key; null when this version cannot tell. No model is asked, so a wrong key passes. */
async function loggedIn(program: string, env: Readonly<Record<string, string>>): Promise<boolean | null> {
  const { stdout } = await exec(program, ['auth', 'status', '--json'], { env, timeout: 20_000 });
  const parsed = loginState.safeParse(parseJson(stdout));
  return parsed.success ? parsed.data.loggedIn : null;
}

async function probe(program: string, env: Readonly<Record<string, string>>): Promise<Probe> {
  const { code, stdout, stderr } = await exec(program, ['--version'], { env, timeout: 20_000 });
  const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? null;
  if (code === 0 && version !== null) {
    if ((await loggedIn(program, env)) !== false) return { usable: true, version, fix: null };
    const fix = 'Log in by running `claude` once, or set ANTHROPIC_API_KEY where the MAOS server is started.';
    return { usable: false, version, fix: `It is not logged in. ${fix}` };
  }
  const install = 'Install Claude Code (npm install -g @anthropic-ai/claude-code) and log in by running `claude` once.';
  return {
    usable: false,
    version,
    fix: code === 127 ? install : `\`${program} --version\` failed: ${stderr.trim().slice(-300)}. ${install}`,
  };
}

/** Where Claude finds its login, its provider and the way to it, besides HOME. */
const loginAndNetwork = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'ANTHROPIC_BASE_URL',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CLAUDE_CONFIG_DIR',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'NODE_EXTRA_CA_CERTS',
] as const;

/** Claude Code, headless. `program` is its executable, looked up on the agent's PATH. */
export function claude(program = 'claude'): Runtime {
  return {
    name: 'claude',
    summary: 'Claude Code, headless, over stream-json.',
    capabilities: {
      prompt: true,
      steer: true,
      interrupt: true,
      resume: true,
      usage: true,
      structuredOutput: true,
      conflicts: true,
    },
    exitGraceMs: 10_000,
    inherits: loginAndNetwork,
    priced: 'turn_end',
    check: checkSettings,
    launch(request) {
      const prompt =
        request.prompt ?? (request.resume === null ? null : 'You were interrupted. Continue where you stopped.');
      if (prompt === null) {
        throw invalid('The runtime "claude" needs a prompt and got none.', { fix: 'Give the task `prompt:`.' });
      }
      const options = parseOptions(request.options ?? {});
      const stream = ['-p', '--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose'];
      return {
        argv: [program, ...stream, ...sessionFlags(request), ...permissionFlags(request, options)],
        // An update in the middle of a run would change the program under a fleet.
        env: { DISABLE_AUTOUPDATER: '1', ...request.env },
        stdin: 'pipe',
        firstInput: userMessage(prompt),
      };
    },
    reader: (earlier) => new ClaudeReader(earlier ?? undefined),
    message: userMessage,
    interrupt: () =>
      `${JSON.stringify({ type: 'control_request', request_id: `interrupt_${Date.now()}`, request: { subtype: 'interrupt' } })}\n`,
    probe: (env) => probe(program, env),
  };
}

export const claudeRuntime: Runtime = claude();
