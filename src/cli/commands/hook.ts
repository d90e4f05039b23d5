import { hookPass } from '../../kernel/hook-line.ts';
import type { Args, Flag } from '../argv.ts';
import { exits, type Command, type Shell } from '../command.ts';
import { ask, type Ruling } from '../hook/gate.ts';
import type { Target } from '../mcp/upstream.ts';

const flags: readonly Flag[] = [
  { key: 'event', kind: 'choice', required: true, choices: ['pre-tool-use'], describe: 'What is about to happen.' },
  {
    key: 'patience',
    kind: 'number',
    default: 500,
    describe: 'Seconds to wait for an answer; keep it below the time that the program gives its hooks.',
  },
  {
    key: 'as',
    kind: 'text',
    describe: 'A file with the agent and the token for which it asks; the environment then says nothing about that.',
  },
];

/** For whom it asks. */
interface Identity {
  readonly url: string;
  readonly token: string;
  readonly agent: string;
  readonly project: string;
}

function identityOf(shell: Shell, file: string | undefined): Identity {
  const { env } = shell;
  if (file === undefined)
    return {
      url: env['MAOS_URL'] ?? '',
      token: env['MAOS_TOKEN'] ?? '',
      agent: env['MAOS_AGENT'] ?? '',
      project: env['CLAUDE_PROJECT_DIR'] ?? '',
    };
  const given: Fields = JSON.parse(shell.readFile(file));
  const [token, agent] = [textIn(given, 'token'), textIn(given, 'agent')];
  // Without its token it would ask as the person whose machine it is.
  if (token === undefined || agent === undefined) throw new Error(`${file} names no agent with a token.`);
  return { url: '', token, agent, project: '' };
}

/** The server of this data folder, else the one that is named. A token says who calls. */
async function target({ server }: Shell, { url, token }: Identity): Promise<Target | undefined> {
  const running = await server.running();
  if (running === undefined) return url === '' || token === '' ? undefined : { url, token };
  const { trust } = running;
  return {
    url: running.url,
    token: token === '' ? await server.token() : token,
    ...(trust === undefined ? {} : { trust }),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function textIn(given: Fields, ...names: readonly string[]): string | undefined {
  const found = names.map((name) => given[name]).find((value) => typeof value === 'string' && value !== '');
  return typeof found === 'string' ? found : undefined;
}

/** What the server is asked, from what the program has written. */
function questionOf({ agent, project }: Identity, text: string): Fields {
  const given: Fields = JSON.parse(text);
  const tool = textIn(given, 'tool_name');
  if (tool === undefined) throw new Error('What the program said names no tool.');
  const cwd = textIn(given, 'cwd');
  return {
    tool,
    input: given['tool_input'] ?? {},
    call: textIn(given, 'tool_use_id', 'turn_id') ?? JSON.stringify(given['tool_input'] ?? {}).slice(0, 200),
    session: textIn(given, 'session_id') ?? '',
    ...(cwd === undefined ? {} : { cwd }),
    ...(project === '' ? {} : { workspace: project }),
    ...(agent === '' ? {} : { agent }),
  };
}

async function ruling(shell: Shell, args: Args): Promise<Ruling> {
  try {
    const identity = identityOf(shell, args.text('as'));
    const body = questionOf(identity, shell.readFile('-'));
    const patienceMs = (args.number('patience') ?? 0) * 1_000;
    return await ask({ target: () => target(shell, identity), clock: shell.clock, patienceMs, body });
  } catch (error) {
    return {
      effect: 'block',
      asked: false,
      reason: `MAOS could not be asked: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** What the rules merely do not forbid stays subject to the program's own permissions. */
function outputOf({ effect, reason, asked }: Ruling): string {
  if (effect === 'allow' && !asked) return `${hookPass}\n`;
  const decision = {
    hookEventName: 'PreToolUse',
    permissionDecision: effect === 'allow' ? 'allow' : 'deny',
    permissionDecisionReason: reason,
  };
  return `${JSON.stringify({ hookSpecificOutput: decision })}\n`;
}

export const hookCommand: Command = {
  grammar: { positionals: ['event'], flags },
  detail:
    'Called by Claude Code and Codex before each tool call, with what they write to its standard input. Nothing is allowed that the server has not allowed; a server that is away is waited for.',
  run: async (shell, args) => {
    shell.out.write(outputOf(await ruling(shell, args)));
    return exits.ok;
  },
};
