import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { AppError } from '../../kernel/error.ts';
import type { Flag } from '../argv.ts';
import { exits, pause, type Command, type Shell } from '../command.ts';
import { linesOf } from '../mcp/lines.ts';
import { Relay } from '../mcp/relay.ts';
import type { Target } from '../mcp/upstream.ts';
import { startServer } from './up.ts';

const flags: readonly Flag[] = [
  {
    key: 'toolset',
    kind: 'text',
    describe: 'Which tools are shown: worker, coordinator, monitor, merger, fleet or all.',
  },
];

/** The server of this data folder, started if none runs; without the folder (a sandbox), the one that the environment names. */
async function target(shell: Shell): Promise<Target> {
  const { MAOS_URL: url = '', MAOS_TOKEN: given = '' } = shell.env;
  const running = await shell.server.running();
  if (running === undefined && url !== '') return { url, token: given, ...named(shell.env) };
  const found = running ?? (await startServer(shell, []));
  const token = given === '' ? await shell.server.token() : given;
  return { url: found.url, token, ...(found.trust === undefined ? {} : { trust: found.trust }) };
}

/** The certificate that the environment names beside the address. */
function named({ MAOS_CA: file = '', MAOS_CA_NAME: name = '' }: Shell['env']): Pick<Target, 'trust'> {
  if (file === '') return {};
  const ca = readFileSync(file, 'utf8');
  return { trust: name === '' ? { ca } : { ca, name } };
}

export const mcpCommand: Command = {
  grammar: { positionals: [], flags },
  detail:
    'For a client that starts its MCP servers by itself. It starts the server if none runs and finds the next one when that is restarted. MAOS_TOKEN, if set, says who calls; without it, it is you.',
  examples: ['claude mcp add maos -- maos mcp', 'codex mcp add maos -- maos mcp --toolset monitor'],
  run: async (shell, args) => {
    const toolset = args.text('toolset');
    if (process.stdin.isTTY) {
      throw new AppError('invalid', 'This command speaks JSON-RPC with a program, not with a person.', {
        fix: 'Name it in the configuration of an MCP client; docs/mcp.md shows how.',
      });
    }
    // One of these runs beside every agent: what it carries is thrown away early, where V8 would rather take more room.
    setFlagsFromString('--semi-space-growth-factor=1');
    const relay = new Relay({
      path: toolset === undefined ? '/mcp' : `/mcp?toolset=${encodeURIComponent(toolset)}`,
      target: () => target(shell),
      write: (bytes) => void process.stdout.write(bytes),
      pause: (ms, signal) => pause(shell.clock, ms, signal),
    });
    await relay.run(linesOf(process.stdin));
    return exits.ok;
  },
};
