import { hookLine } from '../../kernel/hook-line.ts';
import { skill } from './skill.ts';

/** How agent programs start MAOS's MCP server. */
const server = { command: 'maos', args: ['mcp'] } as const;
/** What agent programs run before each of their tool calls: it asks the rules, and waits for an approval. */
// Only exit status 2 stops a tool call: a hook that is not there or breaks must not let it pass.
const preToolUse = hookLine('maos hook pre-tool-use');
/** In seconds: as long as a person may take to answer while the program waits. */
const hookTimeout = 600;

/** One thing that is put into a file. */
export type Entry =
  | { readonly kind: 'member'; readonly path: readonly string[]; readonly value: unknown }
  | { readonly kind: 'item'; readonly path: readonly string[]; readonly value: unknown }
  | { readonly kind: 'block'; readonly name: string; readonly text: string }
  | { readonly kind: 'whole'; readonly text: string };

export interface Target {
  /** Below the top folder of the repository, with slashes. */
  readonly file: string;
  readonly entries: readonly Entry[];
  /** Holds hooks, which need a server at each tool call. */
  readonly hooks?: true;
}

const hook = {
  matcher: '*',
  hooks: [{ type: 'command', command: preToolUse, timeout: hookTimeout }],
} as const;
const codexBlock = `# MAOS; "maos uninstall" takes it out again.
[mcp_servers.maos]
command = ${JSON.stringify(server.command)}
args = ${JSON.stringify(server.args)}
`;

/** All that `maos init` puts into a repository. */
export const targets: readonly Target[] = [
  { file: '.mcp.json', entries: [{ kind: 'member', path: ['mcpServers', 'maos'], value: server }] },
  {
    file: '.claude/settings.json',
    entries: [{ kind: 'item', path: ['hooks', 'PreToolUse'], value: hook }],
    hooks: true,
  },
  { file: '.claude/skills/maos/SKILL.md', entries: [{ kind: 'whole', text: skill }] },
  { file: '.codex/config.toml', entries: [{ kind: 'block', name: 'maos', text: codexBlock }] },
  { file: '.codex/hooks.json', entries: [{ kind: 'item', path: ['hooks', 'PreToolUse'], value: hook }], hooks: true },
];
