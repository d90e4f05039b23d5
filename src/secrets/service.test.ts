import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readConfig } from '../app/config.ts';
import { type Server, startServer } from '../app/server.ts';
import { localCaller, systemCaller } from '../kernel/caller.ts';
import type { Call } from '../kernel/handler.ts';
import { newSigningKeys } from '../kernel/signature.ts';
import { secretOps } from './contract.ts';

const value = 'ghp_a-value-that-nobody-may-see';
let home: string;
let server: Server;
let call: Call;
let system: Call;

async function start(): Promise<void> {
  const environment = { PATH: process.env['PATH'], HOME: home, MAOS_HOME: home };
  server = await startServer({
    config: readConfig(environment),
    version: '0',
    acts: false,
    listens: true,
    environment,
  });
  call = server.registry.as(localCaller);
  system = server.registry.as(systemCaller('test'));
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'maos-secrets-room-'));
  await start();
});

afterAll(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

/** Every byte that stands in the home folder. */
const everything = (): string =>
  readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');

const reveal = (names: string[]): Promise<{ values: Record<string, string> }> =>
  system(secretOps.reveal, { names, session: 'agent_x/1', team: null });

it('keeps keys only once there is something to seal', () => {
  expect(readdirSync(home)).not.toContain('keys.json');
});

it('takes a value, tells everything of it but itself, and writes it nowhere', async () => {
  const set = await call(secretOps.set, { name: 'TOKEN', value });
  expect(set).toMatchObject({ name: 'TOKEN', setBy: 'user:local', values: 1, usedAt: null });
  expect(await call(secretOps.list, {})).toEqual({ secrets: [set] });
  expect(everything()).toContain('sealed.1.');
  expect(everything()).not.toContain(value);
  expect(everything()).not.toContain(Buffer.from(value).toString('base64url'));
});

it('gives values to sessions that are started alone, and notes it', async () => {
  expect(await reveal(['TOKEN'])).toEqual({ values: { TOKEN: value } });
  const [shown] = (await call(secretOps.list, {})).secrets;
  expect(shown?.usedAt).toBeGreaterThan(0);
  await expect(call(secretOps.reveal, { names: ['TOKEN'], session: 's', team: null })).rejects.toMatchObject({
    code: 'forbidden',
  });
  expect(everything()).not.toContain(value);
});

it('is asked over REST without a value in the answer, and takes no idempotency key', async () => {
  const put = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${server.url}/api/v1/secrets/OTHER`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ value }),
    });
  expect((await put({ 'idempotency-key': 'k1' })).status).toBe(400);
  const answer = await put({});
  expect(answer.status).toBe(200);
  expect(await answer.text()).not.toContain(value);
  await call(secretOps.remove, { name: 'OTHER' });
});

it('refuses names and values that cannot be, and names that are not there', async () => {
  for (const name of ['', '1A', 'A B', 'A=B', 'a/../b', 'x'.repeat(101)])
    await expect(call(secretOps.set, { name, value })).rejects.toMatchObject({ code: 'invalid' });
  for (const wrong of ['', 'a\0b', 'x'.repeat(70_000)])
    await expect(call(secretOps.set, { name: 'A', value: wrong })).rejects.toMatchObject({ code: 'invalid' });
  await expect(call(secretOps.remove, { name: 'NOBODY' })).rejects.toMatchObject({ code: 'not_found' });
  const before = server.engine.feed.head;
  await expect(reveal(['TOKEN', 'NOBODY'])).rejects.toMatchObject({
    code: 'not_found',
    fix: expect.stringContaining('maos secret set NOBODY'),
  });
  expect(server.engine.feed.head).toBe(before);
});

it('opens what was sealed before, after a rotation and a start', async () => {
  expect((await call(secretOps.rotate, {})).keys).toHaveLength(2);
  expect((await reveal(['TOKEN'])).values).toEqual({ TOKEN: value });
  await call(secretOps.set, { name: 'LATER', value: 'under the new key' });
  await server.close();
  await start();
  expect((await reveal(['TOKEN', 'LATER'])).values).toEqual({ TOKEN: value, LATER: 'under the new key' });
  expect(await call(secretOps.keys, {})).toMatchObject({ kind: 'file' });
});

it('forgets a secret; one of the same name is another', async () => {
  await call(secretOps.remove, { name: 'TOKEN' });
  await expect(reveal(['TOKEN'])).rejects.toMatchObject({ code: 'not_found' });
  expect(await call(secretOps.set, { name: 'TOKEN', value: 'another value' })).toMatchObject({ values: 1 });
  expect((await reveal(['TOKEN'])).values).toEqual({ TOKEN: 'another value' });
});

it('computes the same tables again', async () => {
  const rows = (): object[][] =>
    ['secret', 'secret_value', 'session_key'].map((table) =>
      server.engine.reader.all(`SELECT * FROM ${table} ORDER BY 1`),
    );
  const { publicKey } = newSigningKeys();
  await system(secretOps.recordSigner, { agent: 'agent_x', generation: 1, publicKey });
  const before = rows();
  await server.engine.core.rebuild();
  expect(rows()).toEqual(before);
  expect(await call(secretOps.signer, { agent: 'agent_x', generation: 1 })).toMatchObject({
    signer: 'agent_x/1',
    publicKey,
  });
  await expect(call(secretOps.signer, { agent: 'agent_x', generation: 2 })).rejects.toMatchObject({
    code: 'not_found',
  });
});
