import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { conformanceSurface } from './conformance.fixture.ts';
import { McpTestServer } from './server.fixture.ts';

/** The suite's executable: MAOS_TEST_MCP_CONFORMANCE; null when it is not there. */
function findSuite(): string | null {
  const named = process.env['MAOS_TEST_MCP_CONFORMANCE'] ?? '';
  if (named !== '' && existsSync(named)) return named;
  process.stderr.write(
    '\nSKIPPED: the conformance of the MCP door needs the official suite. Install it in a folder of its own ' +
      '(npm install @modelcontextprotocol/conformance) and name its executable in MAOS_TEST_MCP_CONFORMANCE.\n\n',
  );
  return null;
}

const suite = findSuite();

/** What the suite cannot be shown, because MAOS has none of it: arguments that travel as headers of their own. */
const notApplicable = ['http-custom-header-server-validation'];

describe.skipIf(suite === null)('the official conformance suite', () => {
  let server: McpTestServer;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'maos-conformance-'));
    server = new McpTestServer();
    await server.serve({ surface: conformanceSurface(), open: true });
  });
  afterEach(async () => {
    await server.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Its scenarios with what passed and failed in each, and its exit code. */
  async function run(
    revision: string,
  ): Promise<{ code: number | null; failed: string[]; passed: number; out: string }> {
    const args = [suite ?? '', 'server', '--url', `${server.url}/mcp`, '--requirements', revision, '-o', folder];
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await once(child, 'close');
    const scenarios = [...out.matchAll(/^(✓|✗) (\S+): (\d+) passed, (\d+) failed/gm)];
    const failed = scenarios.flatMap(([, mark, name = '']) => (mark === '✗' ? [name] : []));
    return { code: child.exitCode, failed, passed: scenarios.length - failed.length, out };
  }

  it.each([
    { revision: '2026-07-28', scenarios: 49 },
    { revision: '2025-11-25', scenarios: 33 },
  ])('passes for $revision, extensions and pending scenarios included', async ({ revision, scenarios }) => {
    const { code, failed, passed, out } = await run(revision);
    expect(
      failed.filter((name) => !notApplicable.includes(name)),
      out.slice(-8_000),
    ).toEqual([]);
    expect(code, out.slice(-8_000)).toBe(0);
    expect(passed).toBeGreaterThanOrEqual(scenarios);
    expect(server.failures).toEqual([]);
  });
});
