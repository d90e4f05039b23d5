import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ResponsesModel } from './responses-model.fixture.ts';
import { ClientSite, findClient, type Reach, type Way } from './mcp-clients.fixture.ts';

const patience = 120_000;
const inspector = findClient(
  'mcp-inspector',
  'MAOS_TEST_MCP_INSPECTOR',
  'npm install -g @modelcontextprotocol/inspector',
);
const claude = findClient('claude', 'MAOS_TEST_CLAUDE', 'npm install -g @anthropic-ai/claude-code');
const codex = findClient('codex', 'MAOS_TEST_CODEX', 'npm install -g @openai/codex');
const opencode = findClient('opencode', 'MAOS_TEST_OPENCODE', 'npm install -g opencode-ai');
const gemini = findClient('gemini', 'MAOS_TEST_GEMINI', 'npm install -g @google/gemini-cli');

let site: ClientSite;
let reach: Reach;
beforeEach(async () => {
  site = new ClientSite();
  reach = await site.open();
}, patience);
afterEach(() => site.destroy(), patience);

const ways: readonly Way[] = ['stdio', 'http'];
const please = 'Make a task in MAOS.';

/** What came of a client: the tasks that there are now, and whether it was told of one. */
async function outcome({ code, out }: { code: number | null; out: string }): Promise<object> {
  const titles = await site.titles();
  const told = out.includes('task_');
  return titles.length > 0 && told ? { titles, told } : { titles, told, code, seen: site.seen, out: out.slice(-4_000) };
}
const made = { titles: ['made by a client'], told: true };

describe.skipIf(inspector === null)('the inspector', () => {
  const run = (way: Way, args: readonly string[]) => {
    const { command, args: words, environment, url, token } = reach;
    const server = { type: 'stdio', command, args: words, env: environment };
    const where =
      way === 'stdio'
        ? ['--config', site.file('inspector.json', { mcpServers: { maos: server } }), '--server', 'maos']
        : [url, '--transport', 'http', '--header', `Authorization: Bearer ${token}`];
    return site.client(inspector ?? '', ['--cli', ...where, ...args]);
  };

  it.each(ways)('lists and calls the tools over %s', { timeout: patience }, async (way) => {
    const { out } = await run(way, ['--method', 'tools/list']);
    expect(out).toContain('"task_create"');
    const call = ['--method', 'tools/call', '--tool-name', 'task_create', '--tool-arg', 'title=made by a client'];
    expect(await outcome(await run(way, call))).toEqual(made);
  });
});

describe.skipIf(claude === null)('Claude Code', () => {
  it.each(ways)('calls a tool over %s', { timeout: patience }, async (way) => {
    const { command, args, environment, url, token } = reach;
    const server =
      way === 'stdio'
        ? { type: 'stdio', command, args, env: environment }
        : { type: 'http', url, headers: { Authorization: `Bearer ${token}` } };
    const output = await site.client(
      claude ?? '',
      [
        ...['-p', please, '--mcp-config', JSON.stringify({ mcpServers: { maos: server } }), '--strict-mcp-config'],
        ...['--allowedTools', 'mcp__maos__task_create', '--output-format', 'stream-json', '--verbose'],
      ],
      {
        ANTHROPIC_API_KEY: 'sk-ant-not-a-key',
        ANTHROPIC_BASE_URL: site.model.url,
        ENABLE_TOOL_SEARCH: 'false',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      },
    );
    expect(await outcome(output)).toEqual(made);
  });
});

describe.skipIf(codex === null)('Codex', () => {
  const model = new ResponsesModel('task_create', { title: 'made by a client' });
  beforeAll(() => model.start());
  afterAll(() => model.stop());

  it.each(ways)('calls a tool over %s', { timeout: patience }, async (way) => {
    const { command, args, environment, url, token } = reach;
    const server =
      way === 'stdio'
        ? `command = ${JSON.stringify(command)}\nargs = ${JSON.stringify(args)}\nenv = { ${Object.entries(environment)
            .map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
            .join(', ')} }`
        : `url = ${JSON.stringify(url)}\nbearer_token_env_var = "MAOS_TOKEN"`;
    site.file(
      'codex/config.toml',
      `model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.scripted]
name = "scripted"
base_url = "${model.url}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
[mcp_servers.maos]
required = true
${server}
`,
    );
    const output = await site.client(codex ?? '', ['exec', '--skip-git-repo-check', '--json', please], {
      CODEX_HOME: `${site.root}/codex`,
      SCRIPTED_KEY: 'none',
      MAOS_TOKEN: token,
    });
    expect(await outcome(output)).toEqual(made);
  });
});

describe.skipIf(opencode === null)('opencode', () => {
  it.each(ways)('calls a tool over %s', { timeout: patience }, async (way) => {
    const { command, args, environment, url, token } = reach;
    const server =
      way === 'stdio'
        ? { type: 'local', command: [command, ...args], environment, enabled: true }
        : { type: 'remote', url, headers: { Authorization: `Bearer ${token}` }, oauth: false, enabled: true };
    const options = { baseURL: `${site.model.url}/v1`, apiKey: 'none' };
    const config = site.file('opencode.json', {
      provider: {
        scripted: {
          npm: '@ai-sdk/openai-compatible',
          name: 'scripted',
          options,
          models: { one: { name: 'one', tool_call: true } },
        },
      },
      model: 'scripted/one',
      small_model: 'scripted/one',
      autoupdate: false,
      share: 'disabled',
      mcp: { maos: server },
    });
    const output = await site.client(opencode ?? '', ['run', '--model', 'scripted/one', '--format', 'json', please], {
      OPENCODE_CONFIG: config,
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
    });
    expect(await outcome(output)).toEqual(made);
  });
});

describe.skipIf(gemini === null)('Gemini', () => {
  it.each(ways)('calls a tool over %s', { timeout: patience }, async (way) => {
    const { command, args, environment, url, token } = reach;
    const server =
      way === 'stdio'
        ? { command, args, env: environment, trust: true }
        : { httpUrl: url, headers: { Authorization: `Bearer ${token}` }, trust: true };
    site.file('user/.gemini/settings.json', {
      security: { auth: { selectedType: 'gemini-api-key' }, folderTrust: { enabled: false } },
      privacy: { usageStatisticsEnabled: false },
      general: { disableAutoUpdate: true, disableUpdateNag: true },
      telemetry: { enabled: false },
      mcpServers: { maos: server },
    });
    const output = await site.client(
      gemini ?? '',
      ['--model', 'gemini-2.5-flash', '--approval-mode', 'yolo', '--output-format', 'json', '--prompt', please],
      { GEMINI_API_KEY: 'none', GOOGLE_GEMINI_BASE_URL: site.model.url, GEMINI_CLI_TRUST_WORKSPACE: 'true' },
    );
    expect(await outcome(output)).toEqual(made);
  });
});
