import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Entrance } from './identity.fixture.ts';
import { makeUser, OAuthVisitor, password } from './oauth-flow.fixture.ts';

/** The suite's executable, as for src/gateway/mcp/conformance.slow.test.ts. */
const suite = process.env['MAOS_TEST_MCP_CONFORMANCE'] ?? '';

/** A port that was free a moment ago; the suite wants to be told one. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe.skipIf(suite === '' || !existsSync(suite))('the official conformance suite', () => {
  let entrance: Entrance;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'maos-oauth-conformance-'));
    entrance = await new Entrance().start();
    await makeUser(entrance, 'ada');
  });
  afterAll(async () => {
    await entrance.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  it('passes its scenarios for authorization servers', async () => {
    const port = await freePort();
    const visitor = new OAuthVisitor(entrance, `http://127.0.0.1:${port}/callback`);
    await visitor.register();
    const child = spawn(
      process.execPath,
      [
        ...[suite, 'authorization', '--url', entrance.url, '--client-id', visitor.clientId],
        ...['--resource', `${entrance.url}/mcp`, '--port', String(port), '-o', folder],
      ],
      { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let out = '';
    let visited: Promise<void> | undefined;
    const visit = async (address: string): Promise<void> => {
      const begun = await visitor.get(address);
      const signed = await visitor.fill(begun.location, { name: 'ada', password });
      const allowed = await visitor.fill(signed.location, { decision: 'allow' });
      await fetch(allowed.location);
    };
    const read = (chunk: Buffer): void => {
      out += chunk.toString();
      const address = /https?:\/\/\S+\/oauth\/authorize\?\S+(?=\s)/.exec(out)?.[0];
      if (address !== undefined) visited ??= visit(address);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    await once(child, 'close');
    await visited;
    expect(child.exitCode, out).toBe(0);
    expect(out).not.toMatch(/✗|FAILURE/);
    for (const scenario of ['authorization-server-metadata-endpoint', 'authorization-code-grant'])
      expect(out).toContain(scenario);
  });
});
